//! How a line becomes a record.

use super::lines;
use crate::cli::ProduceArguments;
use crate::failure::{Failure, Kind};
use bytes::Bytes;
use engine_model::{PartitionIndex, Timestamp};
use net_client::NewRecord;
use std::time::{SystemTime, UNIX_EPOCH};

/// What every record has in common, and how a line becomes one.
pub struct Template {
    key: Option<Bytes>,
    separator: Option<String>,
    headers: Vec<(Bytes, Option<Bytes>)>,
    partition: Option<PartitionIndex>,
    null: Option<String>,
}

impl Template {
    /// What the flags say.
    ///
    /// Errors: `Usage` for a header that is none.
    pub fn new(arguments: &ProduceArguments) -> Result<Self, Failure> {
        let header = |text: &String| {
            let parts = text.split_once('=');
            let (name, value) = parts.ok_or_else(|| {
                let what = format!("-H: {text:?} is no header");
                Failure::new(Kind::Usage, what).hint("write -H NAME=VALUE")
            })?;
            let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
            Ok((bytes(name), Some(bytes(value))))
        };
        Ok(Self {
            key: arguments.key.clone().map(Bytes::from),
            separator: arguments.key_separator.clone(),
            headers: arguments
                .headers
                .iter()
                .map(header)
                .collect::<Result<_, Failure>>()?,
            partition: arguments.partition.map(PartitionIndex::new),
            null: arguments.null_value.clone(),
        })
    }

    /// The record of a line.
    ///
    /// Errors: `Failed` for a line without the separator it should have.
    pub fn record(&self, line: Vec<u8>, number: u64) -> Result<NewRecord, Failure> {
        let not_null = |bytes: Bytes| {
            let is_null = self
                .null
                .as_ref()
                .is_some_and(|null| bytes == null.as_bytes());
            (!is_null).then_some(bytes)
        };
        let (key, value) = match &self.separator {
            None => (self.key.clone(), Bytes::from(line)),
            Some(separator) => {
                let parts = lines::split(line, separator.as_bytes());
                let (key, value) = parts.ok_or_else(|| {
                    let what = format!("line {number} has no {separator:?} between key and value");
                    Failure::new(Kind::Failed, what).hint("the lines before it were sent")
                })?;
                (not_null(key), value)
            }
        };
        Ok(NewRecord {
            partition: self.partition,
            key,
            value: not_null(value),
            headers: self.headers.clone(),
            timestamp: now(),
        })
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
