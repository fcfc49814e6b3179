//! The consuming side of an end to end run.

use crate::error::BenchError;
use crate::fetch::{Fetcher, Received};
use crate::options::{Common, FetchLimits};
use crate::tally::Tally;
use crate::target::Target;
use engine_model::{Offset, PartitionIndex};
use std::collections::VecDeque;

/// A partition whose batches are waited for.
#[derive(Clone, Debug)]
struct Awaited {
    index: PartitionIndex,
    /// The offset of the next batch.
    next: i64,
    /// When the batches that were produced were meant to leave, in their order.
    meant: VecDeque<u64>,
}

/// See the module's own words.
pub struct Readers {
    /// One connection to each leader.
    pub fetchers: Vec<Fetcher>,
    awaited: Vec<Awaited>,
}

impl Readers {
    /// Readers at the ends of all partitions.
    pub fn connect(
        common: &Common,
        limits: &FetchLimits,
        target: &Target,
    ) -> Result<Self, BenchError> {
        let mut tail = target.clone();
        for partition in &mut tail.partitions {
            partition.start = partition.end;
            partition.end = Offset::MAX;
        }
        let (fetchers, _) = Fetcher::connect(common, limits, &tail, 1)?;
        let awaited = tail.partitions.iter().map(|partition| Awaited {
            index: partition.index,
            next: partition.start.get(),
            meant: VecDeque::new(),
        });
        Ok(Self {
            fetchers,
            awaited: awaited.collect(),
        })
    }

    /// Takes note of batches that were sent to the partitions at these places.
    pub fn expect(&mut self, places: &[usize], meant: u64) {
        for place in places {
            if let Some(awaited) = self.awaited.get_mut(*place) {
                awaited.meant.push_back(meant);
            }
        }
    }

    /// Whether all that was produced has come.
    pub fn is_done(&self) -> bool {
        self.awaited.iter().all(|awaited| awaited.meant.is_empty())
    }

    /// Reads what has come on a connection.
    pub fn read(
        &mut self,
        place: usize,
        now: impl Fn() -> u64,
        tally: &mut Tally,
    ) -> Result<(), BenchError> {
        let Some(fetcher) = self.fetchers.get_mut(place) else {
            return Ok(());
        };
        fetcher.socket.fill()?;
        let now = now();
        let mut sink = Sink {
            now,
            awaited: &mut self.awaited,
            tally,
        };
        fetcher.take_answers(now, &mut sink)
    }
}

/// Where received batches go.
struct Sink<'a> {
    now: u64,
    awaited: &'a mut [Awaited],
    tally: &'a mut Tally,
}

impl Received for Sink<'_> {
    fn answer(&mut self, _: u64) {}

    fn batch(
        &mut self,
        place: usize,
        base_offset: i64,
        records: u64,
        _: usize,
    ) -> Result<(), BenchError> {
        let Some(awaited) = self.awaited.get_mut(place) else {
            return Ok(());
        };
        let bad = |what| BenchError::BadRecords {
            partition: awaited.index,
            offset: base_offset,
            what,
        };
        if base_offset != awaited.next {
            return Err(bad("not the batch that is next"));
        }
        let meant = awaited.meant.pop_front();
        let meant = meant.ok_or_else(|| bad("a batch that this run did not write"))?;
        awaited.next = base_offset + i64::try_from(records).unwrap_or(0);
        self.tally.latency.record(self.now.saturating_sub(meant));
        Ok(())
    }
}
