//! What a run cost, as the kernel counts it.
//!
//! Keeps: the broker's figure is user and system time of its process and all processes below it,
//! threads and the kernel's io_uring workers among them (they are its threads). What the kernel does
//! for it elsewhere (writing back the page cache) is in no process; so the whole machine's busy time
//! stands beside it.

use crate::error::BenchError;
use crate::machine::{field_kib, read};
use crate::number::float;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;

/// Broker time below which ticks of 10 ms make a figure rough, in seconds.
pub const BROKER_SECONDS_MIN: f64 = 1.0;

/// What a run cost.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cost {
    /// User and system time of the broker, in seconds.
    pub broker_cpu_s: Option<f64>,
    /// That for 10^9 bytes of record values.
    pub broker_cpu_s_per_gb: Option<f64>,
    /// That for 10^6 records.
    pub broker_cpu_s_per_million_records: Option<f64>,
    /// That for 10^6 requests.
    pub broker_cpu_s_per_million_requests: Option<f64>,
    /// The broker's resident memory at the end, in bytes.
    pub broker_rss_bytes: Option<u64>,
    /// The most it ever was.
    pub broker_rss_peak_bytes: Option<u64>,
    /// User and system time of the load program, in seconds.
    pub generator_cpu_s: f64,
    /// That for 10^9 bytes of record values.
    pub generator_cpu_s_per_gb: f64,
    /// Busy time of all cores, whoever was at work, in seconds.
    pub machine_busy_s: f64,
    /// That for 10^9 bytes of record values.
    pub machine_busy_s_per_gb: f64,
}

/// The counters of the kernel at one moment, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    broker: Option<u64>,
    own: u64,
    machine: u64,
}

impl Sample {
    /// Reads the counters.
    pub fn take(broker_pid: Option<u32>) -> Result<Self, BenchError> {
        let broker = broker_pid.map(tree_ticks).transpose()?;
        Ok(Self {
            broker,
            own: process_ticks("self").unwrap_or(0),
            machine: busy_ticks(&read("/proc/stat")),
        })
    }
}

impl Cost {
    /// What lies between two samples, over the work done.
    pub fn between(
        before: &Sample,
        after: &Sample,
        broker_pid: Option<u32>,
        (bytes, records, requests): (u64, u64, u64),
    ) -> Self {
        let ticks = float(rustix::param::clock_ticks_per_second());
        let seconds = |from: u64, to: u64| float(to.saturating_sub(from)) / ticks;
        let per = |seconds: f64, count: u64, unit: f64| {
            (count > 0).then(|| seconds / (float(count) / unit))
        };
        let broker = before
            .broker
            .zip(after.broker)
            .map(|(from, to)| seconds(from, to));
        let own = seconds(before.own, after.own);
        let busy = seconds(before.machine, after.machine);
        let memory = |name| {
            let text = read(format!("/proc/{}/status", broker_pid?));
            Some(field_kib(&text, name) << 10).filter(|bytes| *bytes > 0)
        };
        Self {
            broker_cpu_s: broker,
            broker_cpu_s_per_gb: broker.and_then(|s| per(s, bytes, 1e9)),
            broker_cpu_s_per_million_records: broker.and_then(|s| per(s, records, 1e6)),
            broker_cpu_s_per_million_requests: broker.and_then(|s| per(s, requests, 1e6)),
            broker_rss_bytes: memory("VmRSS:"),
            broker_rss_peak_bytes: memory("VmHWM:"),
            generator_cpu_s: own,
            generator_cpu_s_per_gb: per(own, bytes, 1e9).unwrap_or(0.0),
            machine_busy_s: busy,
            machine_busy_s_per_gb: per(busy, bytes, 1e9).unwrap_or(0.0),
        }
    }
}

/// User and system time of a process and of all below it.
fn tree_ticks(pid: u32) -> Result<u64, BenchError> {
    let mut total = process_ticks(&pid.to_string()).ok_or(BenchError::NoProcess { pid })?;
    let parents = parents();
    let mut tree = BTreeSet::from([pid]);
    loop {
        let below: Vec<u32> = parents
            .iter()
            .filter(|(child, parent)| tree.contains(parent) && !tree.contains(child))
            .map(|(child, _)| *child)
            .collect();
        if below.is_empty() {
            return Ok(total);
        }
        for child in below {
            // One that has ended since is in its parent's own count of children, left out here.
            total += process_ticks(&child.to_string()).unwrap_or(0);
            tree.insert(child);
        }
    }
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = read(format!("/proc/{pid}/stat"));
            Some((pid, fields(&stat).nth(1)?.parse().ok()?))
        })
        .collect()
}

/// The fields of a stat file from the state on; the name before it may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace()
}

fn process_ticks(pid: &str) -> Option<u64> {
    let stat = read(format!("/proc/{pid}/stat"));
    // utime and stime are fields 14 and 15, the state is field 3.
    let mut times = fields(&stat).skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

/// Ticks that all cores together were not idle, from the first line of /proc/stat.
fn busy_ticks(stat: &str) -> u64 {
    let line = stat.lines().next().unwrap_or_default();
    let numbers: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|number| number.parse().unwrap_or(0))
        .collect();
    // user nice system idle iowait irq softirq; what follows is stolen or counted in user already.
    let idle = numbers.iter().skip(3).take(2).sum::<u64>();
    numbers.iter().take(7).sum::<u64>().saturating_sub(idle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn the_kernels_files_are_read_as_proc_5_describes_them() {
        assert_eq!(busy_ticks("cpu  10 1 20 700 30 4 5 60 7 8\ncpu0 1 2"), 40);
        let stat = "42 (a) b (c) S 7 1 1 0 -1 4 100 0 0 0 250 50 9 9 20 0";
        assert_eq!(fields(stat).nth(1), Some("7"));
        assert_eq!(fields(stat).nth(11), Some("250"));
    }

    #[test]
    fn work_of_a_child_counts_for_its_parent() {
        // Works, says so, and ends when its input does.
        let script = "exec 3<&0; (i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; \
                      read -r x <&3) & wait";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut said).unwrap();
        assert_eq!(said, "done\n");
        let whole = tree_ticks(child.id()).unwrap();
        let alone = process_ticks(&child.id().to_string()).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(alone < whole, "{alone} {whole}");
        assert!(tree_ticks(u32::MAX).is_err());
    }
}
