//! `odradek storage`: what is done to a data directory whose broker is stopped.

mod repair;

use crate::cli::{Global, StorageVerb};
use crate::failure::Failure;

/// Runs a verb.
pub fn run(global: &Global, verb: &StorageVerb) -> Result<(), Failure> {
    match verb {
        StorageVerb::Repair(arguments) => repair::run(global, arguments),
    }
}
