//! Applying a lane's frames in order (steps 13-15).

use super::log::{Misfit, RecoveringLog};
use super::manifest::Manifest;
use super::scan::Scan;
use super::{REPLAYED_BYTES_MAX, Recovery, length};
use crate::error::{OpenError, StorageError};
use crate::format::{Entry, FrameView, LaneImage};
use engine_model::planted::{self, Bug};
use engine_model::{LogId, Timestamp};

impl Recovery<'_> {
    /// Rebuilds the logs of one lane from its manifest and its frames.
    pub(super) async fn recover_lane(
        &mut self,
        lane: &LaneImage,
        manifest: Manifest,
    ) -> Result<(), OpenError> {
        self.report.lanes = self.report.lanes.saturating_add(1);
        let mut ids: Vec<LogId> = Vec::with_capacity(manifest.logs.len());
        for image in manifest.logs {
            let id = image.id;
            let log = RecoveringLog::from_image(image).map_err(|error| OpenError::Unreadable {
                path: self.path.display().to_string(),
                reason: format!("state of log {id}: {error}"),
            })?;
            ids.push(id);
            self.logs.insert(id, log);
        }
        let scan = self.scan(lane).await?;
        if scan.is_ahead {
            tracing::error!(lane = lane.lane, "a lane holds frames of a run to come");
            self.damaged_lanes.push(lane.lane);
        }
        tracing::debug!(
            lane = lane.lane,
            manifest = manifest.number,
            sequence = manifest.head.sequence,
            frames = scan.frames.len(),
            durable = scan.durable_sequence,
            "a lane was scanned"
        );
        let mut expected = manifest.head.sequence.saturating_add(1);
        loop {
            let is_missing = scan.is_incomplete && !self.before.clean;
            let is_durable = scan.durable_sequence >= expected || is_missing;
            let is_durable = is_durable && !planted::is(Bug::TruncateAtRot);
            let frame = self.read_frame(&scan, expected).await?;
            let Some(frame) = frame else {
                if is_durable {
                    // A frame that was durable cannot be read, nor the names of its logs.
                    self.damaged_lanes.push(lane.lane);
                    let mut whole = ids.clone();
                    whole.retain(|id| self.logs.get(id).is_some_and(|l| !l.is_quarantined));
                    self.quarantine_lane(lane.lane, &ids);
                    self.follow(&scan, expected, &whole).await?;
                    self.quarantine_unknown(lane.lane, &scan, expected).await?;
                } else {
                    self.count_torn(&scan, expected);
                }
                return Ok(());
            };
            let is_torn = frame.verify().is_err() && !planted::is(Bug::TornFrameReplayed);
            if is_torn && !is_durable {
                self.count_torn(&scan, expected);
                return Ok(());
            }
            self.apply(lane.lane, &frame, expected, &mut ids).await?;
            self.report.frames = self.report.frames.saturating_add(1);
            expected = expected.saturating_add(1);
        }
    }

    /// Counts the frames of a torn tail.
    fn count_torn(&mut self, scan: &Scan, from: u64) {
        let torn = crate::number::to_u64(scan.frames.range(from..).count());
        self.report.torn_frames = self.report.torn_frames.saturating_add(torn);
    }

    /// The frame of that sequence, if its header and table are right.
    pub(super) async fn read_frame(
        &self,
        scan: &Scan,
        sequence: u64,
    ) -> Result<Option<FrameView>, OpenError> {
        let Some(found) = scan.frames.get(&sequence) else {
            return Ok(None);
        };
        let Some(file) = scan.files.get(found.half) else {
            return Ok(None);
        };
        // What cannot be read may be readable later: nothing is judged by it, and nothing changed.
        let bytes = file
            .read_at(found.place.position, length(found.bytes))
            .await?;
        Ok(FrameView::decode(&bytes, &found.place).ok())
    }

    /// Sets apart every log that the lane held: the manifest's and those created since.
    fn quarantine_lane(&mut self, lane: u16, ids: &[LogId]) {
        for id in ids {
            if self.logs.contains_key(id) {
                self.quarantine(
                    *id,
                    &format_args!("a durable frame of lane {lane} is unreadable"),
                );
            }
        }
    }

    /// Sets apart the logs that only the unreadable frame and those behind it speak of: they were
    /// created there, and their files must be kept.
    async fn quarantine_unknown(
        &mut self,
        lane: u16,
        scan: &Scan,
        unreadable: u64,
    ) -> Result<(), OpenError> {
        for sequence in scan
            .frames
            .range(unreadable..)
            .map(|(sequence, _)| *sequence)
        {
            let Some(frame) = self.read_frame(scan, sequence).await? else {
                continue;
            };
            for (row, entry) in frame.entries() {
                if self.logs.contains_key(&row.log) {
                    continue;
                }
                if let Ok(Entry::Create {
                    log,
                    partition,
                    start,
                }) = entry
                {
                    let created = RecoveringLog::created(log, partition, start);
                    self.logs.insert(log, created);
                }
                self.quarantine(
                    row.log,
                    &format_args!("frames of lane {lane} before its own are unreadable"),
                );
            }
            engine_rt::yield_if_due().await;
        }
        Ok(())
    }

    /// Applies the entries of one frame, each to its log.
    async fn apply(
        &mut self,
        lane: u16,
        frame: &FrameView,
        sequence: u64,
        ids: &mut Vec<LogId>,
    ) -> Result<(), OpenError> {
        let now = engine_rt::wall_clock();
        // A commit counts whole or not at all.
        let torn_commits: Vec<_> = frame
            .entries()
            .filter(|(_, entry)| entry.is_err())
            .filter_map(|(row, _)| row.commit)
            .collect();
        for (row, entry) in frame.entries() {
            let is_torn = row
                .commit
                .is_some_and(|commit| torn_commits.contains(&commit));
            let entry = match entry {
                Ok(entry) if !is_torn => entry,
                _ => {
                    self.damaged_lanes.push(lane);
                    self.quarantine(row.log, &"an entry of it is damaged");
                    ids.push(row.log);
                    continue;
                }
            };
            if matches!(entry, Entry::Create { .. }) {
                ids.push(row.log);
            }
            self.apply_entry(lane, entry, sequence, now);
            let tail_bytes = self.logs.get(&row.log).map_or(0, |log| log.tail_bytes);
            let is_much = tail_bytes >= self.options.tail_flush_bytes;
            if is_much || self.replayed_bytes >= REPLAYED_BYTES_MAX {
                self.drain_some(row.log, is_much).await?;
            }
        }
        engine_rt::yield_if_due().await;
        Ok(())
    }

    fn apply_entry(&mut self, lane: u16, entry: Entry, sequence: u64, now: Timestamp) {
        let id = entry.log();
        if let Entry::Create {
            log,
            partition,
            start,
        } = entry
        {
            self.logs
                .insert(log, RecoveringLog::created(log, partition, start));
            return;
        }
        if matches!(entry, Entry::Delete { .. }) {
            self.logs.remove(&id);
            return;
        }
        let Some(log) = self.logs.get_mut(&id) else {
            self.damaged_lanes.push(lane);
            self.quarantine(id, &"an entry of a log that was never created");
            return;
        };
        if log.is_quarantined {
            return;
        }
        let before = log.tail_bytes;
        let result = apply_to(log, entry, sequence, now);
        let (after, before) = (log.tail_bytes, before);
        self.replayed_bytes = self
            .replayed_bytes
            .saturating_add(after)
            .saturating_sub(before);
        if let Err(misfit) = result {
            self.damaged_lanes.push(lane);
            self.quarantine(id, &misfit);
        }
    }
}

