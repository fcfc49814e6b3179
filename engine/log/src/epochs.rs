//! The leader-epoch cache of one log: at which offset each epoch began.
//!
//! Keeps: epochs and start offsets both rise from entry to entry, so no epoch is empty but the
//! last; answers are those of Kafka's `LeaderEpochFileCache`.
//!
//! Does not: know the log's end (an argument), judge whether an epoch may append (`partition_log`).
//! Source: KIP-101, KIP-279, KIP-320.

use crate::format::{Fields, FormatError, size};
use bytes::BufMut;
use engine_model::{LeaderEpoch, Offset};

const WHAT: &str = "epoch snapshot";
const SNAPSHOT_FORMAT: u16 = 1;
const ENTRY_BYTES: usize = 12;

/// The most epochs a log remembers. One is added by a leadership that appended something, so this
/// is out of reach for honest use; the bound keeps a snapshot under 1 MiB.
pub const EPOCHS_MAX: usize = 1 << 16;

/// One epoch and the offset it began at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch.
    pub leader_epoch: LeaderEpoch,
    /// Offset of its first record, or of the next one to come.
    pub start: Offset,
}

/// Why an epoch does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochError {
    /// It is older than the latest.
    #[error("leader epoch {found} is older than {latest}")]
    Older {
        /// The latest epoch.
        latest: LeaderEpoch,
        /// The one that came.
        found: LeaderEpoch,
    },
    /// There are too many.
    #[error("a log of {EPOCHS_MAX} leader epochs takes no more")]
    Full,
}

/// The epochs of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    entries: Vec<EpochEntry>,
}

impl LeaderEpochs {
    /// No epochs.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// All of them, oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The newest epoch, or `NONE`.
    pub fn latest(&self) -> LeaderEpoch {
        self.entries
            .last()
            .map_or(LeaderEpoch::NONE, |entry| entry.leader_epoch)
    }

    /// Lets `leader_epoch` begin at `start`; whether that changed anything.
    ///
    /// The latest epoch again is no change. Epochs that would have begun at or behind `start` were
    /// empty and go. Errors: `Older`, `Full`; nothing changed then.
    pub fn assign(&mut self, leader_epoch: LeaderEpoch, start: Offset) -> Result<bool, EpochError> {
        let latest = self.latest();
        if leader_epoch < latest || leader_epoch < LeaderEpoch::ZERO {
            return Err(EpochError::Older {
                latest,
                found: leader_epoch,
            });
        }
        if leader_epoch == latest {
            return Ok(false);
        }
        let kept = self.entries.partition_point(|entry| entry.start < start);
        if kept >= EPOCHS_MAX {
            return Err(EpochError::Full);
        }
        self.entries.truncate(kept);
        self.entries.push(EpochEntry {
            leader_epoch,
            start,
        });
        Ok(true)
    }

    /// The log now ends at `end`: epochs that began at or behind it go.
    pub fn truncate_from_end(&mut self, end: Offset) {
        let kept = self.entries.partition_point(|entry| entry.start < end);
        self.entries.truncate(kept);
    }

    /// The log now starts at `start`: epochs that ended before it go, the one it falls into begins
    /// there.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let gone = self.entries.partition_point(|entry| entry.start <= start);
        let last_gone = gone.saturating_sub(1);
        if let Some(entry) = self.entries.get_mut(last_gone).filter(|_| gone > 0) {
            entry.start = start;
            self.entries.drain(..last_gone);
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The epoch of the record at `offset`, or `NONE` before the first epoch.
    pub fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        let count = self.entries.partition_point(|entry| entry.start <= offset);
        count
            .checked_sub(1)
            .and_then(|index| self.entries.get(index))
            .map_or(LeaderEpoch::NONE, |entry| entry.leader_epoch)
    }

    /// The largest known epoch not above `leader_epoch`, and where it ends: the answer to
    /// OffsetForLeaderEpoch.
    ///
    /// For the latest epoch that is `log_end`. An epoch before all known ones is answered with
    /// itself and the start of the first. `None`: unknown, because newer than all, or `NONE`.
    pub fn end_offset_for(
        &self,
        leader_epoch: LeaderEpoch,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if leader_epoch < LeaderEpoch::ZERO {
            return None;
        }
        if leader_epoch == self.latest() {
            return Some((leader_epoch, log_end));
        }
        let higher = self
            .entries
            .partition_point(|entry| entry.leader_epoch <= leader_epoch);
        let end = self.entries.get(higher)?.start;
        let floor = higher
            .checked_sub(1)
            .and_then(|index| self.entries.get(index))
            .map_or(leader_epoch, |entry| entry.leader_epoch);
        Some((floor, end))
    }

    /// The bytes of a snapshot.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16_le(SNAPSHOT_FORMAT);
        out.put_u16_le(0);
        out.put_u32_le(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        for entry in &self.entries {
            out.put_i32_le(entry.leader_epoch.get());
            out.put_i64_le(entry.start.get());
        }
        out
    }

    /// Reads a snapshot; an empty slice is the empty one.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.is_empty() {
            return Ok(Self::new());
        }
        let mut fields = Fields::new(WHAT, bytes);
        let format = fields.u16()?;
        if format != SNAPSHOT_FORMAT {
            return Err(FormatError::Newer {
                what: WHAT,
                found: format,
                known: SNAPSHOT_FORMAT,
            });
        }
        fields.zeros(2)?;
        let count = fields.u32()?;
        let there = fields.remaining().checked_div(ENTRY_BYTES).unwrap_or(0);
        if size(count) != there {
            return Err(fields.field("entry count", u64::from(count)));
        }
        let mut epochs = Self::new();
        for _ in 0..count {
            let leader_epoch = LeaderEpoch::new(fields.i32()?);
            let start = fields.offset()?;
            let rises = epochs
                .entries
                .last()
                .is_none_or(|last| last.leader_epoch < leader_epoch && last.start < start);
            if !rises || leader_epoch < LeaderEpoch::ZERO || start < Offset::ZERO {
                return Err(fields.field("entry", u64::from(leader_epoch.get().unsigned_abs())));
            }
            epochs.entries.push(EpochEntry {
                leader_epoch,
                start,
            });
        }
        fields.end()?;
        Ok(epochs)
    }
}

#[cfg(test)]
mod tests;
