//! `odradek topic offsets`.

use super::find::{self, EARLIEST, LATEST};
use super::texts;
use crate::cli::{Global, OffsetsArguments};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::time;
use serde::Serialize;

/// ListOffsets: the record with the largest timestamp.
const NEWEST: engine_model::Timestamp = engine_model::Timestamp(-3);

#[derive(Serialize)]
struct OffsetRow {
    topic: String,
    partition: i32,
    start_offset: Option<i64>,
    end_offset: Option<i64>,
    /// Of `--at`, or of the newest record.
    offset: Option<i64>,
    timestamp: Option<String>,
}

impl Row for OffsetRow {
    const COLUMNS: &'static [&'static str] =
        &["TOPIC", "PARTITION", "START", "END", "RECORD", "TIMESTAMP"];

    fn cells(&self) -> Vec<String> {
        let offset = |offset: Option<i64>| offset.map_or("-".to_owned(), |o| o.to_string());
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            offset(self.start_offset),
            offset(self.end_offset),
            offset(self.offset),
            self.timestamp.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }

    fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

/// Runs it.
pub fn run(
    driver: &mut Driver,
    global: &Global,
    arguments: &OffsetsArguments,
) -> Result<(), Failure> {
    let at = match &arguments.at {
        None => NEWEST,
        Some(text) => super::moment("--at", text)?,
    };
    let names = texts(&arguments.names);
    let mut rows = Vec::new();
    for (name, topic) in find::topics(driver, &names)? {
        let starts = find::numbers(&find::offsets(driver, &name, &topic, EARLIEST)?);
        let ends = find::numbers(&find::offsets(driver, &name, &topic, LATEST)?);
        let records = find::offsets(driver, &name, &topic, at)?;
        rows.extend(topic.partitions.iter().map(|partition| {
            let (offset, timestamp) = match records.get(&partition.index) {
                Some((offset, timestamp)) if *offset >= 0 => (Some(*offset), Some(*timestamp)),
                _ => (None, None),
            };
            OffsetRow {
                topic: name.to_string(),
                partition: partition.index.get(),
                start_offset: starts.get(&partition.index).copied(),
                end_offset: ends.get(&partition.index).copied(),
                offset,
                timestamp: timestamp.and_then(time::of_record),
            }
        }));
    }
    output::print(global.format(), &rows)
}