/// Applies an entry that is neither Create nor Delete.
pub(super) fn apply_to(
    log: &mut RecoveringLog,
    entry: Entry,
    sequence: u64,
    now: Timestamp,
) -> Result<(), Misfit> {
    match entry {
        Entry::Append {
            generation,
            first,
            last,
            records,
            ..
        } => log.append(generation, (first, last), &records, sequence, now),
        Entry::Epoch {
            leader_epoch, end, ..
        } => {
            let assigned = log.epochs.assign(leader_epoch, end);
            assigned.map(drop).map_err(|_| Misfit::Epoch)
        }
        Entry::Truncate {
            generation,
            cut,
            fully: false,
            ..
        } => {
            log.truncate(generation, cut);
            Ok(())
        }
        Entry::Truncate {
            generation, cut, ..
        } => {
            log.restart(generation, cut);
            Ok(())
        }
        Entry::LogStart { start, .. } => {
            log.advance_start(start);
            Ok(())
        }
        Entry::Replace {
            generation,
            first,
            last,
            segments,
            ..
        } => log.replace(generation, (first, last), segments),
        Entry::Create { .. } | Entry::Delete { .. } => Ok(()),
    }
}

impl From<Misfit> for StorageError {
    fn from(misfit: Misfit) -> Self {
        Self::Corrupt {
            target: misfit.to_string().into(),
            position: 0,
        }
    }
}
