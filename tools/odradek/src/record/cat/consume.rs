//! `-C`.

use super::layout::{self, Layout, Piece};
use super::letters::{Begin, Letters};
use super::settings::Settings;
use super::{envelope, escape, topic};
use crate::cli::Global;
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::record::consume::go_on;
use engine_model::{NodeId, Offset, PartitionIndex, Timestamp};
use net_client::{ConsumedRecord, Consumer, ConsumerOptions, Isolation, OffsetReset, Start};
use net_protocol::Text;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Runs it.
pub fn run(
    driver: &mut Driver,
    global: &Global,
    settings: &Settings,
    letters: &Letters,
) -> Result<(), Failure> {
    let topic = topic(letters)?;
    let layout = layout(letters)?;
    let options = options(driver, settings, letters)?;
    let partition = letters.partition.filter(|partition| *partition >= 0);
    let partitions = partition.map(|partition| vec![PartitionIndex::new(partition)]);
    driver.connect()?;
    let mut run = Run {
        consumer: Consumer::new(Text::from(topic), partitions, options),
        out: BufWriter::new(io::stdout().lock()),
        topic,
        layout,
        letters,
        is_quiet: global.quiet,
        ended: BTreeSet::new(),
    };
    let result = run.consume(driver);
    run.out.flush()?;
    result
}

/// `None` is JSON.
fn layout(letters: &Letters) -> Result<Option<Layout>, Failure> {
    if letters.is_json {
        return Ok(None);
    }
    let pieces = if let Some(format) = &letters.format {
        layout::parse(format)?
    } else {
        let delimiter = letters.delimiter.as_deref().unwrap_or("\n");
        let end = Piece::Text(escape::delimiter('D', delimiter)?);
        match &letters.key_delimiter {
            None => vec![Piece::Token('s'), end],
            Some(text) => {
                let between = Piece::Text(escape::delimiter('K', text)?);
                vec![Piece::Token('k'), between, Piece::Token('s'), end]
            }
        }
    };
    Ok(Some(Layout {
        pieces,
        shows_null: letters.is_null,
    }))
}

fn options(
    driver: &Driver,
    settings: &Settings,
    letters: &Letters,
) -> Result<ConsumerOptions, Failure> {
    let start = match (letters.start_ms, letters.begin) {
        (Some(time), _) if time != 0 => Start::Timestamp(Timestamp(time)),
        (_, None | Some(Begin::Beginning)) => Start::Earliest,
        (_, Some(Begin::End)) => Start::Latest,
        (_, Some(Begin::Offset(offset))) if offset >= 0 => Start::Offset(Offset::new(offset)),
        (_, Some(Begin::Offset(back))) => Start::BeforeEnd(back.saturating_neg()),
        (_, Some(Begin::Stored)) => {
            let what = "-o stored: offsets are stored by groups, of which there are none yet";
            return Err(Failure::new(Kind::Usage, what));
        }
    };
    let client = &settings.client;
    Ok(ConsumerOptions {
        start,
        // What librdkafka does unless told otherwise.
        isolation: client.isolation.unwrap_or(Isolation::ReadCommitted),
        offset_reset: client.offset_reset.unwrap_or(OffsetReset::Latest),
        stops_at_end: letters.exits_at_end,
        ..client.consumer(driver.timeout())
    })
}

struct Run<'a> {
    consumer: Consumer,
    out: BufWriter<StdoutLock<'static>>,
    topic: &'a str,
    layout: Option<Layout>,
    letters: &'a Letters,
    is_quiet: bool,
    /// Partitions of which the end was told.
    ended: BTreeSet<PartitionIndex>,
}

impl Run<'_> {
    fn consume(&mut self, driver: &mut Driver) -> Result<(), Failure> {
        // As in kcat, -c 0 is no limit.
        let mut left = self
            .letters
            .count
            .filter(|count| *count > 0)
            .unwrap_or(u64::MAX);
        loop {
            while let Some(record) = self.consumer.next_record() {
                if self.is_too_late(&record) {
                    continue;
                }
                self.print(&record)?;
                left = left.saturating_sub(1);
                if left == 0 {
                    return Ok(());
                }
            }
            self.out.flush()?;
            self.tell_ends();
            if !go_on(driver, &mut self.consumer)? {
                return Ok(());
            }
        }
    }

    /// Whether a record is from behind the time to stop at; its partition is then done.
    fn is_too_late(&mut self, record: &ConsumedRecord) -> bool {
        let stop = self.letters.stop_ms.filter(|stop| *stop != 0);
        if stop.is_none_or(|stop| record.timestamp.0 < stop) {
            return false;
        }
        self.consumer.finish_partition(record.partition);
        self.ended.insert(record.partition);
        let what = format!("Reached stop timestamp for topic {}", self.topic);
        self.tell(&what, record.partition, record.offset);
        true
    }

    fn tell_ends(&mut self) {
        let ends: Vec<(PartitionIndex, Offset)> = self
            .consumer
            .positions()
            .filter(|(partition, _, is_done)| *is_done && !self.ended.contains(partition))
            .map(|(partition, offset, _)| (partition, offset))
            .collect();
        for (partition, offset) in ends {
            self.ended.insert(partition);
            let what = format!("Reached end of topic {}", self.topic);
            self.tell(&what, partition, offset);
        }
    }

    fn tell(&self, what: &str, partition: PartitionIndex, offset: Offset) {
        if !self.is_quiet {
            let count = self.consumer.positions().count();
            let end = if self.ended.len() == count {
                ": exiting"
            } else {
                ""
            };
            eprintln!("% {what} [{partition}] at offset {offset}{end}");
        }
    }

    fn print(&mut self, record: &ConsumedRecord) -> Result<(), Failure> {
        if let Some(layout) = &self.layout {
            layout.write(&mut self.out, self.topic, record)?;
        } else {
            let cluster = self.consumer.cluster();
            let leader = cluster.leader(self.topic, record.partition);
            let leader = leader.map_or(NodeId::NONE, |(leader, _)| leader);
            envelope::write(&mut self.out, self.topic, leader, record)?;
        }
        if self.letters.is_unbuffered {
            self.out.flush()?;
        }
        Ok(())
    }
}
