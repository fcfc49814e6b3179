//! `odradek start`: settings, the node, signals, what is said on the way.
//!
//! Keeps: nothing goes to stdout; one line on stderr says `ready` and the address, once clients are
//! served; the exit code is 0 after a clean stop alone.

mod banner;
mod directory;
mod settings;
mod signals;

pub use banner::say;
pub use settings::read as read_settings;
pub use signals::exit_130_on_ctrl_c;

use crate::cli::{Global, StartArguments};
use crate::doctor;
use crate::failure::{Failure, Kind};
use banner::Banner;
use directory::DataDirectory;
use engine_config::BrokerConfig;
use engine_rt::{System, UringConfig, process};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tools_node::{ExitClass, Node, NodeError, NodeOptions};

/// Runs the broker until it is told to stop.
pub fn run(global: &Global, arguments: &StartArguments) -> Result<(), Failure> {
    let started = Instant::now();
    init_log(global);
    let config = Arc::new(settings::read(global, arguments)?);
    // A connection and an open file take a descriptor each; the usual soft limit of 1024 is for
    // programs that use select(2).
    process::raise_descriptor_limit(1 << 20);
    let lasting = (!arguments.ephemeral).then(|| Path::new(&config.data_dir));
    for warning in doctor::quick(&config, lasting) {
        banner::say(global.quiet, &warning);
    }
    let system = System::uring(uring(&config)).map_err(|error| start_failure(&error))?;
    let directory = DataDirectory::new(&config, arguments.ephemeral)?;
    signals::stop_on_signals(system.stop_handle(), directory.to_remove(), global.quiet)?;

    let failed: Arc<Mutex<Option<NodeError>>> = Arc::default();
    let banner = Banner::new(&config, &directory, started, global.quiet);
    let mut options = NodeOptions::new(Arc::clone(&config));
    if config.queued_request_bytes_max.is_none() {
        options.request_memory_bytes = request_memory_bytes().max(config.request_bytes_max);
    }
    directory.path().clone_into(&mut options.data_dir);
    options.on_ready = Box::new(move |ready| banner.ready(&ready));
    let slot = Arc::clone(&failed);
    options.on_error = Box::new(move |error| {
        if let Ok(mut slot) = slot.lock() {
            slot.get_or_insert(error);
        }
    });

    let mains = Node::mains(&system, options);
    let run = system.run(mains);
    let error = failed.lock().ok().and_then(|mut slot| slot.take());
    if let Some(error) = error {
        return Err(node_failure(&error));
    }
    run.map_err(|error| match error {
        engine_rt::RunError::Start(error) => start_failure(&error),
        other => Failure::new(Kind::Failed, other),
    })?;
    directory.remove()?;
    banner::say(global.quiet, "stopped clean");
    Ok(())
}

/// How many shards a start has when it may use so many CPUs.
pub fn shards(config: &BrokerConfig, cpus: usize) -> usize {
    let allowed = || process::cpu_quota().map_or(cpus, |quota| quota.min(cpus));
    config.shards.unwrap_or_else(allowed).max(1)
}

/// One shard a CPU, pinned; where more shards than CPUs are wanted, the system places them.
fn uring(config: &BrokerConfig) -> UringConfig {
    let cpus = process::available_cpus();
    let shards = shards(config, cpus.len());
    let pinned = shards <= cpus.len();
    let cpu = |shard: usize| cpus.get(shard).copied().filter(|_| pinned);
    UringConfig {
        cpus: (0..shards).map(cpu).collect(),
        watchdog: config.watchdog_timeout,
        ..UringConfig::default()
    }
}

/// An eighth of the memory there is, within bounds: most of the rest belongs to the page cache of
/// others, and what is kept of the logs has limits of its own.
fn request_memory_bytes() -> usize {
    let memory = process::memory_bytes();
    usize::try_from(memory / 8)
        .unwrap_or(usize::MAX)
        .clamp(256 << 20, 1 << 30)
}

fn start_failure(error: &engine_rt::StartError) -> Failure {
    let what = format!("{} (found: {})", error.what, error.found);
    Failure::new(Kind::Failed, what).hint(&error.fix)
}

fn node_failure(error: &NodeError) -> Failure {
    let kind = match error.exit_class() {
        ExitClass::Usage => Kind::Usage,
        ExitClass::Failed => Kind::Failed,
    };
    let failure = Failure::new(kind, error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Logs go to stderr: what an operator must see, and more with `-v`.
fn init_log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => tracing::Level::ERROR,
        (_, 0) => tracing::Level::WARN,
        (_, 1) => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(crate::output::is_colored(&std::io::stderr()))
        .with_writer(std::io::stderr);
    // A second log in one process is refused; the first one goes on.
    let _ = log.try_init();
}
