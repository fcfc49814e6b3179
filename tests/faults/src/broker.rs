//! The real binary over a directory of our choice: start, kill, what it said.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

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
    said: Arc<Mutex<String>>,
}

impl Broker {
    /// Starts a broker of two shards on a free port and waits until it serves, it ends, or
    /// `gives_up`.
    pub fn start(directory: &Path, settings: &[&str], gives_up: impl Fn() -> bool) -> Start {
        let mut command = Command::new(odradek());
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
        let stderr = child.stderr.take().expect("a piped stderr");
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, ready) = channel();
        let lines = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let address = line.contains("ready").then(|| address_in(&line)).flatten();
                let mut said = lines.lock().expect("what the broker said");
                said.push_str(&line);
                said.push('\n');
                drop(said);
                if let Some(address) = address {
                    // Nobody may wait any more.
                    let _ = sender.send(address);
                }
            }
        });
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
        self.said.lock().expect("what the broker said").clone()
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

fn address_in(line: &str) -> Option<SocketAddr> {
    line.split(|c: char| c.is_whitespace() || c == ',' || c == '/')
        .find_map(|word| word.trim_end_matches(['.', ')']).parse().ok())
}

/// The path of the binary, built first so that no test meets an old one.
pub fn odradek() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // This program lies in TARGET/PROFILE, a test in TARGET/PROFILE/deps.
        let here = std::env::current_exe().expect("the path of this program");
        let mut folder = here.parent().expect("a target folder");
        if folder.ends_with("deps") {
            folder = folder.parent().expect("a target folder");
        }
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--quiet", "-p", "tools-odradek"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let status = build.current_dir(root).stdin(Stdio::null()).status();
        assert!(status.expect("cargo").success(), "building the binary");
        folder.join("odradek")
    })
}
