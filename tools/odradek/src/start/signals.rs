//! Ctrl-C and SIGTERM.

use crate::failure::{Failure, Kind};
use crate::start::banner;
use engine_rt::StopHandle;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The exit code that shells give a command ended by Ctrl-C.
const EXIT_CTRL_C: i32 = 130;
/// The same for SIGTERM.
const EXIT_TERMINATED: i32 = 143;

/// Ends the process with 130 at Ctrl-C: for commands that have nothing to put in order.
pub fn exit_130_on_ctrl_c() -> Result<(), Failure> {
    let always = Arc::new(AtomicBool::new(true));
    flag::register_conditional_shutdown(SIGINT, EXIT_CTRL_C, Arc::clone(&always))
        .and_then(|_| flag::register_conditional_shutdown(SIGTERM, EXIT_TERMINATED, always))
        .map(|_| ())
        .map_err(|error| cannot_watch(&error))
}

/// Stops the node at the first signal and ends the process at the second.
///
/// The second loses nothing: what was acknowledged is in the log, as after `kill -9`. It leaves
/// the next start more to read.
pub fn stop_on_signals(
    stop: StopHandle,
    remove: Option<PathBuf>,
    is_quiet: bool,
) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| cannot_watch(&error))?;
    let watch = move || {
        let mut is_first = true;
        for signal in signals.forever() {
            if is_first {
                is_first = false;
                banner::say(is_quiet, "stopping; once more ends it at once");
                stop.request_stop();
                continue;
            }
            if let Some(path) = &remove {
                // It was to go at the end, and this is the end.
                let _ = std::fs::remove_dir_all(path);
            }
            std::process::exit(match signal {
                SIGINT => EXIT_CTRL_C,
                _ => EXIT_TERMINATED,
            });
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(watch)
        .map(|_| ())
        .map_err(|error| cannot_watch(&error))
}

fn cannot_watch(error: &std::io::Error) -> Failure {
    Failure::new(Kind::Failed, format!("cannot watch for signals: {error}"))
}
