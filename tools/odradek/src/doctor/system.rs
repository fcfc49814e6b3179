//! Kernel, io_uring, limits, control group.

use super::check::{Check, Status};
use crate::start;
use engine_config::BrokerConfig;
use engine_rt::{System, UringConfig, process};
use std::path::{Path, PathBuf};

/// A broker with fewer descriptors runs out of them with its first thousand connections.
const DESCRIPTORS_MIN: u64 = 65_536;
/// Memory that one shard wants: its part of the caches, of the buffers, and some room.
const BYTES_PER_SHARD: u64 = 256 << 20;

/// Every check of the machine and the limits of this process.
pub fn checks(config: &BrokerConfig) -> Vec<Check> {
    let shards = shards(config);
    let mut checks = vec![kernel(), io_uring(config, shards)];
    checks.extend(cheap_checks(shards));
    checks
}

/// Those a start does not make itself anyway.
pub fn quick_checks(config: &BrokerConfig) -> Vec<Check> {
    cheap_checks(shards(config))
}

fn cheap_checks(shards: usize) -> Vec<Check> {
    let limits = read("/proc/self/limits").unwrap_or_default();
    vec![
        locked_memory(&limits, shards),
        descriptors(&limits),
        cpus(shards),
        memory(shards),
    ]
}

/// How many shards a start would have.
fn shards(config: &BrokerConfig) -> usize {
    start::shards(config, process::available_cpus().len())
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

fn kernel() -> Check {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    let mut parts = release.split(|letter: char| !letter.is_ascii_digit());
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
    let version = number(parts.next()).zip(number(parts.next()));
    let why = "the rings need Linux 6.1: one issuer, work deferred until it asks";
    let check = Check::ok("kernel", why, format!("Linux {release}"));
    match version {
        Some(version) if version < (6, 1) => check.but(
            Status::Problem,
            "run on Linux 6.1 or newer (`uname -r` shows it)",
        ),
        Some(_) => check,
        None => check.but(
            Status::Warning,
            "mount /proc, so that the version can be read",
        ),
    }
}

/// Makes a ring as a start does, and lets it go.
fn io_uring(config: &BrokerConfig, shards: usize) -> Check {
    let sysctl = read("/proc/sys/kernel/io_uring_disabled");
    let status = read("/proc/self/status").unwrap_or_default();
    let seccomp = status
        .lines()
        .find_map(|line| line.strip_prefix("Seccomp:"))
        .map_or("unknown", |mode| match mode.trim() {
            "0" => "no filter",
            "1" => "strict",
            "2" => "a filter",
            _ => "unknown",
        });
    let found = format!(
        "kernel.io_uring_disabled = {}, seccomp: {seccomp}",
        sysctl.as_deref().unwrap_or("not there")
    );
    let why = "all files and sockets go through io_uring; containers often forbid it";
    let rings = UringConfig {
        cpus: vec![None; shards],
        watchdog: config.watchdog_timeout,
        ..UringConfig::default()
    };
    match System::uring(rings) {
        Ok(system) => {
            drop(system);
            Check::ok("io_uring", why, format!("allowed ({found})"))
        }
        Err(error) => {
            let measured = format!("{}: {} ({found})", error.what, error.found);
            Check::ok("io_uring", why, measured).but(Status::Problem, error.fix)
        }
    }
}

fn locked_memory(limits: &str, shards: usize) -> Check {
    let per_shard = u64::try_from(shards).unwrap_or(1).saturating_mul(64 << 10);
    let needed = per_shard.max(512 << 10);
    let limit = process::locked_memory_limit();
    let hard = row(limits, "Max locked memory").map_or(limit, |(_, hard)| hard);
    let why = "the rings of each shard count against the limit of locked memory";
    let text = |bytes: u64| match bytes {
        u64::MAX => "unlimited".to_owned(),
        bytes => format!("{} KiB", bytes >> 10),
    };
    let measured = format!(
        "{} (at most {}), {shards} shards want {}",
        text(limit),
        text(hard),
        text(needed)
    );
    let check = Check::ok("locked memory", why, measured);
    if limit.max(hard) >= needed {
        return check;
    }
    let fix = format!(
        "`ulimit -l {}`; with systemd `LimitMEMLOCK={needed}`; in a container `--ulimit memlock={needed}`",
        needed >> 10
    );
    check.but(Status::Problem, fix)
}

/// The soft and the hard limit of a row of `/proc/self/limits`.
fn row(limits: &str, name: &str) -> Option<(u64, u64)> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = line.split_whitespace();
    let number = |word: &str| match word {
        "unlimited" => Some(u64::MAX),
        word => word.parse().ok(),
    };
    Some((number(words.next()?)?, number(words.next()?)?))
}

