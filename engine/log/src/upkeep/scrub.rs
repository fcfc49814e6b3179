//! Scrub: a slow full re-read of what the newest manifest names, past every cache, so that rot is
//! found while there are still copies, and not when the last one is asked for.
//!
//! Keeps: at most one read of one window or one extent a call, never faster than
//! `log.scrub.bytes.per.second`; nothing is changed by it: a read of a damaged extent is refused
//! whether the scrub has seen it or not, the rest of its log is served and takes appends. What it
//! finds in a manifest is written anew by a checkpoint, since memory has it all.
//!
//! Does not: remember over restarts where it was; a pass begins at a log drawn at random. It leaves
//! out frames of the lane: they count until the next checkpoint only, and memory has what they hold.
//! Source: the storage design, "Upkeep".

use crate::error::StorageError;
use crate::format::{FileId, LogImage, MANIFEST_PIECE_BYTES, ManifestReader, SegmentImage};
use crate::number::to_u64;
use crate::offline::verify::{Finding, Problem, Seen, SegmentCheck, Severity};
use crate::partition_log::PartitionLog;
use crate::segment::file_name;
use crate::store_core::StoreCore;
use core::time::Duration;
use engine_model::{LogId, Moment};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};

/// How long a start is left alone.
const QUIET: Duration = Duration::from_mins(1);

/// How many damaged places are remembered, to tell each once.
const TOLD_MAX: usize = 4096;

/// What a scrub has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScrubFigures {
    /// Bytes that were read.
    pub(crate) bytes: u64,
    /// Times that everything was read.
    pub(crate) passes: u64,
    /// Places that are damaged, each counted once.
    pub(crate) damaged_places: u64,
}

/// The segment under way.
struct Current {
    log: PartitionLog,
    image: SegmentImage,
    check: SegmentCheck,
}

/// The scrub of one shard.
pub(crate) struct Scrub {
    /// When the next read is due.
    next_at: Cell<Moment>,
    pass_began: Cell<Moment>,
    /// Logs of this pass that are still to come.
    logs: RefCell<VecDeque<LogId>>,
    /// Segments of the log under way that are still to come.
    segments: RefCell<VecDeque<(PartitionLog, SegmentImage)>>,
    current: RefCell<Option<Current>>,
    is_passing: Cell<bool>,
    told: RefCell<BTreeSet<(FileId, u64)>>,
    figures: Cell<ScrubFigures>,
}

impl Scrub {
    /// Nothing is due for a while after a start; never, if the interval is zero.
    pub(crate) fn new(interval: Duration) -> Self {
        let next_at = if interval.is_zero() {
            Moment::NEVER
        } else {
            engine_rt::now().saturating_add(interval.min(QUIET))
        };
        Self {
            next_at: Cell::new(next_at),
            pass_began: Cell::new(Moment(0)),
            logs: RefCell::new(VecDeque::new()),
            segments: RefCell::new(VecDeque::new()),
            current: RefCell::new(None),
            is_passing: Cell::new(false),
            told: RefCell::new(BTreeSet::new()),
            figures: Cell::new(ScrubFigures::default()),
        }
    }

    /// When there is something to do.
    pub(crate) fn next_at(&self) -> Moment {
        self.next_at.get()
    }

    pub(crate) fn figures(&self) -> ScrubFigures {
        self.figures.get()
    }

    fn count(&self, change: impl FnOnce(&mut ScrubFigures)) {
        let mut figures = self.figures.get();
        change(&mut figures);
        self.figures.set(figures);
    }
}

/// Reads the next piece if one is due.
pub(super) async fn read_one(core: &StoreCore) {
    let scrub = &core.scrub;
    if engine_rt::now() < scrub.next_at.get() {
        return;
    }
    let read = if scrub.is_passing.get() {
        next_piece(core).await
    } else {
        begin(core).await
    };
    scrub.count(|figures| figures.bytes = figures.bytes.saturating_add(read));
    if scrub.is_passing.get() {
        let rate = core.options().scrub_bytes_per_second.max(1);
        let pause_us = read
            .saturating_mul(1_000_000)
            .checked_div(rate)
            .unwrap_or(0);
        let pause = Duration::from_micros(pause_us.max(1));
        scrub.next_at.set(engine_rt::now().saturating_add(pause));
    }
}

/// Begins a pass with the newest manifest; the bytes that were read.
async fn begin(core: &StoreCore) -> u64 {
    let scrub = &core.scrub;
    scrub.pass_began.set(engine_rt::now());
    scrub.is_passing.set(true);
    let mut ids: VecDeque<LogId> = core.logs.borrow().keys().copied().collect();
    let count = to_u64(ids.len());
    if let Some(first) = engine_rt::random_u64().checked_rem(count) {
        ids.rotate_left(crate::number::to_usize(first));
    }
    *scrub.logs.borrow_mut() = ids;
    check_manifest(core).await
}

/// Ends a pass.
fn end(core: &StoreCore) {
    let scrub = &core.scrub;
    scrub.is_passing.set(false);
    scrub.count(|figures| figures.passes = figures.passes.saturating_add(1));
    let next = scrub
        .pass_began
        .get()
        .saturating_add(core.options().scrub_interval);
    scrub
        .next_at
        .set(next.max(engine_rt::now().saturating_add(QUIET)));
}

