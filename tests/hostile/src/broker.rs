//! The real binary as a child process, and what it costs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tests_binary::Said;

/// Generous: the machine may be busy.
const START_DURATION_MAX: Duration = Duration::from_mins(1);

/// A broker on an empty directory of its own; killed when dropped.
pub struct Broker {
    child: Child,
    address: SocketAddr,
    said: Said,
    folder: tempfile::TempDir,
}

impl Broker {
    /// Starts a broker of `shards` shards that may hold `budget` bytes for its clients, with the
    /// smallest redo log there is: what is in it stands in memory too.
    pub fn start(shards: usize, budget: u64) -> Self {
        Self::start_within(shards, budget, None)
    }

    /// The same with at most so many descriptors.
    pub fn start_within(shards: usize, budget: u64, descriptors: Option<u32>) -> Self {
        let settings = [
            format!("queued.max.request.bytes={budget}"),
            "lane.bytes=16777216".to_owned(),
        ];
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut command = match descriptors {
            None => Command::new(tests_binary::path()),
            Some(limit) => {
                let mut shell = Command::new("bash");
                shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]);
                shell.arg(tests_binary::path());
                shell
            }
        };
        command.args(["start", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(folder.path().join("data"));
        command.args(["--shards", &shards.to_string()]);
        for setting in &settings {
            command.args(["-X", setting]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting the broker");
        let said = Said::default();
        let address = said.follow(&mut child).recv_timeout(START_DURATION_MAX);
        let address = match address {
            Ok(address) => address,
            Err(error) => {
                let _ = child.kill();
                panic!("the broker is not ready ({error}):\n{}", said.text());
            }
        };
        Self {
            child,
            address,
            said,
            folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("looking at the broker")
            .is_none()
    }

    /// Lines of its log that speak of a panic or of another mistake of its own.
    pub fn complaints(&self) -> Vec<String> {
        let said = self.said.text();
        let is_complaint = |line: &&str| line.contains("panicked") || line.contains("ERROR");
        said.lines()
            .filter(is_complaint)
            .map(str::to_owned)
            .collect()
    }

    /// How many lines of its log hold these words.
    pub fn said_count(&self, words: &str) -> usize {
        let said = self.said.text();
        said.lines().filter(|line| line.contains(words)).count()
    }

    /// The last lines of its log.
    pub fn said_last(&self) -> String {
        let said = self.said.text();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Bytes of memory it has in RAM now.
    pub fn resident_bytes(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most it ever had.
    pub fn resident_bytes_max(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.process_id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix(field))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|kib| kib.parse::<u64>().ok())
            .map_or(0, |kib| kib * 1024)
    }

    /// Connections it has open, and its listeners.
    pub fn sockets(&self) -> usize {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fd", self.process_id())) else {
            return 0;
        };
        entries
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// Its data directory.
    pub fn data_directory(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- the broker said last:\n{}", self.said_last());
        }
    }
}
