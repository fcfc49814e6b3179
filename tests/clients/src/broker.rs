//! The real binary as a child process: start, kill, restart, stop.

use crate::command::{Output, run};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tests_binary::Said;

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
    said: Said,
}

impl Broker {
    /// Starts a broker on an empty directory and a free port, and waits until it is ready.
    pub fn start(options: BrokerOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let said = Said::default();
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
        self.said.text()
    }

    /// The data directory.
    pub fn data_directory(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Runs `odradek ARGUMENTS -b ADDRESS`.
    pub fn odradek(&self, arguments: &[&str]) -> Output {
        run(Command::new(tests_binary::path())
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

fn launch(options: &BrokerOptions, folder: &TempDir, listen: &str, said: &Said) -> (Child, String) {
    let mut command = Command::new(tests_binary::path());
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
    match said.follow(&mut child).recv_timeout(START_DURATION_MAX) {
        Ok(address) => (child, address.to_string()),
        Err(error) => {
            let _ = child.kill();
            let status = child.wait();
            panic!(
                "the broker is not ready ({error}, {status:?}):\n{}",
                said.text()
            );
        }
    }
}
