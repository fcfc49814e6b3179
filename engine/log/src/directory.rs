//! A data directory as a whole: opened once, recovered, handed out to the shards, closed.
//!
//! ```text
//! CURRENT                        what counts: identity, run, lanes, manifests, clean mark
//! LOCK                           held while a process has the directory open
//! <file id>.lane                 one half of a lane
//! <file id>.manifest             one slot of a lane's manifests
//! segments/<file id>.segment     batches that left a lane
//! ```
//!
//! Keeps: CURRENT is replaced as a whole, by rename; a directory without it that holds anything
//! else is not ours to touch.
//!
//! Does not: read lanes (`recovery`), or change anything while stores run.

use crate::error::{OpenError, StorageError};
use crate::fence::FenceSignal;
use crate::format::{CURRENT_BYTES_MAX, Current, FORMAT, FileId, FormatError};
use crate::options::StorageOptions;
use crate::recovery;
use crate::store::StoreSeed;
use bytes::Bytes;
use engine_model::planted::{self, Bug};
use engine_model::{DirectoryId, HashMap, LogId, Offset, limits};
use engine_rt::{Dir, DirLock, FileOptions};
use std::path::{Path, PathBuf};

const CURRENT: &str = "CURRENT";
const CURRENT_NEW: &str = "CURRENT.new";
const LOCK: &str = "LOCK";
const SEGMENTS: &str = "segments";
const PROBE: &str = "PROBE";

/// The smallest half a lane may have: a few frames of a few blocks.
const HALF_BYTES_MIN: u64 = 32 << 10;

pub(crate) fn lane_file_name(file: FileId) -> String {
    format!("{file}.lane")
}

pub(crate) fn manifest_file_name(file: FileId) -> String {
    format!("{file}.manifest")
}

/// Name of the directory of all segments.
pub(crate) const fn segments_directory() -> &'static str {
    SEGMENTS
}

/// An open data directory; stays on the shard that opened it.
pub struct Directory {
    root: Dir,
    lock: DirLock,
    path: PathBuf,
    options: StorageOptions,
    current: Current,
    fence: FenceSignal,
    /// Where logs have to end at least after the next recovery, as their stores said when they
    /// stopped fenced.
    stable_ends: StableEnds,
    /// Logs that came back shorter than that: what their stores say of them later is no news.
    lost: Vec<LogId>,
}

/// What an open found and made.
pub struct Opened {
    /// Keeps the lock; marks a clean stop.
    pub directory: Directory,
    /// One a shard, in order.
    pub seeds: Vec<StoreSeed>,
    /// What recovery did.
    pub report: RecoveryReport,
    /// Identity of the directory.
    pub directory_id: DirectoryId,
    /// Number of this start.
    pub run: u64,
    /// Whether the last stop was clean (true for a directory just formatted).
    pub was_clean: bool,
}

/// What recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Whether the directory was empty and has been formatted.
    pub formatted: bool,
    /// Lanes read.
    pub lanes: usize,
    /// Logs found.
    pub logs: usize,
    /// Frames applied.
    pub frames: u64,
    /// Frames that were never acknowledged as durable and are ignored.
    pub torn_frames: u64,
    /// Bytes of batches moved from lanes to segments.
    pub drained_bytes: u64,
    /// Logs set apart because acknowledged bytes of them are damaged.
    pub quarantined: Vec<LogId>,
    /// Logs that now live on another shard.
    pub rehomed: usize,
    /// Files deleted that nothing names.
    pub swept_files: usize,
}

/// What had been acknowledged when a fenced store stopped.
#[derive(Clone, Debug, Default)]
pub struct StableEnds {
    /// `stable_end` of every log.
    pub ends: HashMap<LogId, Offset>,
}

/// What lifting a fence made.
#[derive(Debug)]
pub struct Unfenced {
    /// One a shard, in order.
    pub seeds: Vec<StoreSeed>,
    /// What recovery did.
    pub report: RecoveryReport,
    /// Number of the run that begins.
    pub run: u64,
    /// Logs that end below what had been acknowledged: they stay offline, also after a restart.
    pub lost: Vec<LogId>,
}

/// Opens a data directory: formats an empty one, recovers any other.
///
/// Runs on one shard, before any store starts. Errors: `InUse`, `Foreign`, `Newer`, `Unreadable`
/// with the directory left as it was. Cancel: safe, as a crash is.
pub async fn open(path: &Path, options: &StorageOptions) -> Result<Opened, OpenError> {
    check_options(options)?;
    let root = Dir::create(path).await?;
    // Before the lock, which is a file of its own: a directory that is refused stays as it was.
    if !root.exists(CURRENT).await? {
        refuse_foreign(&root, path).await?;
    }
    let lock = lock(&root, path).await?;
    open_locked(root, lock, path, options).await
}

