//! One file of the simulated disk: what reads see, what would survive, and the changes between.
//!
//! Keeps:
//! - `current` is `durable` with all of `pending` applied in order, wherever no change was lost;
//! - a change becomes durable only by a flush that was requested after the change completed.
//!
//! Does not: know its name (`directory`), or decide what a crash takes (`crash`).

use bytes::Bytes;

use super::pages::{Pages, to_u64};

/// One completed change that no flush has covered yet.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Bytes at an offset. A lost one is read back but will never be durable: its flush failed.
    Write {
        offset: u64,
        data: Bytes,
        lost: bool,
    },
    /// The file was cut or grown to this size.
    SetSize(u64),
    /// The file has at least this size.
    Extend(u64),
}

#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// Place of the change in the order of all changes of this disk.
    pub(super) sequence: u64,
    pub(super) change: Change,
}

#[derive(Clone, Debug, Default)]
pub(super) struct FileNode {
    pub(super) current: Pages,
    pub(super) durable: Pages,
    pub(super) pending: Vec<Pending>,
    /// Lost writes were flushed away: what is seen differs from what is durable.
    pub(super) diverged: bool,
}

impl FileNode {
    pub(super) fn change(&mut self, sequence: u64, change: Change) {
        match &change {
            Change::Write { offset, data, .. } => self.current.write(*offset, data),
            Change::SetSize(size) => self.current.set_size(*size),
            Change::Extend(size) => self.current.extend(*size),
        }
        self.pending.push(Pending { sequence, change });
    }

    /// Makes every change before `mark` durable, the lost ones excepted.
    pub(super) fn flush(&mut self, mark: u64) {
        let covered = self.pending.partition_point(|p| p.sequence < mark);
        for pending in self.pending.drain(..covered) {
            match pending.change {
                Change::Write {
                    offset,
                    data,
                    lost: false,
                } => self.durable.write(offset, &data),
                // Its size was recorded, its bytes never arrive.
                Change::Write { offset, data, .. } => {
                    self.durable
                        .extend(offset.saturating_add(to_u64(data.len())));
                    self.diverged = true;
                }
                Change::SetSize(size) => self.durable.set_size(size),
                Change::Extend(size) => self.durable.extend(size),
            }
        }
    }

    /// What a failed flush does: each write before `mark` is forgotten as dirty if `forgets` says
    /// so. It stays readable, and no later flush makes it durable. Returns how many were.
    pub(super) fn fail_flush(&mut self, mark: u64, mut forgets: impl FnMut() -> bool) -> u64 {
        let mut count = 0;
        for pending in &mut self.pending {
            if pending.sequence < mark
                && let Change::Write { lost, .. } = &mut pending.change
                && !*lost
                && forgets()
            {
                *lost = true;
                count += 1;
            }
        }
        count
    }
}
