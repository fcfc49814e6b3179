//! A simulated machine with a node on it, and machines of clients.

use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use engine_config::{BrokerConfig, Sources};
use engine_log::StorageOptions;
use engine_rt::sim::{CrashKind, LocalMain, SimNode, Simulation, Unfinished};
use engine_rt::{StopHandle, System};
use std::sync::{Arc, Mutex};
use tools_node::{Node, NodeError, NodeOptions, Ready};

/// The port of the broker.
const PORT: u16 = 9092;
/// Longer than anything in a test should take, in virtual time.
const LIMIT: Duration = Duration::from_hours(1);

/// What a node told of itself.
#[derive(Clone, Default)]
struct Told {
    ready: Arc<Mutex<Option<Ready>>>,
    error: Arc<Mutex<Option<NodeError>>>,
}

/// One node and any number of clients, under one seed.
pub struct World {
    /// The seed, for messages.
    pub seed: u64,
    /// Time, machines, disks and network.
    pub simulation: Simulation,
    machine: SimNode,
    shards: usize,
    settings: Vec<String>,
    /// Sizes of the store for the starts to come, where they are not those of the settings.
    pub storage: Option<StorageOptions>,
    told: Told,
    stop: Option<StopHandle>,
}

/// How an attempt to start a node ended.
#[derive(Debug)]
pub enum Started {
    /// It serves.
    Ready(Box<Ready>),
    /// It says why not, and is down.
    Refused(NodeError),
    /// It reached the crash point of its disk.
    CrashPoint,
    /// It did neither within the limit.
    Stuck,
}

/// How an attempt to stop a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every shard has ended.
    Down,
    /// It reached the crash point of its disk.
    CrashPoint,
    /// It is up still.
    Stuck,
}

impl World {
    /// A world with an empty machine for a node of so many shards.
    pub fn new(seed: u64, shards: usize) -> Self {
        let mut simulation = Simulation::new(seed);
        let machine = simulation.add_node(shards);
        Self {
            seed,
            simulation,
            machine,
            shards,
            settings: Vec::new(),
            storage: None,
            told: Told::default(),
            stop: None,
        }
    }

    /// Sets a setting, `KEY=VALUE`, for the starts to come.
    #[must_use]
    pub fn with(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// The machine of the node.
    pub fn machine(&self) -> SimNode {
        self.machine
    }

    /// Lets the next start have another number of shards.
    pub fn set_shards(&mut self, shards: usize) {
        self.shards = shards;
        self.simulation.set_shards(self.machine, shards);
    }

    fn config(&self) -> BrokerConfig {
        let mut sources = Sources::new();
        let listener = format!("listeners=PLAINTEXT://:{PORT}");
        let own = [listener.as_str(), "data.dir=/data", "lane.bytes=16777216"];
        for setting in own
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            sources.assignment(setting).unwrap();
        }
        BrokerConfig::new(sources.resolve()).unwrap()
    }

    /// Starts the node without waiting for it.
    pub fn launch(&mut self) {
        let told = Told::default();
        let system: System = self.simulation.system(self.machine);
        let mut options = NodeOptions::new(Arc::new(self.config()));
        options.storage.lane_bytes_at_start = 1 << 20;
        options.storage.disk_reserve_bytes = 1 << 20;
        if let Some(storage) = &self.storage {
            options.storage = storage.clone();
        }
        let ready = told.ready.clone();
        options.on_ready = Box::new(move |it| *ready.lock().unwrap() = Some(it));
        let error = told.error.clone();
        options.on_error = Box::new(move |it| *error.lock().unwrap() = Some(it));
        self.stop = Some(system.stop_handle());
        let mains = Node::mains(&system, options);
        self.simulation.start(self.machine, &system, mains);
        self.told = told;
    }

    /// Starts the node and waits until it serves, or says why not.
    pub fn start(&mut self) -> Result<Ready, NodeError> {
        self.launch();
        let told = self.told.clone();
        let is_decided = || told.ready.lock().unwrap().is_some() || self_error(&told).is_some();
        let seed = self.seed;
        assert!(
            self.simulation.run_until(is_decided, LIMIT),
            "seed {seed}: the node neither starts nor fails"
        );
        if let Some(error) = self_error(&self.told) {
            self.wait_down();
            return Err(error);
        }
        Ok(self.told.ready.lock().unwrap().clone().unwrap())
    }

