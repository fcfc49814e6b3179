//! Starting the store of a shard from its seed.

use super::{Store, StoreSeed};
use crate::checkpoint::ManifestSlots;
use crate::config::LogConfig;
use crate::directory::{lane_file_name, manifest_file_name, segments_directory};
use crate::epochs::LeaderEpochs;
use crate::error::{OfflineReason, StorageError};
use crate::format::{BLOCK_BYTES, FormatError, LogImage, StateImage};
use crate::lane::{HalfFile, Lane, LaneIdentity};
use crate::number::to_u64;
use crate::partition_log::{LogParts, PartitionLog};
use crate::producers::Producers;
use crate::segment::Segments;
use crate::store_core::{CoreParts, StoreCore};
use crate::upkeep;
use engine_rt::sync::Notify;
use engine_rt::task::TaskSet;
use engine_rt::{Dir, File, FileOptions};
use std::rc::Rc;

impl Store {
    /// Starts the store of this shard; must be called on it.
    ///
    /// Every log has default settings until `PartitionLog::set_config`. Cancel: not safe.
    pub async fn start(seed: StoreSeed) -> Result<Self, StorageError> {
        let root = Dir::open(&seed.path).await?;
        let options = Rc::new(seed.options.clone());
        let direct = FileOptions::READ_WRITE.direct();
        let [even, odd] = seed.lane_files;
        let mut halves = Vec::with_capacity(2);
        for file in [even, odd] {
            let opened = root.open_file(&lane_file_name(file), direct).await?;
            // A file that was growing when the last run ended may end within a block.
            let size = opened.size().await?;
            let block = to_u64(BLOCK_BYTES);
            let ready = size.checked_div(block).unwrap_or(0).saturating_mul(block);
            halves.push(HalfFile::new(file, opened, ready));
        }
        let mut slots: Vec<(_, File)> = Vec::with_capacity(2);
        for file in seed.manifests {
            slots.push((
                file,
                root.open_file(&manifest_file_name(file), direct).await?,
            ));
        }
        let (Ok(halves), Ok(slots)) = (halves.try_into(), slots.try_into()) else {
            return Err(StorageError::Stopped);
        };
        let identity = LaneIdentity {
            directory: seed.directory,
            lane: seed.shard.0,
            run: seed.run,
        };
        let upkeep = Rc::new(Notify::new());
        let lane = Rc::new(Lane::new(
            identity,
            Rc::clone(&options),
            seed.fence.clone(),
            halves,
            Rc::clone(&upkeep),
        ));
        let segments = root.open_dir(segments_directory()).await?;
        let core = Rc::new(StoreCore::new(CoreParts {
            options: Rc::clone(&options),
            identity,
            lane,
            segments: Segments::new(segments, &options),
            fence: seed.fence,
            next_counter: seed.next_counter,
            manifests: ManifestSlots::new(slots, seed.manifest_number),
            upkeep,
        }));
        for image in seed.logs {
            let is_lost = seed.lost.contains(&image.id);
            let log = load(&core, image, is_lost)?;
            core.insert(&log);
        }
        let store = Self {
            core,
            tasks: TaskSet::new(),
        };
        store.spawn_tasks(root);
        Ok(store)
    }

    fn spawn_tasks(&self, root: Dir) {
        let lane = self.core.lane();
        let core = Rc::downgrade(&self.core);
        lane.set_on_switch(Box::new(move |sequence| {
            if let Some(core) = core.upgrade() {
                core.begin_checkpoint(sequence);
            }
        }));
        let tasks = &self.tasks;
        lane.start_writing(tasks);
        tasks.spawn(Rc::clone(lane).flush_frames());
        tasks.spawn(Rc::clone(lane).send_heartbeats());
        tasks.spawn_background(upkeep::run(Rc::clone(&self.core), root));
        tasks.spawn_background(upkeep::compact(Rc::clone(&self.core)));
        let lane = Rc::clone(lane);
        let bytes = self.core.options().lane_bytes / 2;
        tasks.spawn_background(async move {
            match lane.grow_in_time(bytes).await {
                Ok(()) | Err(StorageError::Stopped | StorageError::Fenced(_)) => (),
                Err(error) => tracing::warn!(%error, "the lane stays smaller than it should be"),
            }
        });
    }
}

fn load(
    core: &Rc<StoreCore>,
    image: LogImage,
    is_lost: bool,
) -> Result<PartitionLog, StorageError> {
    let damaged = |error: FormatError| {
        tracing::error!(log = %image.id, %error, "state of a log cannot be read");
        StorageError::Corrupt {
            target: image.id.to_string().into(),
            position: 0,
        }
    };
    let offline = if is_lost {
        Some(OfflineReason::LostStableRecords)
    } else {
        image.quarantined.then_some(OfflineReason::Quarantined)
    };
    let epochs = LeaderEpochs::decode(inline(&image.epochs)).map_err(damaged)?;
    let producers = Producers::decode(inline(&image.producers)).map_err(damaged)?;
    Ok(PartitionLog::new(
        core,
        LogParts {
            id: image.id,
            partition: image.partition,
            generation: image.generation,
            log_start: image.log_start,
            log_end: image.log_end,
            segments: image.segments,
            epochs,
            producers,
            offline,
            config: LogConfig::default(),
            is_configured: false,
        },
    ))
}

/// The bytes of a state that lies in the manifest itself, as this release writes them all.
pub(crate) fn inline(state: &StateImage) -> &[u8] {
    match state {
        StateImage::Inline(bytes) => bytes,
        StateImage::Empty | StateImage::Extent { .. } => &[],
    }
}