async fn lock(root: &Dir, path: &Path) -> Result<DirLock, OpenError> {
    match root.lock(LOCK).await {
        Err(error) if error.is_locked() => Err(OpenError::InUse {
            path: path.display().to_string(),
        }),
        other => Ok(other?),
    }
}

/// Opens and locks a directory that is there, for repair.
pub(crate) async fn lock_directory(path: &Path) -> Result<(Dir, DirLock), OpenError> {
    let root = Dir::open(path).await?;
    let is_ours = |name: &str| {
        [".lane", ".manifest"]
            .iter()
            .filter_map(|ending| name.strip_suffix(ending))
            .any(|stem| FileId::parse(stem).is_some())
    };
    let entries = root.list().await?;
    if !entries
        .iter()
        .any(|entry| entry.name == CURRENT || is_ours(&entry.name))
    {
        return Err(OpenError::Foreign {
            path: path.display().to_string(),
            found: entries
                .first()
                .map_or_else(|| "nothing".to_owned(), |e| e.name.clone()),
        });
    }
    let lock = lock(&root, path).await?;
    Ok((root, lock))
}

/// Reads CURRENT, or puts it together from the other files; whether it had to be.
pub(crate) async fn read_current_or_rebuild(
    root: &Dir,
    path: &Path,
) -> Result<(Current, bool), OpenError> {
    match read_current(root, path).await {
        Ok(Some(current)) => Ok((current, false)),
        Ok(None) | Err(OpenError::Unreadable { .. }) => {
            Ok((recovery::rebuild_current(root, path).await?, true))
        }
        Err(error) => Err(error),
    }
}

fn check_options(options: &StorageOptions) -> Result<(), OpenError> {
    let shards = options.shards;
    if shards == 0 || shards > limits::SHARDS_MAX {
        return Err(OpenError::Setting {
            setting: "shards",
            found: crate::number::to_u64(shards),
            reason: "it must be between 1 and 256",
        });
    }
    let half = options.lane_bytes.min(options.lane_bytes_at_start) / 2;
    if half < HALF_BYTES_MIN {
        return Err(OpenError::Setting {
            setting: "lane size",
            found: options.lane_bytes,
            reason: "each half needs at least 32 KiB",
        });
    }
    Ok(())
}

async fn open_locked(
    root: Dir,
    lock: DirLock,
    path: &Path,
    options: &StorageOptions,
) -> Result<Opened, OpenError> {
    let (before, formatted) = match read_current(&root, path).await? {
        Some(current) => (current, false),
        None => (format(&root, path).await?, true),
    };
    let fence = FenceSignal::default();
    let ends = StableEnds::default();
    let recovered = recovery::recover(&root, path, options, &before, &fence, &ends).await?;
    let mut report = recovered.report;
    report.formatted = formatted;
    Ok(Opened {
        directory_id: before.directory,
        run: recovered.current.run,
        was_clean: before.clean,
        seeds: recovered.seeds,
        report,
        directory: Directory {
            root,
            lock,
            path: path.to_owned(),
            options: options.clone(),
            current: recovered.current,
            fence,
            stable_ends: StableEnds::default(),
            lost: Vec::new(),
        },
    })
}