    /// Starts the node and waits for at most `limit`, crash points allowed for.
    pub fn attempt(&mut self, limit: Duration) -> Started {
        self.launch();
        let told = self.told.clone();
        let is_decided = || told.ready.lock().unwrap().is_some() || self_error(&told).is_some();
        let decided = self.simulation.run_until(is_decided, limit);
        if self.simulation.crash_point().is_some() {
            return Started::CrashPoint;
        }
        if !decided {
            return Started::Stuck;
        }
        if let Some(error) = self_error(&self.told) {
            return match self.stop_within(limit) {
                Stopped::Down => Started::Refused(error),
                Stopped::CrashPoint => Started::CrashPoint,
                Stopped::Stuck => Started::Stuck,
            };
        }
        let ready = self.told.ready.lock().unwrap().clone().unwrap();
        Started::Ready(Box::new(ready))
    }

    /// Starts the node, which must come up.
    pub fn up(&mut self) -> Ready {
        let seed = self.seed;
        self.start()
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"))
    }

    /// Stops the node as a signal would, and waits until it is down.
    pub fn stop(&mut self) {
        self.request_stop();
        self.wait_down();
    }

    /// Asks the node to stop.
    pub fn request_stop(&mut self) {
        if let Some(stop) = &self.stop {
            stop.request_stop();
        }
    }

    /// Asks the node to stop and waits for at most `limit`, crash points allowed for.
    pub fn stop_within(&mut self, limit: Duration) -> Stopped {
        self.request_stop();
        let deadline = self.simulation.now().saturating_add(limit);
        while self.simulation.is_running(self.machine) {
            if self.simulation.crash_point().is_some() {
                return Stopped::CrashPoint;
            }
            if self.simulation.now() >= deadline {
                return Stopped::Stuck;
            }
            self.simulation.run_for(Duration::from_millis(1));
        }
        Stopped::Down
    }

    /// Waits until every shard has ended.
    pub fn wait_down(&mut self) {
        let step = Duration::from_millis(10);
        for _ in 0..100_000 {
            if !self.simulation.is_running(self.machine) {
                return;
            }
            self.simulation.run_for(step);
        }
        panic!("seed {}: the node does not stop", self.seed);
    }

    /// Ends the node at once.
    pub fn crash(&mut self, kind: CrashKind) {
        self.simulation.crash(self.machine, kind);
        self.stop = None;
    }

    /// Where clients reach the node.
    pub fn address(&self) -> SocketAddr {
        self.simulation.address(self.machine, PORT)
    }

    /// Runs a client on a machine of its own to its end.
    pub fn client<T: 'static, F: Future<Output = T>>(
        &mut self,
        program: impl FnOnce(SocketAddr) -> F + 'static,
    ) -> T {
        let seed = self.seed;
        self.try_client(LIMIT, program)
            .unwrap_or_else(|error| panic!("seed {seed}: a client did not end: {error}"))
    }

    /// Starts a client on a machine of its own, which runs along with whatever the test does next.
    pub fn background<F: Future<Output = ()> + 'static>(
        &mut self,
        program: impl FnOnce(SocketAddr) -> F + 'static,
    ) -> SimNode {
        let address = self.address();
        let machine = self.simulation.add_node(1);
        let system = self.simulation.system(machine);
        let main: LocalMain = Box::new(move || Box::pin(program(address)));
        self.simulation.start_local(machine, &system, vec![main]);
        machine
    }

    /// Runs a client for at most `limit`.
    pub fn try_client<T: 'static, F: Future<Output = T>>(
        &mut self,
        limit: Duration,
        program: impl FnOnce(SocketAddr) -> F + 'static,
    ) -> Result<T, Unfinished> {
        let address = self.address();
        let machine = self.simulation.add_node(1);
        self.simulation
            .block_on(machine, limit, move || program(address))
    }
}

fn self_error(told: &Told) -> Option<NodeError> {
    told.error.lock().unwrap().clone()
}
