//! Byte layouts that Kafka fixed: record batches of version 2, their records, varints,
//! compression, CRC-32C.
//!
//! Keeps:
//! - bytes of clients or disk never panic, loop without bound, or make this crate allocate more
//!   than the bytes present (or a bound of the caller's) justify;
//! - a batch that stays compressed stays untouched: nothing here decompresses unless asked to;
//! - what is read is sliced out of the buffer it came in, never copied, unless it was compressed.
//!
//! Does not: read or write message formats 0 and 1 (Kafka 4 does not either), know about
//! requests, logs, topics or time.
//!
//! A walk through the crate: [`batches`] cuts a records field into [`Batch`]es, [`validate()`] checks
//! one without opening it, [`validate_deep`] opens it, [`RecordIter`] yields its records,
//! [`BatchBuilder`] writes one, [`recompress()`] writes it anew with another compression.
//! Source: the Kafka protocol guide, "Record batch"; KIP-98, KIP-82, KIP-534.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod attributes;
mod batch;
mod builder;
mod compression;
pub mod crc;
mod error;
mod header;
mod lookup;
mod recompress;
mod record;
mod record_iter;
mod validate;
pub mod varint;

pub use attributes::{Attributes, TimestampType};
pub use batch::{
    Batch, BatchIter, batches, crc32c_of_whole, set_broker_fields, stamp_log_append_time,
    stamp_max_timestamp,
};
pub use builder::{BatchBuilder, BatchOptions, RecordData, empty_batch};
pub use compression::{Compression, CompressionError, Decompressor, compress, decompress};
pub use error::{
    BatchError, BatchErrorKind, BuildError, RecordError, RecordErrorReason, RecordFault,
};
pub use header::{BatchHeader, HEADER_BYTES, LENGTH_MIN, LOG_OVERHEAD_BYTES, MAGIC};
pub use lookup::{TimestampedOffset, first_at_or_after, latest_record};
pub use recompress::recompress;
pub use record::{Header, Record};
pub use record_iter::RecordIter;
pub use validate::{DeepLimits, DeepReport, Origin, validate, validate_deep};