fn descriptors(limits: &str) -> Check {
    let why = "each connection and each open file takes a descriptor";
    let Some((soft, hard)) = row(limits, "Max open files") else {
        return Check::ok("open files", why, "unknown").but(Status::Warning, "mount /proc");
    };
    let measured = format!(
        "{soft}, which a start raises to {}",
        hard.min(1 << 20).max(soft)
    );
    let check = Check::ok("open files", why, measured);
    if hard.max(soft) >= DESCRIPTORS_MIN {
        return check;
    }
    let fix = format!(
        "`ulimit -n {DESCRIPTORS_MIN}`; with systemd `LimitNOFILE={DESCRIPTORS_MIN}`; in a container \
         `--ulimit nofile={DESCRIPTORS_MIN}`"
    );
    check.but(Status::Warning, fix)
}

fn cpus(shards: usize) -> Check {
    let cpus = process::available_cpus().len();
    let quota = process::cpu_quota();
    let why = "a shard is a thread that wants a CPU of its own; more shards than CPUs wait for each other";
    let quota_text = quota.map_or("no quota".to_owned(), |quota| {
        format!("a quota of {quota} of the control group")
    });
    let check = Check::ok(
        "cpus",
        why,
        format!("{shards} shards on {cpus} CPUs, {quota_text}"),
    );
    let most = quota.map_or(cpus, |quota| quota.min(cpus));
    if shards <= most {
        return check;
    }
    check.but(
        Status::Warning,
        format!("`--shards {most}`, or more CPUs for the control group"),
    )
}

fn memory(shards: usize) -> Check {
    let why = "a process that outgrows its control group is killed";
    let needed = u64::try_from(shards)
        .unwrap_or(1)
        .saturating_mul(BYTES_PER_SHARD);
    let limit = group_memory_max();
    let of_group = limit.is_some();
    let total = limit.or_else(machine_memory);
    let Some(total) = total else {
        return Check::ok("memory", why, "unknown");
    };
    let place = if of_group {
        "the control group"
    } else {
        "the machine"
    };
    let measured = format!(
        "{} MiB in {place}, {} MiB wanted for the shards",
        total >> 20,
        needed >> 20
    );
    let check = Check::ok("memory", why, measured);
    if total >= needed {
        return check;
    }
    let most = (total / BYTES_PER_SHARD).max(1);
    check.but(
        Status::Warning,
        format!("`--shards {most}`, or `memory.max` of at least {needed}"),
    )
}

/// The smallest `memory.max` from this process's group up to the root.
fn group_memory_max() -> Option<u64> {
    let groups = read("/proc/self/cgroup")?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut place = PathBuf::from("/sys/fs/cgroup");
    place.push(path.trim_start_matches('/'));
    let root = Path::new("/sys/fs/cgroup");
    let mut least: Option<u64> = None;
    while place.starts_with(root) {
        let here = read(place.join("memory.max")).and_then(|text| text.parse().ok());
        least = [least, here].into_iter().flatten().min();
        if !place.pop() {
            break;
        }
    }
    least
}

fn machine_memory() -> Option<u64> {
    let text = read("/proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}
