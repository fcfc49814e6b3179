//! This process and the broker's.

use crate::error::BenchError;
use crate::machine::read;
use crate::options::Common;
use std::fs;
use std::path::PathBuf;

/// Moves this thread, and so the run, to its core.
pub fn pin(common: &Common) -> Result<(), BenchError> {
    let Some(cpu) = common.cpu else {
        return Ok(());
    };
    if cpu >= rustix::thread::CpuSet::MAX_CPU {
        return Err(BenchError::Options("there is no such core"));
    }
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(cpu);
    rustix::thread::sched_setaffinity(None, &cores).map_err(|error| BenchError::System {
        what: "cannot move to the core",
        source: error.into(),
    })
}

/// The command line of a process, where it can be read.
pub fn command_of(pid: u32) -> String {
    let command = read(format!("/proc/{pid}/cmdline"));
    command.trim_end_matches('\0').replace('\0', " ")
}

/// The kinds of file systems, as ext4, on which a process has files open.
pub fn file_systems_of(pid: u32) -> Vec<String> {
    let mounts = read(format!("/proc/{pid}/mounts"));
    // Device, place, kind, options.
    let mounts: Vec<(PathBuf, &str)> = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((PathBuf::from(words.next()?), words.next()?))
        })
        .collect();
    let open = fs::read_dir(format!("/proc/{pid}/fd"));
    let files = open.into_iter().flatten().flatten();
    let mut kinds = Vec::new();
    for file in files.filter_map(|entry| fs::read_link(entry.path()).ok()) {
        let holder = mounts
            .iter()
            .filter(|(place, _)| file.starts_with(place))
            .max_by_key(|(place, _)| place.components().count());
        let Some((_, kind)) = holder else {
            continue;
        };
        let is_data = fs::metadata(&file).is_ok_and(|file| file.is_file());
        if is_data && *kind != "proc" && !kinds.iter().any(|known| known == kind) {
            kinds.push((*kind).to_owned());
        }
    }
    kinds
}
