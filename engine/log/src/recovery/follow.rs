//! What follows an unreadable frame, for logs that it cannot have changed.
//!
//! Nothing names the logs of such a frame, so all logs of its lane are set apart. But a log whose
//! next records continue where it ends had none in there: they are kept, so that a repair gives up
//! no more than it must.
//!
//! Keeps: a log goes on only with what continues it to the offset; the first thing that does not
//! ends it for good, here. Nothing behind the durable sequence counts. Whatever it finds, the logs
//! stay set apart.

use super::scan::Scan;
use super::{REPLAYED_BYTES_MAX, Recovery};
use crate::error::OpenError;
use crate::format::Entry;
use engine_model::LogId;
use std::collections::BTreeSet;

impl Recovery<'_> {
    /// Applies what continues the logs `ids`, set apart because frame `unreadable` is.
    pub(super) async fn follow(
        &mut self,
        scan: &Scan,
        unreadable: u64,
        ids: &[LogId],
    ) -> Result<(), OpenError> {
        let mut open: BTreeSet<LogId> = ids.iter().copied().collect();
        let from = unreadable.saturating_add(1);
        let sequences: Vec<u64> = if from <= scan.durable_sequence {
            let frames = scan.frames.range(from..=scan.durable_sequence);
            frames.map(|(sequence, _)| *sequence).collect()
        } else {
            Vec::new()
        };
        for sequence in sequences {
            let Some(frame) = self.read_frame(scan, sequence).await? else {
                continue;
            };
            let torn_commits: Vec<_> = frame
                .entries()
                .filter(|(_, entry)| entry.is_err())
                .filter_map(|(row, _)| row.commit)
                .collect();
            for (row, entry) in frame.entries() {
                if !open.contains(&row.log) {
                    continue;
                }
                let is_torn = row
                    .commit
                    .is_some_and(|commit| torn_commits.contains(&commit));
                let entry = entry.ok().filter(|_| !is_torn);
                if !entry.is_some_and(|entry| self.continues(entry, sequence)) {
                    open.remove(&row.log);
                }
            }
            if self.replayed_bytes >= REPLAYED_BYTES_MAX {
                self.drain_some(LogId::default(), false).await?;
            }
            engine_rt::yield_if_due().await;
        }
        Ok(())
    }

    /// Applies an entry if it continues its log exactly; whether it did.
    fn continues(&mut self, entry: Entry, sequence: u64) -> bool {
        let now = engine_rt::wall_clock();
        let Some(log) = self.logs.get_mut(&entry.log()) else {
            return false;
        };
        let is_next = match &entry {
            Entry::Append {
                generation, first, ..
            } => *generation == log.generation && *first == log.log_end,
            Entry::Epoch { end, .. } => *end == log.log_end,
            _ => false,
        };
        let before = log.tail_bytes;
        let is_applied = is_next && super::replay::apply_to(log, entry, sequence, now).is_ok();
        let after = log.tail_bytes;
        self.replayed_bytes = self
            .replayed_bytes
            .saturating_add(after)
            .saturating_sub(before);
        is_applied
    }
}
