//! Errors that a test wants the disk to give, the crash point it wants to reach, and the count of
//! what really happened: a test whose fault never struck has tested nothing.
//!
//! Does not: carry anything out (`kernel`).

use std::collections::BTreeMap;
use std::sync::Arc;

/// Which operations a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Reads of files.
    Read,
    /// Writes to files.
    Write,
    /// Flushes of files (`sync_data`, `sync_all`). One that fails loses some of what it would
    /// have covered for good, as Linux does: it reads well until the power goes.
    Flush,
    /// Growing a file without writing (`allocate`) and `truncate`.
    Space,
    /// Making, renaming, removing and opening names, and syncs of directories.
    Directory,
}

/// What happens to an operation that a [`Fault`] strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultEffect {
    /// It fails with this errno: EIO, ENOSPC.
    Error(i32),
    /// It answers that all went well, and nothing happened: a flush or directory sync that flushed
    /// nothing, a write that never reached the medium. Other operations are not struck by it.
    Lie,
    /// A write goes to another block of the same file, as if the address had been wrong on its
    /// way, and answers that all went well. Other operations are not struck by it.
    Misdirect,
    /// A read comes back with one bit turned over; the medium keeps the right one. Other
    /// operations are not struck by it.
    Garble,
}

/// A plan of what goes wrong with operations of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which operations are struck.
    pub kind: FaultKind,
    /// What happens to them.
    pub effect: FaultEffect,
    /// Only operations on paths that contain this text; all where it is empty.
    pub path_contains: Arc<str>,
    /// So many operations that match still go well first.
    pub skip: u64,
    /// So many fail then; `u64::MAX` is until [`SimDisk::heal`](super::SimDisk::heal).
    pub times: u64,
}

impl Fault {
    /// The next operation of that kind fails.
    pub fn once(kind: FaultKind, errno: i32) -> Self {
        Self::next(kind, FaultEffect::Error(errno))
    }

    /// The next operation of that kind suffers `effect`.
    pub fn next(kind: FaultKind, effect: FaultEffect) -> Self {
        Self {
            kind,
            effect,
            path_contains: Arc::from(""),
            skip: 0,
            times: 1,
        }
    }

    /// Every operation of that kind fails until the disk is healed.
    pub fn always(kind: FaultKind, errno: i32) -> Self {
        Self {
            times: u64::MAX,
            ..Self::once(kind, errno)
        }
    }

    /// So many operations in a row instead of one.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self {
            times: count,
            ..self
        }
    }

    /// Only where the path contains `text`.
    #[must_use]
    pub fn on(self, text: &str) -> Self {
        Self {
            path_contains: Arc::from(text),
            ..self
        }
    }

    /// Only after `count` operations that match went well.
    #[must_use]
    pub fn after(self, count: u64) -> Self {
        Self {
            skip: count,
            ..self
        }
    }
}

/// What has happened to one disk since its simulation began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Reads that failed on demand.
    pub reads_failed: u64,
    /// Writes that failed on demand.
    pub writes_failed: u64,
    /// Flushes that failed on demand.
    pub flushes_failed: u64,
    /// Other operations that failed on demand.
    pub others_failed: u64,
    /// Flushes, directory syncs and writes that answered well and did nothing.
    pub lies: u64,
    /// Writes that went to another place than they were told.
    pub writes_misdirected: u64,
    /// Reads that came back with a bit turned over.
    pub reads_garbled: u64,
    /// Operations that a slow disk held up.
    pub operations_slowed: u64,
    /// Writes that a failed flush dropped for good.
    pub writes_forgotten: u64,
    /// Writes that ended short and were left to be continued.
    pub writes_short: u64,
    /// Crashes.
    pub crashes: u64,
    /// Crash points that were reached.
    pub crash_points: u64,
    /// Operations that a crash met under way.
    pub operations_interrupted: u64,
    /// Unflushed writes that lost at least a part at a power cut.
    pub writes_lost: u64,
    /// Those of them of which a part survived.
    pub writes_torn: u64,
    /// Changes of names and sizes that a power cut undid.
    pub changes_lost: u64,
    /// Blocks that a power cut left as garbage.
    pub blocks_garbled: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    planned: Vec<Fault>,
    /// Nanoseconds that operations of a kind take longer.
    slow: BTreeMap<FaultKind, u64>,
    pub(crate) counts: FaultCounts,
    /// Operations that change the disk, completed so far.
    pub(crate) mutations: u64,
    /// The number among them that must not complete.
    crash_at: Option<u64>,
}

