//! `odradek log`: what lies in a data directory, read with plain files and without opening it.
//!
//! Keeps: nothing is written, no lock is taken; damage is told and passed over, and makes the exit
//! code 1. Does not need io_uring.

mod directory;
mod disk;
mod dump;
mod item;
mod printer;
mod source;
mod stat;
mod verify;
mod walk;

use crate::cli::{Global, LogVerb};
use crate::failure::{Failure, Kind};
use engine_model::TopicId;
use std::collections::BTreeMap;
use std::path::Path;

/// Runs a verb.
pub fn run(global: &Global, verb: &LogVerb) -> Result<(), Failure> {
    match verb {
        LogVerb::Dump(arguments) => dump::run(global, arguments),
        LogVerb::Stat(arguments) => stat::run(global, arguments),
        LogVerb::Verify(arguments) => verify::run(global, arguments),
    }
}

/// The names of the topics of a data directory, as far as they can be read.
pub fn topic_names(path: &Path) -> BTreeMap<TopicId, String> {
    directory::Directory::load(path).map_or_else(|_| BTreeMap::new(), |directory| directory.names)
}

/// What ends a reading that met damage.
fn damaged(count: u64) -> Result<(), Failure> {
    match count {
        0 => Ok(()),
        1 => Err(Failure::new(Kind::Failed, "1 place is damaged")),
        _ => Err(Failure::new(
            Kind::Failed,
            format!("{count} places are damaged"),
        )),
    }
}
