//! This process and the broker's.

use crate::error::BenchError;
use crate::machine::read;
use crate::options::Common;

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
