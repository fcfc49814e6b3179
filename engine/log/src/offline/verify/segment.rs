//! The check of one segment file, fed with its bytes.
//!
//! Keeps: every block up to the end is looked at once; behind damage the next sound extent is looked
//! for at every block, so that only what is damaged counts as lost; what is asked for at once is at
//! most a window or one extent.
//! Does not: read the file; whoever has it asks `wants`, reads, and calls `take` or `unreadable`.
//! The scrub, `log verify` and `storage repair` all go through here, so they find the same.

use super::WINDOW_BYTES;
use super::finding::{Finding, Problem, Severity};
use crate::epochs::LeaderEpochs;
use crate::format::{
    BLOCK_BYTES, ExtentHeader, ExtentKind, ExtentPlace, ExtentView, FileId, Footer, FormatError,
    INDEX_ROWS, IndexBlock, IndexRow, SegmentImage,
};
use crate::number::{to_u64, to_usize};
use crate::offline::{ExtentAt, extent_at};
use crate::producers::Producers;
use crate::segment::file_name;
use bytes::Bytes;
use engine_codec::batches;
use engine_model::{LogId, Offset, Timestamp};

/// How many candidates behind one damaged place are read in full, for a place whose content was
/// made to look like headers.
const CANDIDATES_MAX: u32 = 256;

/// What `take` meets.
#[derive(Debug)]
pub enum Seen<'a> {
    /// An extent that is right in every way.
    Extent {
        /// Where it lies.
        position: u64,
        /// Header and payload.
        view: &'a ExtentView,
    },
    /// Something that is not right.
    Finding(Finding),
}

/// A place from which on nothing sound was found yet.
#[derive(Debug)]
struct Broken {
    from: u64,
    /// Where something sound followed, that is no records.
    to: Option<u64>,
    problem: Problem,
    candidates_left: u32,
    /// Only bytes that were never written so far.
    is_blank: bool,
}

/// The check of one segment.
#[derive(Debug)]
pub struct SegmentCheck {
    path: String,
    file: FileId,
    log: Option<LogId>,
    /// What names it, if something does.
    image: Option<SegmentImage>,
    end: u64,
    position: u64,
    /// Bytes the extent at `position` needs, as far as known.
    needed: usize,
    window: usize,
    broken: Option<Broken>,
    previous_last: Option<Offset>,
    /// Extents that no full index block names.
    rows: Vec<IndexRow>,
    /// Whether `rows` is all of them: damage may have hidden some.
    are_rows_known: bool,
    full_index: Option<u64>,
    last_index: Option<u64>,
    is_indexed: bool,
}

impl SegmentCheck {
    /// The check of a segment that a manifest or an entry names.
    pub fn new(log: LogId, image: SegmentImage) -> Self {
        Self {
            end: image.bytes,
            image: Some(image),
            ..Self::unnamed(image.file, Some(log), 0)
        }
    }

    /// The check of a file by itself, of `bytes` bytes. Without the log's id no checksum of an
    /// extent can be told; those of the batches can.
    pub fn unnamed(file: FileId, log: Option<LogId>, bytes: u64) -> Self {
        Self {
            path: format!("segments/{}", file_name(file)),
            file,
            log,
            image: None,
            end: bytes,
            position: 0,
            needed: BLOCK_BYTES,
            window: WINDOW_BYTES,
            broken: None,
            previous_last: None,
            rows: Vec::new(),
            are_rows_known: true,
            full_index: None,
            last_index: None,
            is_indexed: true,
        }
    }

    /// What to read next: position and bytes; `None` at the end.
    pub fn wants(&self) -> Option<(u64, usize)> {
        let left = self
            .end
            .checked_sub(self.position)
            .filter(|left| *left > 0)?;
        let bytes = self.needed.max(self.window);
        Some((self.position, bytes.min(to_usize(left))))
    }

