//! Compaction: of each key the last record is kept, by Kafka's rules.
//!
//! A round takes one log: `plan` says which segments, `offset_map` learns the last offset of every
//! key in the uncompacted ones, `filter` decides of each batch what stays, and `round` writes what
//! stays into new segments, which take the place of the old ones by one Replace entry a group.
//!
//! Keeps:
//! - offsets never change, nor the order of records, nor where the log starts and ends;
//! - of a key, the last record below the end of the round stays, if it has a value or its delete
//!   horizon has not passed;
//! - nothing at or above the high watermark or an open transaction is looked at;
//! - a crash or an error at any point leaves the old segments or the new ones.
//!
//! Does not: decide when to run or how fast (`upkeep::compaction`), or remove by age or size
//! (`upkeep::retention`). Source: Kafka 4.3.1, `Cleaner`, `LogCleanerManager`, `RecordFilter`;
//! KIP-58, KIP-354, KIP-534.

mod filter;
mod key_hash;
mod offset_map;
mod output;
mod plan;
mod round;
mod transactions;

pub(crate) use filter::LastOfProducer;
pub(crate) use plan::{CompactionPlan, cleanable_count, plan};
pub(crate) use round::{Round, RoundError, Rounded};
