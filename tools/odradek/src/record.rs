//! `odradek record`: one file a verb.

mod cat;
mod consume;
mod format;
mod input;
mod produce;
mod pump;
mod template;

use crate::cli::{Global, RecordVerb};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::properties::ClientProperties;

/// Runs a verb.
pub fn run(global: &Global, verb: &RecordVerb) -> Result<(), Failure> {
    let properties = ClientProperties::of(global)?;
    let mut driver = Driver::new(global, &properties);
    match verb {
        RecordVerb::Produce(arguments) => produce::run(&mut driver, global, &properties, arguments),
        RecordVerb::Cat(arguments) => cat::run(global, arguments),
        RecordVerb::Consume(arguments) => consume::run(&mut driver, global, &properties, arguments),
    }
}