    /// Takes what was read of what `wants` asked for; fewer bytes than that: the file ends there.
    pub fn take(&mut self, bytes: &Bytes, mut see: impl FnMut(Seen<'_>)) {
        let Some((start, asked)) = self.wants() else {
            return;
        };
        let is_end = bytes.len() < asked;
        while self.position < self.end {
            let at = to_usize(self.position.saturating_sub(start));
            let rest = bytes.slice(at.min(bytes.len())..);
            if rest.is_empty() || (rest.len() < self.needed && !is_end) {
                break;
            }
            self.step(&rest, is_end, &mut see);
        }
        if is_end {
            self.cut_short(start.saturating_add(to_u64(bytes.len())), &mut see);
        }
    }

    /// Says that what `wants` asked for could not be read.
    pub fn unreadable(&mut self, errno: i32) {
        if self.window > BLOCK_BYTES && self.needed <= BLOCK_BYTES {
            // Only a part of it may be bad: ask again, for one block.
            self.window = BLOCK_BYTES;
            return;
        }
        self.breaks(Problem::Unreadable { errno }, false);
    }

    /// The file ends although more was to come.
    fn cut_short(&mut self, found: u64, see: &mut impl FnMut(Seen<'_>)) {
        let needed = self.end;
        let from = self
            .broken
            .take()
            .map_or(self.position, |broken| broken.from);
        let problem = Problem::Short { needed, found };
        self.tell_lost(from.min(found), needed, problem, None, see);
        self.position = self.end;
        self.are_rows_known = false;
    }

    /// Looks at the start of `rest`, which is at `self.position`.
    fn step(&mut self, rest: &Bytes, is_end: bool, see: &mut impl FnMut(Seen<'_>)) {
        let place = self.log.map(|log| ExtentPlace {
            log,
            file: self.file,
            position: self.position,
        });
        match extent_at(rest, place.as_ref()) {
            ExtentAt::Extent { view, .. } => self.sound(&view, see),
            ExtentAt::End => self.breaks(Problem::Blank, true),
            ExtentAt::Damaged(error) => self.breaks(Problem::Extent(error), false),
            ExtentAt::Short { needed } => {
                let left = self.end.saturating_sub(self.position);
                let fits = !is_end && to_u64(needed) <= left;
                let may_try = self.broken.as_mut().is_none_or(|broken| {
                    let left = broken.candidates_left;
                    broken.candidates_left = left.saturating_sub(1);
                    left > 0
                });
                if fits && may_try {
                    self.needed = needed;
                } else {
                    let found = rest.len();
                    let what = "extent";
                    let error = FormatError::Short {
                        what,
                        needed,
                        found,
                    };
                    self.breaks(Problem::Extent(error), false);
                }
            }
        }
    }

    /// There is nothing sound at `position`: goes on with the next block.
    fn breaks(&mut self, problem: Problem, is_blank: bool) {
        let broken = self.broken.get_or_insert(Broken {
            from: self.position,
            to: None,
            problem,
            candidates_left: CANDIDATES_MAX,
            is_blank: true,
        });
        broken.is_blank &= is_blank;
        broken.to = None;
        self.needed = BLOCK_BYTES;
        self.position = self.position.saturating_add(to_u64(BLOCK_BYTES));
    }

    /// Takes an extent whose checksum is right.
    fn sound(&mut self, view: &ExtentView, see: &mut impl FnMut(Seen<'_>)) {
        let header = view.header;
        let position = self.position;
        if header.kind == ExtentKind::Records {
            self.end_broken(Some(header.first), see);
        } else if let Some(broken) = self.broken.as_mut() {
            // Its offsets are told by the records that follow.
            broken.is_blank = false;
            broken.to.get_or_insert(position);
        }
        let checked = match header.kind {
            ExtentKind::Records => self.records(view),
            ExtentKind::Index => self.index(view),
            ExtentKind::Footer => self.footer(view),
            ExtentKind::Producers => state("producers", Producers::decode(&view.payload).map(drop)),
            ExtentKind::Epochs => state("epochs", LeaderEpochs::decode(&view.payload).map(drop)),
            ExtentKind::AbortedTransactions => Ok(()),
        };
        self.needed = BLOCK_BYTES;
        if self.broken.is_none() {
            self.window = WINDOW_BYTES;
        }
        self.position = position.saturating_add(to_u64(header.extent_bytes()));
        match checked {
            Ok(()) => see(Seen::Extent { position, view }),
            Err(problem) => {
                let mut finding = self.finding(position, problem);
                finding.bytes = to_u64(header.extent_bytes());
                if header.kind == ExtentKind::Records {
                    finding.offsets = Some((header.first, header.last));
                }
                see(Seen::Finding(finding));
            }
        }
    }

    /// Checks the batches of an extent against its header and what came before.
    fn records(&mut self, view: &ExtentView) -> Result<(), Problem> {
        let header = &view.header;
        let previous = self.previous_last;
        let row = IndexRow {
            first: header.first,
            last: header.last,
            max_timestamp: header.max_timestamp,
            position: self.position,
            length: u32::try_from(header.extent_bytes()).unwrap_or(u32::MAX),
        };
        self.rows.push(row);
        self.is_indexed = false;
        let base = self.image.map(|image| image.base_offset);
        let floor = previous.map(Offset::saturating_next).or(base);
        if let Some(floor) = floor
            && header.first < floor
        {
            return Err(Problem::Order {
                what: "offsets of extents",
                previous: floor,
                found: header.first,
            });
        }
        self.previous_last = Some(header.last.max(header.first));
        check_batches(header, &view.payload)
    }

    /// Checks an index block against the extents before it.
    fn index(&mut self, view: &ExtentView) -> Result<(), Problem> {
        let position = self.position;
        let block = IndexBlock::decode(view).map_err(Problem::Extent)?;
        self.last_index = Some(position);
        self.is_indexed = true;
        let is_full = block.rows.len() >= INDEX_ROWS;
        let result = if !self.are_rows_known || self.broken.is_some() {
            Ok(())
        } else if block.previous != self.full_index {
            Err(Problem::Index("does not lead to the block before it"))
        } else if block.rows != self.rows {
            Err(Problem::Index("names other extents than there are"))
        } else {
            Ok(())
        };
        if is_full {
            self.full_index = Some(position);
            self.rows.clear();
            self.are_rows_known = self.broken.is_none();
        }
        result
    }

    fn footer(&self, view: &ExtentView) -> Result<(), Problem> {
        let footer = Footer::decode(view).map_err(Problem::Extent)?;
        let agrees = footer.last_index == self.last_index
            && self
                .previous_last
                .is_none_or(|last| last < footer.end_offset);
        if agrees {
            Ok(())
        } else {
            Err(Problem::Index("is not the one the footer names"))
        }
    }

    /// Tells the damage before `position`, now that records follow, or the end.
    fn end_broken(&mut self, next: Option<Offset>, see: &mut impl FnMut(Seen<'_>)) {
        let Some(broken) = self.broken.take() else {
            return;
        };
        self.are_rows_known = false;
        if broken.is_blank && next.is_none() && self.image.is_none() {
            // Room that nothing was written to yet.
            return;
        }
        let to = broken.to.unwrap_or(self.position);
        self.tell_lost(broken.from, to, broken.problem, next, see);
    }

    fn tell_lost(
        &self,
        from: u64,
        to: u64,
        problem: Problem,
        next: Option<Offset>,
        see: &mut impl FnMut(Seen<'_>),
    ) {
        let base = self.image.map(|image| image.base_offset);
        let first = self.previous_last.map(Offset::saturating_next).or(base);
        let end = next.or_else(|| self.image.map(|image| image.end_offset));
        let mut finding = self.finding(from, problem);
        finding.bytes = to.saturating_sub(from);
        finding.offsets = match (first, end) {
            (Some(first), Some(end)) if first < end => {
                Some((first, Offset::new(end.get().saturating_sub(1))))
            }
            _ => None,
        };
        see(Seen::Finding(finding));
    }

    fn finding(&self, position: u64, problem: Problem) -> Finding {
        Finding {
            log: self.log,
            ..Finding::new(&self.path, position, problem, Severity::Damage)
        }
    }

    /// Ends the check: what the whole tells.
    pub fn finish(mut self, mut see: impl FnMut(Seen<'_>)) {
        self.end_broken(None, &mut see);
        let Some(image) = self.image.filter(|_| self.are_rows_known) else {
            return;
        };
        let problem = if image.last_index != self.last_index {
            "is not the one the manifest names"
        } else if !self.is_indexed {
            "leaves out the last extents"
        } else {
            return;
        };
        let at = self.last_index.unwrap_or(0);
        see(Seen::Finding(self.finding(at, Problem::Index(problem))));
    }
}

fn state(state: &'static str, decoded: Result<(), FormatError>) -> Result<(), Problem> {
    decoded.map_err(|error| Problem::State { state, error })
}

/// Checks the batches of an extent: their own checksums, and that they are what its header says.
fn check_batches(header: &ExtentHeader, payload: &Bytes) -> Result<(), Problem> {
    let mut expected = header.first;
    let mut count = 0_u32;
    let mut last = None;
    let mut max_timestamp = Timestamp::NONE;
    for batch in batches(payload) {
        let batch = batch.map_err(Problem::Batch)?;
        batch.check_crc().map_err(Problem::Batch)?;
        let found = batch.header();
        if found.base_offset < expected {
            return Err(Problem::Order {
                what: "offsets of batches",
                previous: expected,
                found: found.base_offset,
            });
        }
        if count == 0 && found.base_offset != header.first {
            return Err(Problem::Header("first offset"));
        }
        expected = found.next_offset();
        last = Some(found.last_offset());
        count = count.saturating_add(1);
        max_timestamp = max_timestamp.max(found.max_timestamp);
    }
    if last != Some(header.last) {
        return Err(Problem::Header("last offset"));
    }
    if count != header.count {
        return Err(Problem::Header("count"));
    }
    if max_timestamp != header.max_timestamp {
        return Err(Problem::Header("largest timestamp"));
    }
    Ok(())
}
