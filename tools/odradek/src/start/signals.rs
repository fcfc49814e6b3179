//! Ctrl-C and SIGTERM.

use crate::failure::{Failure, Kind};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
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
        .map_err(|error| Failure::new(Kind::Failed, format!("cannot watch for signals: {error}")))
}
