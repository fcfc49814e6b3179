//! What the run was on, as far as the kernel says.

use serde::Serialize;
use std::fs;
use std::path::Path;

/// What the run was on.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// Its kernel.
    pub kernel: String,
    /// Its processor.
    pub cpu: String,
    /// How many cores it has.
    pub cores: usize,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
    /// The load averages when the run began, over 1, 5 and 15 minutes.
    pub load_average_before: String,
    /// The same when it ended.
    pub load_average_after: String,
}

impl Machine {
    /// Looks.
    pub fn look() -> Self {
        let info = read("/proc/cpuinfo");
        let after_colon = |line: &str| line.split_once(':').map(|(_, v)| v.trim().to_owned());
        let models = info.lines().filter(|line| line.starts_with("model name"));
        let cpu = models.clone().next().and_then(after_colon);
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpu: cpu.unwrap_or_default(),
            cores: info
                .lines()
                .filter(|line| line.starts_with("processor"))
                .count(),
            memory_bytes: field_kib(&read("/proc/meminfo"), "MemTotal:") << 10,
            load_average_before: load_average(),
            load_average_after: String::new(),
        }
    }
}

/// The load averages now.
pub fn load_average() -> String {
    let text = read("/proc/loadavg");
    let words: Vec<&str> = text.split(' ').take(3).collect();
    words.join(" ")
}

/// A file of /proc; empty when it cannot be read.
pub fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number behind a name, in the files that count in KiB; 0 when it is not there.
pub fn field_kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
