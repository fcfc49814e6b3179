//! One directory of the simulated disk: names as seen now, names that would survive, and the
//! changes between, each of which is atomic.
//!
//! Does not: know what the names lead to (`Disk`).

use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of a file or directory on its disk, never used twice.
pub(crate) type NodeNumber = u64;

pub(super) type Names = BTreeMap<Arc<str>, NodeNumber>;

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Link(Arc<str>, NodeNumber),
    Unlink(Arc<str>),
    /// The first name is gone and the second leads to the node, both at once.
    Rename(Arc<str>, Arc<str>, NodeNumber),
}

#[derive(Clone, Debug, Default)]
pub(super) struct DirectoryNode {
    pub(super) current: Names,
    pub(super) durable: Names,
    /// In order; each with its place in the order of all changes of this disk.
    pub(super) pending: Vec<(u64, NameChange)>,
}

impl DirectoryNode {
    pub(super) fn change(&mut self, sequence: u64, change: NameChange) {
        apply(&mut self.current, &change);
        self.pending.push((sequence, change));
    }

    /// Makes every change before `mark` durable.
    pub(super) fn sync(&mut self, mark: u64) {
        let covered = self.pending.partition_point(|(at, _)| *at < mark);
        for (_, change) in self.pending.drain(..covered) {
            apply(&mut self.durable, &change);
        }
    }

    /// True if a name leads to `node`, or could after a crash.
    pub(super) fn mentions(&self, node: NodeNumber) -> bool {
        self.current.values().any(|n| *n == node)
            || self.durable.values().any(|n| *n == node)
            || self.pending.iter().any(|(_, change)| match change {
                NameChange::Link(_, n) | NameChange::Rename(_, _, n) => *n == node,
                NameChange::Unlink(_) => false,
            })
    }
}

pub(super) fn apply(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Link(name, node) => {
            names.insert(Arc::clone(name), *node);
        }
        NameChange::Unlink(name) => {
            names.remove(name);
        }
        NameChange::Rename(from, to, node) => {
            names.remove(from);
            names.insert(Arc::clone(to), *node);
        }
    }
}