impl Faults {
    pub(crate) fn plan(&mut self, fault: Fault) {
        self.planned.push(fault);
    }

    /// No fault is planned.
    pub(crate) fn is_calm(&self) -> bool {
        self.planned.is_empty()
    }

    pub(crate) fn heal(&mut self) {
        self.planned.clear();
        self.slow.clear();
    }

    /// Lets operations of `kind` take so many nanoseconds longer.
    pub(crate) fn slow_down(&mut self, kind: FaultKind, nanoseconds: u64) {
        self.slow.insert(kind, nanoseconds);
    }

    /// How much longer an operation of `kind` takes now.
    pub(crate) fn hold_up(&mut self, kind: FaultKind) -> u64 {
        let extra = self.slow.get(&kind).copied().unwrap_or(0);
        self.counts.operations_slowed += u64::from(extra > 0);
        extra
    }

    /// Some kind of operation is slowed down.
    pub(crate) fn is_slow(&self) -> bool {
        !self.slow.is_empty()
    }

    /// Lets the `n`-th mutation from now be the one that does not complete (at least the next).
    pub(crate) fn crash_after(&mut self, n: u64) {
        self.crash_at = Some(self.mutations.saturating_add(n.max(1)));
    }

    pub(crate) fn forget_crash_point(&mut self) {
        self.crash_at = None;
    }

    /// Counts a mutation that is about to complete; true if it must not.
    pub(crate) fn reaches_crash_point(&mut self) -> bool {
        if self.crash_at == Some(self.mutations.saturating_add(1)) {
            self.crash_at = None;
            self.counts.crash_points += 1;
            return true;
        }
        self.mutations += 1;
        false
    }

    /// What happens to an operation instead of its being carried out, if anything is planned that
    /// `fits` it.
    pub(crate) fn strike(
        &mut self,
        kind: FaultKind,
        path: &str,
        fits: impl Fn(FaultEffect) -> bool,
    ) -> Option<FaultEffect> {
        let mut effect = None;
        for fault in &mut self.planned {
            if fault.kind != kind || !fits(fault.effect) || !path.contains(&*fault.path_contains) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if effect.is_none() && fault.times > 0 {
                fault.times = fault
                    .times
                    .saturating_sub(u64::from(fault.times < u64::MAX));
                effect = Some(fault.effect);
            }
        }
        self.planned.retain(|fault| fault.times > 0);
        match (effect, kind) {
            (None, _) => {}
            (Some(FaultEffect::Lie), _) => self.counts.lies += 1,
            (Some(FaultEffect::Misdirect), _) => self.counts.writes_misdirected += 1,
            (Some(FaultEffect::Garble), _) => self.counts.reads_garbled += 1,
            (Some(FaultEffect::Error(_)), FaultKind::Read) => self.counts.reads_failed += 1,
            (Some(FaultEffect::Error(_)), FaultKind::Write) => self.counts.writes_failed += 1,
            (Some(FaultEffect::Error(_)), FaultKind::Flush) => self.counts.flushes_failed += 1,
            (Some(FaultEffect::Error(_)), FaultKind::Space | FaultKind::Directory) => {
                self.counts.others_failed += 1;
            }
        }
        effect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_where_and_as_often_as_planned() {
        let mut faults = Faults::default();
        faults.plan(Fault::once(FaultKind::Write, libc::EIO).on("lane").after(1));
        faults.plan(Fault::always(FaultKind::Read, libc::EIO));
        let eio = Some(FaultEffect::Error(libc::EIO));
        let strikes: Vec<Option<FaultEffect>> = ["seg", "lane-0", "seg", "lane-0", "lane-0"]
            .iter()
            .map(|path| faults.strike(FaultKind::Write, path, |_| true))
            .collect();
        assert_eq!(strikes, [None, None, None, eio, None]);
        for _ in 0..3 {
            assert_eq!(faults.strike(FaultKind::Read, "x", |_| true), eio);
        }
        faults.heal();
        assert_eq!(faults.strike(FaultKind::Read, "x", |_| true), None);
        assert_eq!(faults.counts.writes_failed, 1);
        assert_eq!(faults.counts.reads_failed, 3);
    }

    #[test]
    fn the_crash_point_is_the_nth_mutation_from_now() {
        let mut faults = Faults::default();
        assert!(!faults.reaches_crash_point());
        faults.crash_after(3);
        let reached: Vec<bool> = (0..5).map(|_| faults.reaches_crash_point()).collect();
        assert_eq!(reached, [false, false, true, false, false]);
    }
}