/// Reads the newest manifest. It is the one that counts: no checkpoint runs beside this.
async fn check_manifest(core: &StoreCore) -> u64 {
    let (place, file) = core.newest_manifest();
    let mut reader = ManifestReader::new(place);
    let mut logs: Vec<LogImage> = Vec::new();
    let mut position = 0_u64;
    let problem = loop {
        if reader.is_complete() {
            break reader.finish().err().map(Problem::Manifest);
        }
        match file.read_at(position, MANIFEST_PIECE_BYTES).await {
            Err(error) => break Some(Problem::Unreadable { errno: error.errno }),
            Ok(bytes) => match reader.piece(&bytes, &mut logs) {
                Ok(taken) => position = position.saturating_add(to_u64(taken)),
                Err(error) => break Some(Problem::Manifest(error)),
            },
        }
        logs.clear();
        engine_rt::yield_if_due().await;
    };
    if let Some(problem) = problem
        && is_news(core, place.file, position)
    {
        tracing::error!(
            file = %place.file, position, %problem,
            "the scrub found a damaged manifest; it is written anew"
        );
        core.free_files_at.set(Some(engine_rt::now()));
    }
    position
}

/// Goes on with the pass; the bytes that were read.
async fn next_piece(core: &StoreCore) -> u64 {
    let scrub = &core.scrub;
    let current = scrub.current.take().or_else(|| next_segment(core));
    let Some(mut current) = current else {
        return 0;
    };
    let Some((position, bytes)) = current.check.wants() else {
        let Current { log, image, check } = current;
        check.finish(|seen| tell(core, &log, &image, seen));
        return 0;
    };
    let reader = current.log.reader();
    let read = read(core, &current.image, position, bytes).await;
    drop(reader);
    let (log, image) = (current.log.clone(), current.image);
    if !log.names_segment(image.file) {
        // It was deleted or replaced meanwhile.
        return 0;
    }
    let done = match read {
        Ok(bytes) => {
            let done = to_u64(bytes.len());
            current
                .check
                .take(&bytes, |seen| tell(core, &log, &image, seen));
            done
        }
        Err(error) if error.is_not_found() => {
            let path = file_name(image.file);
            let finding = Finding::new(&path, 0, Problem::Missing, Severity::Damage);
            tell(core, &log, &image, Seen::Finding(finding));
            return 0;
        }
        Err(StorageError::Io { errno, .. }) => {
            current.check.unreadable(errno);
            to_u64(bytes)
        }
        Err(_) => return 0,
    };
    *scrub.current.borrow_mut() = Some(current);
    done
}

async fn read(
    core: &StoreCore,
    image: &SegmentImage,
    position: u64,
    bytes: usize,
) -> Result<bytes::Bytes, StorageError> {
    let file = core.segments().file(image.file).await?;
    Ok(file.read_at(position, bytes).await?)
}

/// The next segment of this log or of the next one; `None` after a log without any, and at the end.
fn next_segment(core: &StoreCore) -> Option<Current> {
    let scrub = &core.scrub;
    let next = scrub.segments.borrow_mut().pop_front();
    if let Some((log, image)) = next {
        let check = SegmentCheck::new(log.id(), image);
        return Some(Current { log, image, check });
    }
    let Some(id) = scrub.logs.borrow_mut().pop_front() else {
        end(core);
        return None;
    };
    let log = core.logs.borrow().get(&id).cloned()?;
    let segments = log.named_segments();
    let mut queue = scrub.segments.borrow_mut();
    queue.extend(segments.iter().map(|image| (log.clone(), *image)));
    None
}

/// Tells damage, each place once.
fn tell(core: &StoreCore, log: &PartitionLog, image: &SegmentImage, seen: Seen<'_>) {
    let Seen::Finding(finding) = seen else {
        return;
    };
    // What lies before the start was deleted, and goes with its segment.
    let is_gone = finding
        .offsets
        .is_some_and(|(_, last)| last < log.log_start_offset());
    if is_gone || !is_news(core, image.file, finding.position) {
        return;
    }
    let (first, last) = finding
        .offsets
        .map_or((-1, -1), |(first, last)| (first.get(), last.get()));
    tracing::error!(
        file = finding.file,
        position = finding.position,
        bytes = finding.bytes,
        log = %log.id(),
        topic_id = %log.partition().topic_id,
        partition = log.partition().partition.get(),
        first_offset = first,
        last_offset = last,
        problem = %finding.problem,
        "the scrub found damage: these records are refused, the rest of the log is served; \
         `odradek storage repair` tells what can be done"
    );
}

/// Counts a place unless it was counted before.
fn is_news(core: &StoreCore, file: FileId, position: u64) -> bool {
    let mut told = core.scrub.told.borrow_mut();
    if told.len() >= TOLD_MAX || !told.insert((file, position)) {
        return false;
    }
    drop(told);
    core.scrub
        .count(|figures| figures.damaged_places = figures.damaged_places.saturating_add(1));
    true
}
