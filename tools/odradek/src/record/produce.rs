//! `odradek record produce`.

use super::input::{self, Input};
use super::lines::Lines;
use super::template::Template;
use crate::cli::{AcksName, CompressionName, Format, Global, ProduceArguments};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::output::{self, Row};
use crate::properties::ClientProperties;
use engine_codec::Compression;
use engine_model::{Offset, PartitionIndex};
use net_client::{Acks, NewRecord, Producer, ProducerOptions, PushError, Step};
use net_protocol::Text;
use serde::Serialize;
use std::collections::BTreeMap;
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
    let mut input = input::open(arguments)?;
    driver.connect()?;
    let options = options(driver, properties, arguments);
    let mut run = Run {
        driver,
        producer: Producer::new(Text::from(arguments.topic.as_str()), options, seed()),
        rows: BTreeMap::new(),
        topic: arguments.topic.clone(),
        failure: None,
    };
    let read = run.read(&mut input, &template);
    // What was read before a bad line is sent all the same.
    let sent = run.finish();
    let rows: Vec<PartitionRow> = run.rows.into_values().collect();
    report(global, &rows)?;
    sent?;
    read
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

struct Run<'a> {
    driver: &'a mut Driver,
    producer: Producer,
    topic: String,
    rows: BTreeMap<PartitionIndex, PartitionRow>,
    failure: Option<Failure>,
}

impl Run<'_> {
    fn read(&mut self, input: &mut Lines<Input>, template: &Template) -> Result<(), Failure> {
        while self.failure.is_none() {
            // A person at a terminal, or a slow pipe: what there is goes out before we wait.
            if input.would_wait() {
                self.drain()?;
            }
            let Some(line) = input.next_line()? else {
                break;
            };
            let record = template.record(line, input.number())?;
            self.push(&record)?;
        }
        Ok(())
    }

    fn push(&mut self, record: &NewRecord) -> Result<(), Failure> {
        while self.failure.is_none() {
            match self.producer.push(self.driver.now(), record) {
                Ok(()) => {
                    // Batches that are full go out while more lines are read.
                    return self.step(false);
                }
                Err(PushError::Full) => self.drain()?,
                Err(PushError::NotReady) => self.step(true)?,
                Err(PushError::Refused(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends everything and waits for what becomes of it.
    fn drain(&mut self) -> Result<(), Failure> {
        self.producer.flush(self.driver.now())?;
        while !self.producer.is_drained() && self.failure.is_none() {
            self.step(true)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        self.drain()?;
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Carries out one step of the producer; waits only with `may_wait`.
    fn step(&mut self, may_wait: bool) -> Result<(), Failure> {
        match self.producer.poll(self.driver.now()) {
            Step::Send(exchange) => {
                let answer = self.driver.exchange(&exchange);
                let now = self.driver.now();
                match answer {
                    Ok(Some(answer)) => self.producer.on_answer(now, exchange.token, Ok(answer)),
                    Ok(None) => {}
                    Err(error) => self.producer.on_answer(now, exchange.token, Err(error)),
                }
            }
            Step::Wait(moment) if may_wait => self.driver.sleep_until(moment),
            // Nothing to do and nothing to wait for, although there should be: the producer failed,
            // and pushing says why.
            Step::Idle if may_wait && !self.producer.is_drained() => {
                return Err(Failure::new(Kind::Failed, "the producer is stuck"));
            }
            Step::Wait(_) | Step::Idle => {}
        }
        for delivery in self.producer.take_deliveries() {
            match delivery.result {
                Ok(offset) => self.delivered(delivery.partition, delivery.record_count, offset),
                Err(error) => {
                    self.failure.get_or_insert_with(|| error.into());
                }
            }
        }
        Ok(())
    }

    fn delivered(&mut self, partition: PartitionIndex, count: i32, offset: Option<Offset>) {
        let row = self.rows.entry(partition).or_insert_with(|| PartitionRow {
            topic: self.topic.clone(),
            partition: partition.get(),
            record_count: 0,
            first_offset: None,
            last_offset: None,
        });
        let count = i64::from(count);
        row.record_count = row.record_count.saturating_add(count);
        if let Some(offset) = offset.map(Offset::get) {
            row.first_offset.get_or_insert(offset);
            row.last_offset = Some(offset.saturating_add(count).saturating_sub(1));
        }
    }
}

fn options(
    driver: &Driver,
    properties: &ClientProperties,
    arguments: &ProduceArguments,
) -> ProducerOptions {
    let defaults = ProducerOptions::default();
    let acks = arguments.acks.map(|acks| match acks {
        AcksName::None => Acks::None,
        AcksName::Leader => Acks::Leader,
        AcksName::All => Acks::All,
    });
    let compression = arguments.compression.map(|name| match name {
        CompressionName::None => Compression::None,
        CompressionName::Gzip => Compression::Gzip,
        CompressionName::Snappy => Compression::Snappy,
        CompressionName::Lz4 => Compression::Lz4,
        CompressionName::Zstd => Compression::Zstd,
    });
    ProducerOptions {
        acks: acks.or(properties.acks).unwrap_or(defaults.acks),
        is_idempotent: properties.enable_idempotence.unwrap_or(true),
        compression: compression
            .or(properties.compression)
            .unwrap_or(defaults.compression),
        batch_bytes_max: properties.batch_size.unwrap_or(defaults.batch_bytes_max),
        request_timeout: driver.timeout(),
        delivery_timeout: properties.delivery_timeout.unwrap_or(driver.timeout()),
        ..defaults
    }
}

/// Where records without a key begin: another partition each time.
fn seed() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::from(since.subsec_nanos()) ^ (u64::from(std::process::id()) << 32)
}
