//! How a line becomes a record.

use super::input;
use crate::cli::ProduceArguments;
use crate::failure::{Failure, Kind};
use crate::time;
use bytes::Bytes;
use engine_model::{PartitionIndex, Timestamp};
use net_client::NewRecord;

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
    pub fn record(&self, line: Bytes, number: u64) -> Result<NewRecord, Failure> {
        let not_null = |bytes: Bytes| {
            let is_null = self
                .null
                .as_ref()
                .is_some_and(|null| bytes == null.as_bytes());
            (!is_null).then_some(bytes)
        };
        let (key, value) = match &self.separator {
            None => (self.key.clone(), line),
            Some(separator) => {
                let parts = split(&line, separator.as_bytes());
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
            timestamp: Timestamp(time::now_ms()),
        })
    }
}

/// Cuts a line at the first `separator`; `None` when there is none in it.
pub fn split(line: &Bytes, separator: &[u8]) -> Option<(Bytes, Bytes)> {
    let place = input::find(line, separator)?;
    let value = line.slice(place.saturating_add(separator.len())..);
    Some((line.slice(..place), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_the_first_separator() {
        for (line, separator, parts) in [
            ("a:b", ":", Some(("a", "b"))),
            ("a:b:c", ":", Some(("a", "b:c"))),
            (":b", ":", Some(("", "b"))),
            ("a:", ":", Some(("a", ""))),
            ("a::b", "::", Some(("a", "b"))),
            ("ab", ":", None),
            ("", ":", None),
            ("a", "::", None),
        ] {
            let found = split(&Bytes::from(line), separator.as_bytes());
            let wanted = parts.map(|(k, v)| (Bytes::from(k), Bytes::from(v)));
            assert_eq!(found, wanted, "{line} at {separator}");
        }
    }
}