/// Reads CURRENT; `None` if there is none.
async fn read_current(root: &Dir, path: &Path) -> Result<Option<Current>, OpenError> {
    let file = match root.open_file(CURRENT, FileOptions::READ).await {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let length = CURRENT_BYTES_MAX.saturating_add(1);
    let bytes = file.read_at(0, length).await?;
    let path = path.join(CURRENT).display().to_string();
    match Current::decode(&bytes) {
        Ok(current) => Ok(Some(current)),
        Err(FormatError::Newer { found, .. }) => Err(OpenError::Newer {
            path,
            found: u32::from(found),
            supported: u32::from(FORMAT),
        }),
        Err(error) => Err(OpenError::Unreadable {
            path,
            reason: error.to_string(),
        }),
    }
}

/// Refuses a directory with files that are not ours.
async fn refuse_foreign(root: &Dir, path: &Path) -> Result<(), OpenError> {
    let foreign = root
        .list()
        .await?
        .into_iter()
        .find(|entry| ![LOCK, CURRENT_NEW, "lost+found"].contains(&entry.name.as_str()));
    match foreign {
        None => Ok(()),
        Some(entry) => Err(OpenError::Foreign {
            path: path.display().to_string(),
            found: entry.name,
        }),
    }
}

/// Makes an empty directory ours: an identity, no lanes.
async fn format(root: &Dir, path: &Path) -> Result<Current, OpenError> {
    refuse_foreign(root, path).await?;
    let current = Current {
        directory: DirectoryId::from_random_bytes(engine_rt::random_bytes()),
        run: 0,
        clean: true,
        lanes: Vec::new(),
    };
    write_current(root, &current).await?;
    Ok(current)
}

/// Replaces CURRENT durably (step 17).
pub(crate) async fn write_current(root: &Dir, current: &Current) -> Result<(), StorageError> {
    let bytes = current.encode().map_err(|error| {
        tracing::error!(%error, "CURRENT cannot be encoded");
        StorageError::TooLarge {
            what: "CURRENT",
            found: 0,
            max: crate::number::to_u64(CURRENT_BYTES_MAX),
        }
    })?;
    match root.remove_file(CURRENT_NEW).await {
        Err(error) if !error.is_not_found() => return Err(error.into()),
        _ => (),
    }
    let file = root.open_file(CURRENT_NEW, FileOptions::CREATE_NEW).await?;
    file.write_at(0, Bytes::from(bytes)).await?;
    if !planted::is(Bug::CurrentRenamedEarly) {
        file.sync_all().await?;
    }
    root.rename(CURRENT_NEW, CURRENT).await?;
    if !planted::is(Bug::CurrentNotSynced) {
        root.sync().await?;
    }
    Ok(())
}

impl Directory {
    /// Marks the stop as clean; call it after every store has stopped without an error.
    ///
    /// Cancel: safe; the stop is clean or not.
    pub async fn close_clean(self) -> Result<(), StorageError> {
        if let Some(cause) = self.fence.cause() {
            return Err(StorageError::Fenced(cause.clone()));
        }
        let clean = Current {
            clean: true,
            ..self.current.clone()
        };
        write_current(&self.root, &clean).await?;
        drop(self.lock);
        Ok(())
    }

    /// Lifts a fence: probes write and flush, then recovers in process (step 19).
    ///
    /// Every store must have stopped; `ends` is what [`crate::Store::stop_fenced`] returned on
    /// each shard that had one. A log that ends below what had been acknowledged stays offline.
    /// Errors: the disk still fails, or recovery refuses; nothing is served then, what the stores
    /// said is remembered, and it may be tried again. Cancel: safe, as a crash is.
    pub async fn unfence(&mut self, ends: Vec<StableEnds>) -> Result<Unfenced, OpenError> {
        for (log, end) in ends.into_iter().flat_map(|shard| shard.ends) {
            let expected = self.stable_ends.ends.entry(log).or_default();
            let is_lost = self.lost.contains(&log);
            *expected = if is_lost { end.max(*expected) } else { end };
        }
        self.probe().await?;
        // It may be newer than what is remembered: an attempt may have failed right behind it.
        let before = read_current(&self.root, &self.path).await?;
        let before = before.ok_or_else(|| OpenError::Unreadable {
            path: self.path.join(CURRENT).display().to_string(),
            reason: "it is gone".to_owned(),
        })?;
        let fence = FenceSignal::default();
        let recovered = recovery::recover(
            &self.root,
            &self.path,
            &self.options,
            &before,
            &fence,
            &self.stable_ends,
        )
        .await?;
        self.current = recovered.current;
        self.fence = fence;
        let lost = recovered.seeds.iter().flat_map(|seed| seed.lost.iter());
        self.lost = lost.copied().collect();
        let is_lost = |log: &LogId| self.lost.contains(log);
        self.stable_ends.ends.retain(|log, _| is_lost(log));
        Ok(Unfenced {
            run: self.current.run,
            lost: self.lost.clone(),
            seeds: recovered.seeds,
            report: recovered.report,
        })
    }

    /// Identity of the directory.
    pub fn id(&self) -> DirectoryId {
        self.current.directory
    }

    /// Whether the disk takes writes and flushes again: of a file of its own, and flushes of the
    /// lanes. Changes nothing that counts. Cancel: safe.
    pub async fn probe(&self) -> Result<(), StorageError> {
        self.probe_root().await?;
        for file in self.current.lanes.iter().flat_map(|lane| &lane.files) {
            let name = lane_file_name(file.file);
            let options = FileOptions::READ_WRITE.direct();
            let lane = self.root.open_file(&name, options).await?;
            lane.sync_data().await?;
        }
        Ok(())
    }

    async fn probe_root(&self) -> Result<(), StorageError> {
        match self.root.remove_file(PROBE).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => (),
        }
        let file = self.root.open_file(PROBE, FileOptions::CREATE_NEW).await?;
        file.write_at(0, Bytes::from_static(&[0; limits::BLOCK_BYTES]))
            .await?;
        file.sync_all().await?;
        self.root.sync().await?;
        self.root.remove_file(PROBE).await?;
        Ok(())
    }
}
