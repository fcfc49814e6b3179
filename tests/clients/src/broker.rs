//! The real binary as a child process: start, kill, restart, stop.

use crate::command::{Output, odradek, run};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A broker that is not ready by then fails the test. Generous: the machine may be busy.
const START_DURATION_MAX: Duration = Duration::from_mins(1);
/// A broker that has not stopped by then fails the test.
const STOP_DURATION_MAX: Duration = Duration::from_mins(1);

/// How a broker is started.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Number of shards.
    pub shards: usize,
    /// Whether the broker keeps its data in a directory of its own making, to be removed.
    pub is_ephemeral: bool,
    /// Further arguments of `odradek start`.
    pub arguments: Vec<String>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            shards: 2,
            is_ephemeral: false,
            arguments: Vec::new(),
        }
    }
}

/// A running broker with its own data directory; killed when dropped.
pub struct Broker {
    options: BrokerOptions,
    folder: TempDir,
    child: Child,
    address: String,
    said: Arc<Mutex<String>>,
}

impl Broker {
    /// Starts a broker on an empty directory and a free port, and waits until it is ready.
    pub fn start(options: BrokerOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let said = Arc::new(Mutex::new(String::new()));
        let (child, address) = launch(&options, &folder, "127.0.0.1:0", &said);
        Self {
            options,
            folder,
            child,
            address,
            said,
        }
    }

    /// A broker of two shards with nothing else set.
    pub fn with_defaults() -> Self {
        Self::start(BrokerOptions::default())
    }

    /// HOST:PORT of the listener; the same after every restart.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("killing the broker");
        self.child.wait().expect("waiting for the broker");
    }

    /// Starts it again over the same directory and port, after `kill` or `stop`.
    pub fn restart(&mut self) {
        let (child, address) = launch(&self.options, &self.folder, &self.address, &self.said);
        assert_eq!(address, self.address, "the address after a restart");
        self.child = child;
    }

    /// Starts it again with another number of shards.
    pub fn restart_with_shards(&mut self, shards: usize) {
        self.options.shards = shards;
        self.restart();
    }

    /// Asks it to stop with SIGTERM and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        let output = run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        assert_eq!(output.code, 0, "{}", output.stderr);
        let deadline = Instant::now() + STOP_DURATION_MAX;
        loop {
            if let Some(status) = self.child.try_wait().expect("waiting for the broker") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the broker does not stop:\n{}",
                self.said()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("looking at the broker")
            .is_none()
    }

    /// All it has said on standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("what the broker said").clone()
    }

    /// The data directory.
    pub fn data_directory(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Runs `odradek ARGUMENTS -b ADDRESS`.
    pub fn odradek(&self, arguments: &[&str]) -> Output {
        run(Command::new(odradek())
            .args(arguments)
            .args(["-b", &self.address]))
    }

    /// Creates a topic with the command line tool.
    pub fn create_topic(&self, name: &str, partitions: usize) {
        let partitions = partitions.to_string();
        let _created = self
            .odradek(&["topic", "create", name, "--partitions", &partitions])
            .expect_success();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("---- the broker said:\n{}", self.said());
        }
    }
}

fn launch(
    options: &BrokerOptions,
    folder: &TempDir,
    listen: &str,
    said: &Arc<Mutex<String>>,
) -> (Child, String) {
    let mut command = Command::new(odradek());
    command.arg("start");
    if options.is_ephemeral {
        command.arg("--ephemeral");
    } else {
        command.arg("--data-dir").arg(folder.path().join("data"));
    }
    let mut child = command
        .args(["--listen", listen, "--shards", &options.shards.to_string()])
        .args(&options.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting the broker");
    let lines = follow(&mut child, Arc::clone(said));
    let deadline = Instant::now() + START_DURATION_MAX;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) if line.contains("ready") => {
                if let Some(address) = address_in(&line) {
                    return (child, address);
                }
            }
            Ok(_) => {}
            Err(e) => {
                let _ = child.kill();
                let status = child.wait();
                let said = said.lock().expect("what the broker said").clone();
                panic!("the broker is not ready ({e}, {status:?}):\n{said}");
            }
        }
    }
}

/// Hands on what the child says line by line, and keeps all of it.
fn follow(child: &mut Child, said: Arc<Mutex<String>>) -> Receiver<String> {
    let stderr = child.stderr.take().expect("a piped stderr");
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            let Ok(line) = line else { break };
            let mut said = said.lock().expect("what the broker said");
            said.push_str(&line);
            said.push('\n');
            drop(said);
            // Nobody waits any more once the broker was ready.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// The first HOST:PORT in a line.
fn address_in(line: &str) -> Option<String> {
    line.split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.trim_end_matches(['.', ';', ')']))
        .map(|word| word.rsplit(['/', '=', '(']).next().unwrap_or(word))
        .find(|word| word.parse::<std::net::SocketAddr>().is_ok())
        .map(str::to_owned)
}
