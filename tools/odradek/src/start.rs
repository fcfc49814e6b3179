//! `odradek start`: settings, the node, signals, what is said on the way.

mod signals;

pub use signals::exit_130_on_ctrl_c;

use crate::cli::{Global, StartArguments};
use crate::failure::Failure;

/// Runs it until it is told to stop.
pub fn run(_global: &Global, _arguments: &StartArguments) -> Result<(), Failure> {
    Ok(())
}
