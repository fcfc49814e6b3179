//! The logs of a directory: as its manifests and the frames behind them say.
//!
//! Keeps: entries set, as in recovery; one that contradicts its log marks the log and changes
//! nothing else.

use crate::format::{Entry, LogImage, SegmentImage};
use crate::partition_log::{cut_segments, replace_segments};
use engine_codec::batches;
use engine_model::{LogId, Offset, TopicPartition};
use std::collections::BTreeMap;

/// A batch that only the lane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneBatch {
    /// Offset of its first record.
    pub first: Offset,
    /// Offset of its last record.
    pub last: Offset,
    /// How many records it says it has.
    pub records: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Sequence of its frame.
    pub sequence: u64,
    /// Its entry in that frame, from 0.
    pub entry: usize,
    /// Its place in that entry, from 0.
    pub batch: usize,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPicture {
    /// Its identity.
    pub id: LogId,
    /// The partition it is a replica of.
    pub partition: TopicPartition,
    /// How often it was truncated.
    pub generation: u32,
    /// Set apart: some of its acknowledged bytes are lost or unreadable.
    pub quarantined: bool,
    /// Its first offset.
    pub log_start: Offset,
    /// One past its last offset.
    pub log_end: Offset,
    /// Its segments as the manifest, and what followed it, name them.
    pub segments: Vec<SegmentImage>,
    /// The batches that only the lane holds, in order.
    pub lane: Vec<LaneBatch>,
    /// The first thing that did not fit, in words.
    pub misfit: Option<&'static str>,
}

/// The logs of a directory.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// By id.
    pub logs: BTreeMap<LogId, LogPicture>,
}

impl Picture {
    /// Takes a row of a manifest.
    pub fn add(&mut self, image: LogImage) {
        let log = LogPicture {
            id: image.id,
            partition: image.partition,
            generation: image.generation,
            quarantined: image.quarantined,
            log_start: image.log_start,
            log_end: image.log_end,
            segments: image.segments,
            lane: Vec::new(),
            misfit: None,
        };
        self.logs.insert(log.id, log);
    }

    /// Marks a log of which an entry is damaged, as recovery does; nothing more is applied to it.
    pub fn set_apart(&mut self, id: LogId) {
        let log = self.logs.entry(id).or_insert_with(|| LogPicture {
            id,
            partition: TopicPartition {
                topic_id: engine_model::TopicId::ZERO,
                partition: engine_model::PartitionIndex::new(
                    i32::try_from(id.counter).unwrap_or(i32::MAX),
                ),
            },
            generation: 0,
            quarantined: true,
            log_start: Offset::ZERO,
            log_end: Offset::ZERO,
            segments: Vec::new(),
            lane: Vec::new(),
            misfit: None,
        });
        log.quarantined = true;
    }

    /// Applies an entry of a frame behind the manifest: the `place`-th of frame `sequence`.
    pub fn apply(&mut self, entry: &Entry, sequence: u64, place: usize) {
        let id = entry.log();
        match entry {
            Entry::Create {
                partition, start, ..
            } => {
                self.add(LogImage {
                    id,
                    partition: *partition,
                    generation: 0,
                    quarantined: false,
                    log_start: *start,
                    log_end: *start,
                    segments: Vec::new(),
                    epochs: crate::format::StateImage::Empty,
                    producers: crate::format::StateImage::Empty,
                    aborted_transactions: crate::format::StateImage::Empty,
                });
                return;
            }
            Entry::Delete { .. } => {
                self.logs.remove(&id);
                return;
            }
            _ => {}
        }
        match self.logs.get_mut(&id) {
            Some(log) if log.quarantined || log.misfit.is_some() => {}
            Some(log) => log.apply(entry, sequence, place),
            None => self.set_apart(id),
        }
    }
}

impl LogPicture {
    fn misfit(&mut self, what: &'static str) {
        self.misfit.get_or_insert(what);
    }

    fn apply(&mut self, entry: &Entry, sequence: u64, place: usize) {
        match entry {
            Entry::Append {
                generation,
                first,
                last,
                records,
                ..
            } => {
                if *generation != self.generation || *first < self.log_end {
                    return self.misfit("an append that does not follow its end");
                }
                for (number, batch) in batches(records).enumerate() {
                    let Ok(batch) = batch else {
                        return self.misfit("an append that holds no whole batches");
                    };
                    let header = batch.header();
                    self.lane.push(LaneBatch {
                        first: header.base_offset,
                        last: header.last_offset(),
                        records: u64::try_from(header.record_count).unwrap_or(0),
                        bytes: crate::number::to_u64(batch.bytes().len()),
                        sequence,
                        entry: place,
                        batch: number,
                    });
                }
                self.log_end = last.saturating_next();
            }
            Entry::Truncate {
                generation,
                cut,
                fully,
                ..
            } => {
                self.generation = *generation;
                if *fully {
                    self.log_start = *cut;
                    self.log_end = *cut;
                    self.segments.clear();
                } else {
                    self.log_end = self.log_end.min(*cut);
                    cut_segments(&mut self.segments, *cut);
                }
                self.lane.retain(|batch| !*fully && batch.last < *cut);
            }
            Entry::LogStart { start, .. } => {
                self.log_start = self.log_start.max(*start);
                self.log_end = self.log_end.max(*start);
            }
            Entry::Replace {
                first,
                last,
                segments,
                ..
            } => {
                let with = segments.iter().copied();
                replace_segments(&mut self.segments, (*first, *last), with);
            }
            Entry::Epoch { .. } | Entry::Create { .. } | Entry::Delete { .. } => {}
        }
    }
}
