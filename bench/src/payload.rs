//! The batch that is sent again and again.

use crate::error::BenchError;
use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, Compression, RecordData};
use engine_model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the text of the values begins; any number but zero does.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// A batch and what it holds.
#[derive(Clone, Debug)]
pub struct Payload {
    /// As it goes over the wire.
    pub batch: Bytes,
    /// Records in it.
    pub records: u64,
    /// Bytes of their values before compression.
    pub value_bytes: u64,
}

impl Payload {
    /// A batch of as many records as `batch_bytes` has room for, at least one. Values are random
    /// capital letters, as those of Kafka's own load program.
    pub fn new(
        record_bytes: usize,
        batch_bytes: usize,
        compression: Compression,
    ) -> Result<Self, BenchError> {
        let mut builder = BatchBuilder::new(BatchOptions {
            compression,
            bytes_max: batch_bytes,
            ..BatchOptions::default()
        });
        let mut text = Letters(SEED);
        let timestamp = now();
        let mut records = 0;
        loop {
            let value: Vec<u8> = text.by_ref().take(record_bytes).collect();
            let record = RecordData {
                timestamp,
                value: Some(&value),
                ..RecordData::default()
            };
            if !builder.append(&record)? {
                break;
            }
            records += 1;
        }
        Ok(Self {
            batch: builder.build()?,
            records,
            value_bytes: records * crate::number::wide(record_bytes),
        })
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Timestamp(i64::try_from(millis).unwrap_or(0))
}

/// Random capital letters without end (xorshift64).
struct Letters(u64);

impl Iterator for Letters {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let letter = u8::try_from((self.0 >> 32) % 26).unwrap_or(0);
        Some(b'A' + letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_codec::{Batch, DeepLimits, validate_deep};

    #[test]
    fn a_batch_holds_as_many_records_as_fit_and_at_least_one() {
        for (record_bytes, batch_bytes, records) in [
            // The header takes 61; a value of 100 takes 9 more, and 10 from the 65th record on:
            // 61 + 64 * 109 + 84 * 110 = 16,277.
            (100, 16 << 10, 148),
            (1024, 16 << 10, 15),
            (1024, 1, 1),
            (0, 1, 1),
            (1 << 20, 1 << 10, 1),
        ] {
            let payload = Payload::new(record_bytes, batch_bytes, Compression::None).unwrap();
            assert_eq!(payload.records, records, "{record_bytes} {batch_bytes}");
            assert!(records == 1 || payload.batch.len() <= batch_bytes);
        }
    }

    #[test]
    fn every_codec_makes_a_batch_that_a_broker_takes() {
        for compression in Compression::ALL {
            let payload = Payload::new(100, 64 << 10, compression).unwrap();
            let batch = Batch::parse(&payload.batch).unwrap();
            validate_deep(&batch, &DeepLimits::new(1 << 20)).unwrap();
            let count = batch.records(1 << 20).map(Result::unwrap).count();
            assert_eq!(
                crate::number::wide(count),
                payload.records,
                "{compression:?}"
            );
        }
    }
}
