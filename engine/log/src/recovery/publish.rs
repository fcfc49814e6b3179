//! Beginning the new run (steps 16-17): lanes and manifests for today's shards, CURRENT, sweep.

use super::{Recovered, Recovery};
use crate::checkpoint::write_manifest;
use crate::directory::{StableEnds, lane_file_name, manifest_file_name, write_current};
use crate::error::{OpenError, StorageError};
use crate::fence::FenceSignal;
use crate::format::{Current, FileId, LaneFile, LaneImage, LogImage, ManifestHead, ManifestPlace};
use crate::lane::{HalfFile, write_zeros_to};
use crate::segment::parse_file_name;
use crate::store::{StoreSeed, home_shard};
use engine_model::planted::{self, Bug};
use engine_model::{HashSet, ShardId};
use engine_rt::{Dir, FileOptions};

/// Number of the first manifest of a run: it goes into the even slot.
const FIRST_MANIFEST: u64 = 2;

impl Recovery<'_> {
    /// Writes everything the new run begins with, then CURRENT; sweeps what nothing names.
    pub(super) async fn publish(
        mut self,
        fence: &FenceSignal,
        ends: &StableEnds,
    ) -> Result<Recovered, OpenError> {
        let shards = self.options.shards;
        let mut images: Vec<Vec<LogImage>> = vec![Vec::new(); shards];
        self.report.logs = self.logs.len();
        self.set_lost_apart(ends);
        for log in self.logs.values() {
            let home = home_shard(log.partition, shards);
            if home.0 != log.id.lane {
                self.report.rehomed = self.report.rehomed.saturating_add(1);
            }
            if log.is_quarantined {
                self.report.quarantined.push(log.id);
            }
            if let Some(list) = images.get_mut(home.index()) {
                list.push(log.image());
            }
        }
        let mut lanes = Vec::with_capacity(shards);
        for shard in 0..shards {
            let shard = ShardId(u16::try_from(shard).unwrap_or(u16::MAX));
            lanes.push(self.make_lane(shard).await?);
        }
        for (lane, logs) in lanes.iter().zip(&images) {
            self.write_first_manifest(lane, logs).await?;
        }
        self.root.sync().await?;
        let current = Current {
            directory: self.before.directory,
            run: self.run,
            clean: planted::is(Bug::CleanMarkLeft) && self.before.clean,
            lanes,
        };
        if planted::is(Bug::SweepBeforeCurrent) {
            self.sweep(&current, &images).await?;
        }
        write_current(self.root, &current).await?;
        self.sweep(&current, &images).await?;
        let seeds = self.seeds(&current, images, fence, ends);
        Ok(Recovered {
            current,
            seeds,
            report: self.report,
        })
    }

    /// Sets apart the logs that end below what had been acknowledged: no start may take them for
    /// whole.
    fn set_lost_apart(&mut self, ends: &StableEnds) {
        for log in self.logs.values_mut() {
            let expected = ends.ends.get(&log.id).copied();
            if let Some(expected) = expected.filter(|end| log.log_end < *end) {
                log.is_quarantined = true;
                tracing::error!(
                    log = %log.id, partition = %log.partition, end = %log.log_end, %expected,
                    "a log lacks acknowledged records and stays offline: stop the broker and run \
                     `odradek storage repair --accept-loss` to serve what is left"
                );
            }
        }
    }

    /// The lane of a shard: the files of the last run if they are there and whole, else new ones.
    async fn make_lane(&mut self, shard: ShardId) -> Result<LaneImage, OpenError> {
        let manifests = [self.next_file(shard.0), self.next_file(shard.0)];
        let is_damaged = self.damaged_lanes.contains(&shard.0);
        let known = self.before.lanes.iter().find(|lane| lane.lane == shard.0);
        let known = known.filter(|lane| !is_damaged && lane.files.len() == 2);
        let files = match known {
            Some(lane) => lane.files.iter().map(|file| file.file).collect(),
            None => vec![self.next_file(shard.0), self.next_file(shard.0)],
        };
        let is_new = known.is_none();
        let half_bytes = self
            .options
            .lane_bytes
            .min(self.options.lane_bytes_at_start)
            / 2;
        let block = crate::number::to_u64(crate::format::BLOCK_BYTES);
        let half_bytes = half_bytes
            .checked_div(block)
            .unwrap_or(0)
            .saturating_mul(block);
        let mut lane_files = Vec::with_capacity(2);
        for file in files {
            let bytes = self.make_half(file, is_new, half_bytes).await?;
            lane_files.push(LaneFile { file, bytes });
        }
        Ok(LaneImage {
            lane: shard.0,
            files: lane_files,
            manifests,
        })
    }

    /// Makes or checks the file of a half; its bytes, all of them written and synced.
    async fn make_half(&self, id: FileId, is_new: bool, half_bytes: u64) -> Result<u64, OpenError> {
        let options = if is_new {
            FileOptions::CREATE_NEW.direct()
        } else {
            FileOptions::READ_WRITE.direct()
        };
        let file = self.root.open_file(&lane_file_name(id), options).await?;
        // A file that was growing may end anywhere.
        let block = crate::number::to_u64(crate::format::BLOCK_BYTES);
        let size = file.size().await?;
        let whole = size.checked_div(block).unwrap_or(0).saturating_mul(block);
        let half = HalfFile::new(id, file, whole);
        if planted::is(Bug::LaneClearedEarly) {
            write_zeros_to(&HalfFile::new(id, half.file().clone(), 0), whole).await?;
        }
        if whole < half_bytes {
            write_zeros_to(&half, half_bytes).await?;
        } else {
            half.file().sync_all().await?;
        }
        Ok(half.ready_bytes())
    }

    async fn write_first_manifest(
        &self,
        lane: &LaneImage,
        logs: &[LogImage],
    ) -> Result<(), OpenError> {
        let [even, odd] = lane.manifests;
        let options = FileOptions::CREATE_NEW.direct();
        let file = self
            .root
            .open_file(&manifest_file_name(even), options)
            .await?;
        let place = ManifestPlace {
            directory: self.before.directory,
            lane: lane.lane,
            file: even,
        };
        let head = ManifestHead {
            run: self.run,
            sequence: 0,
            next_counter: self.counter(lane.lane),
            logs: u32::try_from(logs.len()).unwrap_or(u32::MAX),
        };
        let images = logs.iter().cloned();
        write_manifest(place, &file, FIRST_MANIFEST, head, images).await?;
        let other = self
            .root
            .open_file(&manifest_file_name(odd), options)
            .await?;
        other.sync_all().await?;
        Ok(())
    }

    fn counter(&self, lane: u16) -> u32 {
        self.counters.get(usize::from(lane)).copied().unwrap_or(0)
    }

    fn seeds(
        &self,
        current: &Current,
        images: Vec<Vec<LogImage>>,
        fence: &FenceSignal,
        ends: &StableEnds,
    ) -> Vec<StoreSeed> {
        let mut seeds = Vec::with_capacity(images.len());
        for (lane, logs) in current.lanes.iter().zip(images) {
            let mut files = lane.files.iter().map(|file| file.file);
            let lost = logs
                .iter()
                .filter(|log| ends.ends.get(&log.id).is_some_and(|end| log.log_end < *end))
                .map(|log| log.id)
                .collect();
            seeds.push(StoreSeed {
                shard: ShardId(lane.lane),
                path: self.path.to_owned(),
                directory: current.directory,
                run: current.run,
                options: self.options.clone(),
                fence: fence.clone(),
                lane_files: [
                    files.next().unwrap_or_default(),
                    files.next().unwrap_or_default(),
                ],
                manifests: lane.manifests,
                manifest_number: FIRST_MANIFEST,
                next_counter: self.counter(lane.lane),
                logs,
                lost,
            });
        }
        seeds
    }

    /// Deletes files that nothing names. While a log is set apart, nothing is: repair may need it.
    async fn sweep(
        &mut self,
        current: &Current,
        images: &[Vec<LogImage>],
    ) -> Result<(), StorageError> {
        let is_damaged = !self.report.quarantined.is_empty() || !self.damaged_lanes.is_empty();
        if is_damaged && !planted::is(Bug::SweepAfterRot) {
            return Ok(());
        }
        let mut named: HashSet<String> = HashSet::default();
        for lane in &current.lanes {
            named.extend(lane.files.iter().map(|file| lane_file_name(file.file)));
            named.extend(lane.manifests.iter().map(|slot| manifest_file_name(*slot)));
        }
        for entry in self.root.list().await? {
            let is_ours = [".lane", ".manifest"]
                .iter()
                .filter_map(|ending| entry.name.strip_suffix(ending))
                .any(|stem| FileId::parse(stem).is_some());
            if is_ours && !named.contains(&entry.name) {
                self.remove(self.root.clone(), &entry.name).await?;
            }
        }
        let named: HashSet<FileId> = images
            .iter()
            .flatten()
            .flat_map(|log| &log.segments)
            .map(|segment| segment.file)
            .collect();
        for entry in self.segments.list().await? {
            let is_unnamed = parse_file_name(&entry.name).is_some_and(|id| !named.contains(&id));
            if is_unnamed {
                self.remove(self.segments.clone(), &entry.name).await?;
            }
        }
        Ok(())
    }

    async fn remove(&mut self, directory: Dir, name: &str) -> Result<(), StorageError> {
        directory.remove_file(name).await?;
        self.report.swept_files = self.report.swept_files.saturating_add(1);
        Ok(())
    }
}
