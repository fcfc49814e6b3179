//! `odradek record produce`.

use super::input::{Input, Next};
use super::pump::Pump;
use super::template::Template;
use crate::cli::{Format, Global, ProduceArguments};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::properties::ClientProperties;
use engine_codec::Compression;
use net_client::{Acks, Producer, ProducerOptions};
use net_protocol::Text;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// What became of the records of one partition.
#[derive(Serialize)]
struct PartitionRow {
    topic: String,
    partition: i32,
    record_count: i64,
    first_offset: Option<i64>,
    last_offset: Option<i64>,
}

impl Row for PartitionRow {
    const COLUMNS: &'static [&'static str] = &["TOPIC", "PARTITION", "RECORDS", "FIRST", "LAST"];

    fn cells(&self) -> Vec<String> {
        let offset = |offset: Option<i64>| offset.map_or("-".to_owned(), |o| o.to_string());
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            self.record_count.to_string(),
            offset(self.first_offset),
            offset(self.last_offset),
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
    properties: &ClientProperties,
    arguments: &ProduceArguments,
) -> Result<(), Failure> {
    let template = Template::new(arguments)?;
    let mut input = Input::new(arguments.file.as_deref(), b"\n")?;
    if global.dry_run {
        return rehearse(&mut input, &template, global);
    }
    driver.connect()?;
    let options = options(driver, properties, arguments);
    let topic = Text::from(arguments.topic.as_str());
    let mut pump = Pump::new(driver, Producer::new(topic, options, seed()));
    let read = read(&mut pump, &mut input, &template);
    // What was read before a bad line is sent all the same.
    let sent = pump.finish();
    let rows: Vec<PartitionRow> = pump
        .delivered()
        .iter()
        .map(|(partition, delivered)| PartitionRow {
            topic: arguments.topic.clone(),
            partition: partition.get(),
            record_count: delivered.record_count,
            first_offset: delivered.first_offset,
            last_offset: delivered.last_offset,
        })
        .collect();
    report(global, &rows)?;
    sent?;
    read
}

fn read(pump: &mut Pump<'_>, input: &mut Input, template: &Template) -> Result<(), Failure> {
    while let Some(line) = pump.next_piece(input)? {
        let record = template.record(line, input.number())?;
        pump.push(&record)?;
    }
    Ok(())
}

/// Reads everything and sends nothing.
fn rehearse(input: &mut Input, template: &Template, global: &Global) -> Result<(), Failure> {
    let mut count = 0_u64;
    while let Next::Piece(line) = input.next(None)? {
        template.record(line, input.number())?;
        count = count.saturating_add(1);
    }
    output::note(global.quiet, &format!("{count} records, none sent"));
    Ok(())
}

fn report(global: &Global, rows: &[PartitionRow]) -> Result<(), Failure> {
    if global.format() != Format::Table {
        return output::print(global.format(), rows);
    }
    let count: i64 = rows.iter().map(|row| row.record_count).sum();
    output::note(
        global.quiet,
        &format!("{count} records in {} partitions", rows.len()),
    );
    Ok(())
}

fn options(
    driver: &Driver,
    properties: &ClientProperties,
    arguments: &ProduceArguments,
) -> ProducerOptions {
    let options = properties.producer(driver.timeout());
    ProducerOptions {
        acks: arguments.acks.map_or(options.acks, Acks::from),
        compression: arguments
            .compression
            .map_or(options.compression, Compression::from),
        ..options
    }
}

/// Where records without a key begin: another partition each time.
pub fn seed() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::from(since.subsec_nanos()) ^ (u64::from(std::process::id()) << 32)
}
