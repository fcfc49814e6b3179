//! What a crash leaves of a disk.
//!
//! | crash | completed, not flushed                          | requested, not completed       |
//! |-------|-------------------------------------------------|--------------------------------|
//! | kill  | all kept (and still not durable)                | any sectors of it, or nothing  |
//! | power | any subset of writes, sectors, sizes and names  | the same, after being reduced  |
//!
//! After a power cut one 4 KiB block that an unflushed write touched may also hold garbage.
//! What was flushed is never touched. Names change one by one but a rename is atomic; sizes follow
//! some prefix of their changes; bytes that did not survive below the surviving size are zeros
//! or what stood there before.
//!
//! Does not: know which operations were under way (`kernel` applies those first).
//! Source: ../../../storage.md, "Rules the tests must prove", 1.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::directory::{DirectoryNode, NameChange, Names, apply};
use super::file::{Change, FileNode};
use super::pages::Pages;
use super::{Disk, Node, NodeNumber, PAGE_BYTES, SECTOR_BYTES, to_index, to_u64};
use crate::sim::random::SeededRandom;

/// How a node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// The process ends at once; the system below lives on, and with it every completed write.
    Kill,
    /// The machine loses power: whatever no flush covered may be lost or torn.
    Power,
}

/// What a crash took, so that a test can tell that it took anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CrashLosses {
    /// Unflushed writes of which at least a part is gone.
    pub(crate) writes_lost: u64,
    /// Those of them of which another part survived.
    pub(crate) writes_torn: u64,
    /// Names that did not change, or sizes.
    pub(crate) changes_lost: u64,
    /// Blocks that hold garbage.
    pub(crate) blocks_garbled: u64,
}

/// How a crash treats what is pending at one place. Drawing per place, and the extremes as often
/// as the mixtures, reaches more states than one coin for every sector would.
#[derive(Clone, Copy)]
enum Mood {
    KeepAll,
    KeepNone,
    KeepSome,
    Prefix(usize),
    Tear,
}

impl Mood {
    fn draw(random: &mut SeededRandom, count: usize) -> Self {
        match random.below(8) {
            0 => Self::KeepAll,
            1 => Self::KeepNone,
            2 | 3 => Self::KeepSome,
            4 | 5 => Self::Prefix(random.index(count.saturating_add(1))),
            _ => Self::Tear,
        }
    }
}

impl Disk {
    /// Becomes what the disk is after a crash of that kind.
    pub(crate) fn crash(&mut self, kind: CrashKind, random: &mut SeededRandom) -> CrashLosses {
        let mut losses = CrashLosses::default();
        self.opens.clear();
        self.used.set(None);
        if kind == CrashKind::Power {
            for node in self.nodes.values_mut() {
                let clean = match node.as_ref() {
                    Node::File(file) => file.pending.is_empty() && !file.diverged,
                    Node::Directory(directory) => directory.pending.is_empty(),
                };
                if clean {
                    continue;
                }
                match Arc::make_mut(node) {
                    Node::File(file) => file.cut(random, &mut losses),
                    Node::Directory(directory) => directory.cut(random, &mut losses),
                }
            }
            self.forget_unreachable();
        }
        self.collect();
        losses
    }

    /// Lets a write that was under way leave whatever part of it the draw says.
    pub(crate) fn interrupt_write(
        &mut self,
        node: NodeNumber,
        offset: u64,
        data: &Bytes,
        random: &mut SeededRandom,
    ) {
        // Errors leave nothing behind, which is one of the outcomes.
        match random.below(4) {
            0 => {}
            1 => {
                let _ = self.write(node, offset, data.clone());
            }
            2 => {
                let sectors = to_u64(data.len()).div_ceil(SECTOR_BYTES);
                let kept = to_index(random.below(sectors).saturating_mul(SECTOR_BYTES));
                let _ = self.write(node, offset, data.slice(..kept.min(data.len())));
            }
            _ => {
                for (at, part) in sectors(offset, data) {
                    if random.flip() {
                        let _ = self.write(node, at, part);
                    }
                }
            }
        }
    }

    fn forget_unreachable(&mut self) {
        let mut reached = std::collections::BTreeSet::new();
        let mut open = vec![Self::ROOT];
        while let Some(number) = open.pop() {
            if reached.insert(number)
                && let Ok(directory) = self.directory(number)
            {
                open.extend(directory.current.values().copied());
            }
        }
        self.nodes.retain(|number, _| reached.contains(number));
        self.nameless.clear();
    }
}

