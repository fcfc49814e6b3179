//! The end to end load: what is produced at a fixed rate is consumed at the tail.
//!
//! Keeps: latency counts from the moment a batch was meant to be sent to the moment the answer with it
//! had been read; one thread does both, so both are read off one clock. A batch is known by its place in
//! its partition, so nobody else may write to the topic.

use crate::error::BenchError;
use crate::options::E2eOptions;
use crate::produce::measure;
use crate::report::{Progress, Report};

/// Produces and consumes as `options` say, tells `progress` twice a second, and says what came of it.
///
/// Errors: any refusal of the broker, and records that are not the ones expected next, end the run.
pub fn e2e(options: &E2eOptions, progress: &mut dyn FnMut(Progress)) -> Result<Report, BenchError> {
    if options.produce.rate.is_none() {
        return Err(BenchError::Options("an end to end run needs a rate"));
    }
    measure(&options.produce, Some(&options.limits), progress)
}
