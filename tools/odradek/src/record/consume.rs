//! `odradek record consume`.

use super::format::{self, RecordFormat};
use crate::cli::{ConsumeArguments, Format, Global};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::output::{csv_cells, csv_line, yaml_item};
use crate::properties::ClientProperties;
use crate::time;
use engine_model::{Offset, PartitionIndex, Timestamp};
use net_client::{ConsumedRecord, Consumer, ConsumerOptions, Start, Step};
use net_protocol::Text;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Runs it.
pub fn run(
    driver: &mut Driver,
    global: &Global,
    properties: &ClientProperties,
    arguments: &ConsumeArguments,
) -> Result<(), Failure> {
    let start = match &arguments.from {
        Some(text) => parse_start(text, time::now_ms())?,
        None if arguments.exit_at_end => Start::Earliest,
        None => Start::Latest,
    };
    let format = match (arguments.format.as_deref(), global.format()) {
        (Some("value"), _) | (None, Format::Table) => RecordFormat::Value,
        (Some("json"), _) => RecordFormat::JsonLines,
        (Some(template), _) => format::parse(template)?,
        (None, Format::Json) => RecordFormat::JsonItems,
        (None, Format::Yaml) => RecordFormat::YamlItems,
        (None, Format::Csv) => RecordFormat::Csv,
        (None, Format::Name) => RecordFormat::Name,
    };
    driver.connect()?;
    let options = ConsumerOptions {
        start,
        stops_at_end: arguments.exit_at_end,
        ..properties.consumer(driver.timeout())
    };
    let partitions: Vec<PartitionIndex> = arguments
        .partitions
        .iter()
        .map(|partition| PartitionIndex::new(*partition))
        .collect();
    let partitions = Some(partitions).filter(|partitions| !partitions.is_empty());
    let topic = Text::from(arguments.topic.as_str());
    let mut consumer = Consumer::new(topic, partitions, options);
    let mut printer = Printer::new(&arguments.topic, format)?;
    let left = arguments.count.unwrap_or(u64::MAX);
    let result = consume(driver, &mut consumer, &mut printer, left);
    printer.finish()?;
    result
}

fn consume(
    driver: &mut Driver,
    consumer: &mut Consumer,
    printer: &mut Printer<'_>,
    mut left: u64,
) -> Result<(), Failure> {
    loop {
        while left > 0 {
            let Some(record) = consumer.next_record() else {
                break;
            };
            printer.print(&record)?;
            left = left.saturating_sub(1);
        }
        printer.flush()?;
        if left == 0 || !go_on(driver, consumer)? {
            return Ok(());
        }
    }
}

/// Carries what the consumer wants carried next; false once it is done.
///
/// Errors: what the consumer failed of.
pub fn go_on(driver: &mut Driver, consumer: &mut Consumer) -> Result<bool, Failure> {
    if consumer.is_done() {
        return Ok(false);
    }
    if let Some(error) = consumer.failure() {
        return Err(error.clone().into());
    }
    match consumer.poll(driver.now()) {
        Step::Send(exchange) => {
            let answer = driver.exchange(&exchange).transpose();
            let now = driver.now();
            if let Some(answer) = answer {
                consumer.on_answer(now, exchange.token, answer);
            }
        }
        Step::Wait(moment) => driver.sleep_until(moment),
        // Done or failed, which the next call sees.
        Step::Idle => {}
    }
    Ok(true)
}

struct Printer<'a> {
    out: BufWriter<StdoutLock<'static>>,
    topic: &'a str,
    format: RecordFormat,
    is_first: bool,
}

impl<'a> Printer<'a> {
    fn new(topic: &'a str, format: RecordFormat) -> Result<Self, Failure> {
        let mut out = BufWriter::new(io::stdout().lock());
        match format {
            RecordFormat::JsonItems => write!(out, "{{\"items\": [")?,
            RecordFormat::YamlItems => writeln!(out, "items:")?,
            _ => {}
        }
        Ok(Self {
            out,
            topic,
            format,
            is_first: true,
        })
    }

    fn print(&mut self, record: &ConsumedRecord) -> Result<(), Failure> {
        let out = &mut self.out;
        match &self.format {
            RecordFormat::Value => {
                out.write_all(record.value.as_deref().unwrap_or_default())?;
                out.write_all(b"\n")?;
            }
            RecordFormat::JsonLines => writeln!(out, "{}", format::json(self.topic, record)?)?,
            RecordFormat::JsonItems => {
                let separator = if self.is_first { "" } else { "," };
                write!(out, "{separator}\n  {}", format::json(self.topic, record)?)?;
            }
            RecordFormat::YamlItems => {
                out.write_all(yaml_item(&format::tree(self.topic, record)?).as_bytes())?;
            }
            RecordFormat::Csv => {
                let (names, cells) = csv_cells(&format::tree(self.topic, record)?);
                if self.is_first {
                    writeln!(out, "{}", csv_line(&names))?;
                }
                writeln!(out, "{}", csv_line(&cells))?;
            }
            RecordFormat::Name => {
                writeln!(out, "{}-{}@{}", self.topic, record.partition, record.offset)?;
            }
            RecordFormat::Template(pieces) => {
                format::write_template(out, pieces, self.topic, record)?;
            }
        }
        self.is_first = false;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.format == RecordFormat::JsonItems {
            let end = if self.is_first { "]}" } else { "\n]}" };
            writeln!(self.out, "{end}")?;
        }
        self.flush()
    }
}

/// Reads a value of `--from`.
fn parse_start(text: &str, now_ms: i64) -> Result<Start, Failure> {
    let invalid = || {
        Failure::new(Kind::Usage, format!("--from: {text:?} is no place to begin")).hint(
            "write earliest, latest, an offset, -N, @MILLISECONDS, 2026-01-31T12:00:00Z, or an age as 15m",
        )
    };
    match text {
        "earliest" | "beginning" | "start" => return Ok(Start::Earliest),
        "latest" | "end" => return Ok(Start::Latest),
        _ => {}
    }
    if let Some(count) = text.strip_prefix('-') {
        let count = count.parse::<u32>().map_err(|_| invalid())?;
        return Ok(Start::BeforeEnd(i64::from(count)));
    }
    if let Ok(offset) = text.parse::<i64>() {
        return Ok(Start::Offset(Offset::new(offset)));
    }
    let millis = time::moment(text, now_ms).ok_or_else(invalid)?;
    Ok(Start::Timestamp(Timestamp(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_begin_are_words_offsets_times_and_ages() {
        for (text, start) in [
            ("earliest", Some(Start::Earliest)),
            ("latest", Some(Start::Latest)),
            ("0", Some(Start::Offset(Offset::ZERO))),
            ("42", Some(Start::Offset(Offset::new(42)))),
            ("-5", Some(Start::BeforeEnd(5))),
            (
                "@1772323200000",
                Some(Start::Timestamp(Timestamp(1_772_323_200_000))),
            ),
            (
                "2026-03-01T00:00:00Z",
                Some(Start::Timestamp(Timestamp(1_772_323_200_000))),
            ),
            (
                "2026-03-01",
                Some(Start::Timestamp(Timestamp(1_772_323_200_000))),
            ),
            ("15m", Some(Start::Timestamp(Timestamp(100_000)))),
            ("1d", Some(Start::Timestamp(Timestamp(0)))),
            ("", None),
            ("-", None),
            ("--5", None),
            ("@-1", None),
            ("first", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(parse_start(text, 1_000_000).ok(), start, "{text}");
        }
    }
}
