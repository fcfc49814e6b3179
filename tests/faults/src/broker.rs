//! The real binary over a directory of our choice: start, kill, what it said.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tests_binary::Said;

/// A broker that is neither ready nor gone by then hangs. Generous: the machine may be busy.
const START_DURATION_MAX: Duration = Duration::from_mins(1);
/// A killed broker that is not gone by then hangs in the kernel.
const KILL_DURATION_MAX: Duration = Duration::from_mins(1);

/// What came of a start.
#[derive(Debug)]
pub enum Start {
    /// It serves.
    Ready(Broker),
    /// It ended by itself, and said this.
    Ended(String),
    /// It was killed: the caller did not want to wait any more.
    GivenUp,
}

/// A running broker; killed when dropped.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    address: SocketAddr,
    said: Said,
}

impl Broker {
    /// Starts a broker of two shards on a free port and waits until it serves, it ends, or
    /// `gives_up`.
    pub fn start(directory: &Path, settings: &[&str], gives_up: impl Fn() -> bool) -> Start {
        let mut command = Command::new(tests_binary::path());
        command.args(["start", "--listen", "127.0.0.1:0", "--shards", "2"]);
        command.arg("--data-dir").arg(directory);
        for setting in settings {
            command.args(["-X", setting]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting the broker");
        let said = Said::default();
        let ready = said.follow(&mut child);
        let deadline = Instant::now() + START_DURATION_MAX;
        let unborn = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut broker = Self {
            child,
            address: unborn,
            said,
        };
        loop {
            match ready.recv_timeout(Duration::from_millis(10)) {
                Ok(address) => {
                    broker.address = address;
                    return Start::Ready(broker);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    broker.kill();
                    return Start::Ended(broker.said());
                }
                Err(RecvTimeoutError::Timeout) if gives_up() => {
                    broker.kill();
                    return Start::GivenUp;
                }
                Err(RecvTimeoutError::Timeout) => assert!(
                    Instant::now() < deadline,
                    "the broker neither serves nor ends:\n{}",
                    broker.said()
                ),
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait().expect("looking at the broker");
        ended.is_none()
    }

    /// Ends the process at once, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let deadline = Instant::now() + KILL_DURATION_MAX;
        while self.is_running() {
            assert!(Instant::now() < deadline, "a killed broker does not go");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// All it has said on standard error so far.
    pub fn said(&self) -> String {
        self.said.text()
    }

    /// Lines of its log that speak of a mistake of its own.
    pub fn complaints(&self) -> Vec<String> {
        let said = self.said();
        let panics = said.lines().filter(|line| line.contains("panicked"));
        panics.map(str::to_owned).collect()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- the broker said:\n{}", self.said());
        }
    }
}