impl FileNode {
    fn cut(&mut self, random: &mut SeededRandom, losses: &mut CrashLosses) {
        let mood = Mood::draw(random, self.pending.len());
        let sizes_kept = match random.below(4) {
            0 => 0,
            1 => self.pending.len(),
            _ => random.index(self.pending.len() + 1),
        };
        let mut survivor = self.durable.clone();
        let mut touched: Vec<(u64, u64)> = Vec::new();
        for (place, pending) in self.pending.drain(..).enumerate() {
            let resizes = place < sizes_kept;
            match pending.change {
                Change::SetSize(size) if resizes => survivor.set_size(size),
                Change::Extend(size) if resizes => survivor.extend(size),
                Change::SetSize(_) | Change::Extend(_) => losses.changes_lost += 1,
                Change::Write { offset, data, lost } => {
                    let end = offset.saturating_add(to_u64(data.len()));
                    if resizes {
                        survivor.extend(end);
                    }
                    let kept = if lost {
                        0
                    } else {
                        touched.push((offset, end));
                        keep_write(&mut survivor, offset, &data, (mood, place), random)
                    };
                    if kept < data.len() {
                        losses.writes_lost += 1;
                        losses.writes_torn += u64::from(kept > 0);
                    }
                }
            }
        }
        if !touched.is_empty() && random.one_in(4) {
            let (offset, end) = touched
                .get(random.index(touched.len()))
                .copied()
                .unwrap_or_default();
            let block = random.between(offset / PAGE_BYTES, (end - 1) / PAGE_BYTES);
            let mut garbage = BytesMut::zeroed(to_index(PAGE_BYTES));
            random.fill(&mut garbage);
            survivor.overwrite(block.saturating_mul(PAGE_BYTES), &garbage.freeze());
            losses.blocks_garbled += 1;
        }
        self.current = survivor.clone();
        self.durable = survivor;
        self.diverged = false;
    }
}

/// Leaves what survives of one write and says how many of its bytes that is.
fn keep_write(
    survivor: &mut Pages,
    offset: u64,
    data: &Bytes,
    (mood, place): (Mood, usize),
    random: &mut SeededRandom,
) -> usize {
    // What lies past the size that survived is gone with it.
    let seen = to_index(survivor.size().saturating_sub(offset)).min(data.len());
    let data = &data.slice(..seen);
    let whole = match mood {
        Mood::KeepAll => true,
        Mood::KeepNone => false,
        Mood::KeepSome => random.flip(),
        Mood::Prefix(count) => place < count,
        Mood::Tear => {
            let mut kept = 0;
            for (at, part) in sectors(offset, data) {
                if random.flip() {
                    survivor.overwrite(at, &part);
                    kept += part.len();
                }
            }
            return kept;
        }
    };
    if whole {
        survivor.overwrite(offset, data);
        data.len()
    } else {
        0
    }
}

impl DirectoryNode {
    fn cut(&mut self, random: &mut SeededRandom, losses: &mut CrashLosses) {
        let mood = Mood::draw(random, self.pending.len());
        for (place, (_, change)) in self.pending.drain(..).enumerate() {
            let kept = match mood {
                Mood::KeepAll => true,
                Mood::KeepNone => false,
                Mood::Prefix(count) => place < count,
                Mood::KeepSome | Mood::Tear => random.flip(),
            };
            if kept {
                leave_one_name(&mut self.durable, &change);
                apply(&mut self.durable, &change);
            } else {
                losses.changes_lost += 1;
            }
        }
        self.current = self.durable.clone();
    }
}

/// A node that is about to get a name loses the one it kept because an earlier change was lost:
/// hard links do not come out of crashes.
fn leave_one_name(names: &mut Names, change: &NameChange) {
    if let NameChange::Link(_, node) | NameChange::Rename(_, _, node) = change {
        names.retain(|_, other| other != node);
    }
}

/// The parts of a write that are never torn, each with its place.
fn sectors(offset: u64, data: &Bytes) -> impl Iterator<Item = (u64, Bytes)> + '_ {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset.saturating_add(to_u64(done));
        let room = to_index(SECTOR_BYTES - at % SECTOR_BYTES);
        let end = done.saturating_add(room).min(data.len());
        let part = (done < end).then(|| (at, data.slice(done..end)));
        done = end;
        part
    })
}
