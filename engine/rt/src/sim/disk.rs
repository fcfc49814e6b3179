//! The simulated disk of one node: directories, files, and what of them a crash would leave.
//!
//! Keeps:
//! - a completed change is seen at once by whoever reads, and stays pending until a flush of that
//!   very file or directory, requested after the change completed, makes it durable;
//! - a name and what stands behind it are durable apart: a flushed file whose directory was never
//!   synced may have no name after a power cut;
//! - a clone is a snapshot that shares every page and file until one side changes it.
//!
//! Does not: know tasks, time or descriptors (`kernel`), or inject errors (`faults`).
//! Source: open(2), fsync(2), fallocate(2), rename(2); POSIX, not what one file system happens
//! to give on top of it.

mod crash;
mod directory;
mod file;
mod pages;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

pub use crash::CrashKind;
pub(crate) use crash::CrashLosses;
pub(crate) use directory::NodeNumber;
use directory::{DirectoryNode, NameChange};
use file::{Change, FileNode};
pub(crate) use pages::{PAGE_BYTES, SECTOR_BYTES, to_index, to_u64};

/// A result whose error is a number of errno(3).
pub(crate) type Outcome<T> = std::result::Result<T, i32>;

/// Space of a disk unless a test says otherwise.
const CAPACITY_BYTES: u64 = 4 << 30;
/// Longest name, as Linux has it.
const NAME_BYTES_MAX: usize = 255;

#[derive(Clone, Debug)]
enum Node {
    File(FileNode),
    Directory(DirectoryNode),
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OpenMode {
    pub(crate) create: bool,
    pub(crate) create_new: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    nodes: BTreeMap<NodeNumber, Arc<Node>>,
    /// Nodes without a name now: open still, or named again after a crash.
    nameless: BTreeSet<NodeNumber>,
    opens: BTreeMap<NodeNumber, usize>,
    next_node: NodeNumber,
    sequence: u64,
    capacity: u64,
    /// Bytes taken, where that was counted since the last change of names.
    used: Cell<Option<u64>>,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::from([(
                Self::ROOT,
                Arc::new(Node::Directory(DirectoryNode::default())),
            )]),
            nameless: BTreeSet::new(),
            opens: BTreeMap::new(),
            next_node: Self::ROOT + 1,
            sequence: 0,
            capacity: CAPACITY_BYTES,
            used: Cell::new(None),
        }
    }
}

impl Disk {
    /// The directory that every path starts at; it cannot be lost.
    pub(crate) const ROOT: NodeNumber = 1;

    fn file(&self, node: NodeNumber) -> Outcome<&FileNode> {
        match self.nodes.get(&node).map(Arc::as_ref) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Directory(_)) => Err(libc::EISDIR),
            None => Err(libc::EBADF),
        }
    }

    fn file_mut(&mut self, node: NodeNumber) -> Outcome<&mut FileNode> {
        match self.nodes.get_mut(&node).map(Arc::make_mut) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Directory(_)) => Err(libc::EISDIR),
            None => Err(libc::EBADF),
        }
    }

    fn directory(&self, node: NodeNumber) -> Outcome<&DirectoryNode> {
        match self.nodes.get(&node).map(Arc::as_ref) {
            Some(Node::Directory(directory)) => Ok(directory),
            Some(Node::File(_)) => Err(libc::ENOTDIR),
            None => Err(libc::EBADF),
        }
    }

    fn directory_mut(&mut self, node: NodeNumber) -> Outcome<&mut DirectoryNode> {
        match self.nodes.get_mut(&node).map(Arc::make_mut) {
            Some(Node::Directory(directory)) => Ok(directory),
            Some(Node::File(_)) => Err(libc::ENOTDIR),
            None => Err(libc::EBADF),
        }
    }

    fn directories(&self) -> impl Iterator<Item = &DirectoryNode> {
        self.nodes.values().filter_map(|node| match node.as_ref() {
            Node::Directory(directory) => Some(directory),
            Node::File(_) => None,
        })
    }

    /// The mark of everything that has completed so far, for a flush requested now.
    pub(crate) fn mark(&self) -> u64 {
        self.sequence
    }

    fn next_sequence(&mut self) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        sequence
    }

    // --- names ---

    pub(crate) fn kind(&self, node: NodeNumber) -> Outcome<NodeKind> {
        match self.nodes.get(&node).map(Arc::as_ref) {
            Some(Node::File(_)) => Ok(NodeKind::File),
            Some(Node::Directory(_)) => Ok(NodeKind::Directory),
            None => Err(libc::EBADF),
        }
    }

    pub(crate) fn lookup(&self, directory: NodeNumber, name: &str) -> Outcome<NodeNumber> {
        check_name(name)?;
        self.directory(directory)?
            .current
            .get(name)
            .copied()
            .ok_or(libc::ENOENT)
    }

    /// The node at the end of a path, each component looked up from the root on.
    pub(crate) fn resolve(&self, path: &str) -> Outcome<NodeNumber> {
        path.split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .try_fold(Self::ROOT, |node, part| self.lookup(node, part))
    }

    pub(crate) fn list(&self, directory: NodeNumber) -> Outcome<Vec<(Arc<str>, NodeKind)>> {
        self.directory(directory)?
            .current
            .iter()
            .map(|(name, node)| Ok((Arc::clone(name), self.kind(*node)?)))
            .collect()
    }

    fn add_node(&mut self, directory: NodeNumber, name: &str, node: Node) -> Outcome<NodeNumber> {
        let number = self.next_node;
        let sequence = self.next_sequence();
        self.directory_mut(directory)?
            .change(sequence, NameChange::Link(Arc::from(name), number));
        self.next_node += 1;
        self.used.set(None);
        self.nodes.insert(number, Arc::new(node));
        Ok(number)
    }

    /// Opens or makes a file; the node stays until as many `close` calls came.
    pub(crate) fn open_file(
        &mut self,
        directory: NodeNumber,
        name: &str,
        mode: OpenMode,
    ) -> Outcome<NodeNumber> {
        let node = match self.lookup(directory, name) {
            Ok(_) if mode.create_new => return Err(libc::EEXIST),
            Ok(node) if self.kind(node)? == NodeKind::Directory => return Err(libc::EISDIR),
            Ok(node) => node,
            Err(libc::ENOENT) if mode.create || mode.create_new => {
                self.add_node(directory, name, Node::File(FileNode::default()))?
            }
            Err(errno) => return Err(errno),
        };
        self.open(node);
        Ok(node)
    }

    /// Counts one more descriptor of `node`.
    pub(crate) fn open(&mut self, node: NodeNumber) {
        *self.opens.entry(node).or_default() += 1;
    }

    /// Counts one descriptor of `node` less; a nameless one goes with its last.
    pub(crate) fn close(&mut self, node: NodeNumber) {
        if let Some(count) = self.opens.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                self.opens.remove(&node);
                self.used.set(None);
                self.collect();
            }
        }
    }

    pub(crate) fn make_directory(&mut self, parent: NodeNumber, name: &str) -> Outcome<NodeNumber> {
        match self.lookup(parent, name) {
            Ok(_) => Err(libc::EEXIST),
            Err(libc::ENOENT) => {
                self.add_node(parent, name, Node::Directory(DirectoryNode::default()))
            }
            Err(errno) => Err(errno),
        }
    }

    pub(crate) fn unlink(&mut self, directory: NodeNumber, name: &str) -> Outcome<()> {
        let node = self.lookup(directory, name)?;
        if self.kind(node)? == NodeKind::Directory {
            return Err(libc::EISDIR);
        }
        self.remove_name(directory, name, node)
    }

    pub(crate) fn remove_directory(&mut self, parent: NodeNumber, name: &str) -> Outcome<()> {
        let node = self.lookup(parent, name)?;
        if !self.directory(node)?.current.is_empty() {
            return Err(libc::ENOTEMPTY);
        }
        self.remove_name(parent, name, node)
    }

    fn remove_name(&mut self, directory: NodeNumber, name: &str, node: NodeNumber) -> Outcome<()> {
        let sequence = self.next_sequence();
        self.directory_mut(directory)?
            .change(sequence, NameChange::Unlink(Arc::from(name)));
        self.nameless.insert(node);
        self.used.set(None);
        self.collect();
        Ok(())
    }

    /// Gives the node `from` the name `to` in the same directory, in place of what had it.
    pub(crate) fn rename(&mut self, directory: NodeNumber, from: &str, to: &str) -> Outcome<()> {
        let node = self.lookup(directory, from)?;
        let replaced = match self.lookup(directory, to) {
            Ok(other) if other == node => return Ok(()),
            Ok(other) => {
                match (self.kind(node)?, self.kind(other)?) {
                    (NodeKind::File, NodeKind::Directory) => return Err(libc::EISDIR),
                    (NodeKind::Directory, NodeKind::File) => return Err(libc::ENOTDIR),
                    (NodeKind::Directory, NodeKind::Directory)
                        if !self.directory(other)?.current.is_empty() =>
                    {
                        return Err(libc::ENOTEMPTY);
                    }
                    _ => {}
                }
                Some(other)
            }
            Err(libc::ENOENT) => None,
            Err(errno) => return Err(errno),
        };
        let sequence = self.next_sequence();
        self.directory_mut(directory)?.change(
            sequence,
            NameChange::Rename(Arc::from(from), Arc::from(to), node),
        );
        if let Some(replaced) = replaced {
            self.nameless.insert(replaced);
            self.used.set(None);
            self.collect();
        }
        Ok(())
    }

    /// Makes every name change of `directory` before `mark` durable.
    pub(crate) fn sync_directory(&mut self, directory: NodeNumber, mark: u64) -> Outcome<()> {
        self.directory_mut(directory)?.sync(mark);
        self.collect();
        Ok(())
    }

    // --- bytes ---

    pub(crate) fn size(&self, node: NodeNumber) -> Outcome<u64> {
        match self.nodes.get(&node).map(Arc::as_ref) {
            Some(Node::File(file)) => Ok(file.current.size()),
            Some(Node::Directory(_)) => Ok(PAGE_BYTES),
            None => Err(libc::EBADF),
        }
    }

    /// Copies from `offset` on into `out`; the count ends at the end of the file.
    pub(crate) fn read(&self, node: NodeNumber, offset: u64, out: &mut [u8]) -> Outcome<usize> {
        Ok(self.file(node)?.current.read(offset, out))
    }

    /// Writes `data`, which nobody else may hold a part of.
    pub(crate) fn write(&mut self, node: NodeNumber, offset: u64, data: Bytes) -> Outcome<()> {
        if data.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(to_u64(data.len())).ok_or(libc::EFBIG)?;
        self.reserve(node, end)?;
        let lost = false;
        self.change(node, Change::Write { offset, data, lost })
    }

    pub(crate) fn set_size(&mut self, node: NodeNumber, size: u64) -> Outcome<()> {
        self.reserve(node, size)?;
        self.change(node, Change::SetSize(size))
    }

    /// What fallocate(2) does in its plain mode: the file reaches at least to `offset + length`.
    pub(crate) fn allocate(&mut self, node: NodeNumber, offset: u64, length: u64) -> Outcome<()> {
        if length == 0 {
            return Err(libc::EINVAL);
        }
        let end = offset.checked_add(length).ok_or(libc::EFBIG)?;
        self.reserve(node, end)?;
        self.change(node, Change::Extend(end))
    }

    fn change(&mut self, node: NodeNumber, change: Change) -> Outcome<()> {
        let sequence = self.next_sequence();
        let file = self.file_mut(node)?;
        let before = whole_pages(file.current.size());
        file.change(sequence, change);
        let after = whole_pages(file.current.size());
        // Whoever changes a file has it open, so it counts.
        let used = self.used.get_mut();
        *used = used.map(|used| (used + after).saturating_sub(before));
        Ok(())
    }

    fn reserve(&self, node: NodeNumber, end: u64) -> Outcome<()> {
        let size = self.file(node)?.current.size();
        if end <= size || whole_pages(end) - whole_pages(size) <= self.free_bytes() {
            Ok(())
        } else {
            Err(libc::ENOSPC)
        }
    }

    /// Makes every change of the file before `mark` durable.
    pub(crate) fn flush(&mut self, node: NodeNumber, mark: u64) -> Outcome<()> {
        self.file_mut(node)?.flush(mark);
        Ok(())
    }

    /// Lets a flush fail: of the writes it would have covered, those `forgets` picks never reach
    /// the disk, whatever is flushed later. Returns how many.
    pub(crate) fn fail_flush(
        &mut self,
        node: NodeNumber,
        mark: u64,
        forgets: impl FnMut() -> bool,
    ) -> u64 {
        self.file_mut(node)
            .map_or(0, |file| file.fail_flush(mark, forgets))
    }

    /// Changes bytes behind everyone's back, as a failing medium does: durable ones and those
    /// still pending alike. The range must lie within the file.
    pub(crate) fn corrupt(&mut self, node: NodeNumber, offset: u64, bytes: &Bytes) -> Outcome<()> {
        let file = self.file_mut(node)?;
        let end = offset
            .checked_add(to_u64(bytes.len()))
            .ok_or(libc::EINVAL)?;
        if end > file.current.size() {
            return Err(libc::EINVAL);
        }
        file.current.overwrite(offset, bytes);
        file.durable.overwrite(offset, bytes);
        // A pending write of that place must not heal it.
        if !file.pending.is_empty() {
            let sequence = self.next_sequence();
            let (data, lost) = (bytes.clone(), false);
            self.file_mut(node)?
                .change(sequence, Change::Write { offset, data, lost });
        }
        Ok(())
    }

    // --- space ---

    pub(crate) fn set_capacity(&mut self, bytes: u64) {
        self.capacity = bytes;
    }

    /// Bytes no file has taken. A file without a name takes none once its last user closed it.
    pub(crate) fn free_bytes(&self) -> u64 {
        let used = self.used.get().unwrap_or_else(|| self.count_used());
        self.used.set(Some(used));
        self.capacity.saturating_sub(used)
    }

    fn count_used(&self) -> u64 {
        self.nodes
            .iter()
            .filter(|(number, _)| {
                !self.nameless.contains(number) || self.opens.contains_key(number)
            })
            .map(|(_, node)| match node.as_ref() {
                Node::File(file) => whole_pages(file.current.size()),
                Node::Directory(_) => PAGE_BYTES,
            })
            .sum()
    }

    /// Forgets the nodes that nobody has open and no name leads to, now or after any crash.
    fn collect(&mut self) {
        if self.nameless.is_empty() {
            return;
        }
        let gone: Vec<NodeNumber> = self
            .nameless
            .iter()
            .copied()
            .filter(|node| {
                !self.opens.contains_key(node) && !self.directories().any(|d| d.mentions(*node))
            })
            .collect();
        for node in gone {
            self.nameless.remove(&node);
            self.nodes.remove(&node);
        }
    }

    /// This disk with nothing open: what another start may run on.
    pub(crate) fn snapshot(&self) -> Self {
        let mut disk = self.clone();
        disk.opens.clear();
        disk.used.set(None);
        disk.collect();
        disk
    }

    /// Every file and directory by its path, with the contents of files.
    fn tree(&self) -> BTreeMap<String, Option<&pages::Pages>> {
        let mut tree = BTreeMap::new();
        let mut open = vec![(String::new(), Self::ROOT)];
        while let Some((path, number)) = open.pop() {
            match self.nodes.get(&number).map(Arc::as_ref) {
                Some(Node::File(file)) => {
                    tree.insert(path, Some(&file.current));
                }
                Some(Node::Directory(directory)) => {
                    for (name, child) in &directory.current {
                        open.push((format!("{path}/{name}"), *child));
                    }
                    tree.insert(path, None);
                }
                None => {}
            }
        }
        tree
    }

    /// Paths of all files, each with its size, in order.
    pub(crate) fn files(&self) -> Vec<(String, u64)> {
        self.tree()
            .into_iter()
            .filter_map(|(path, pages)| pages.map(|pages| (path, pages.size())))
            .collect()
    }
}

/// Two disks are equal if whoever reads them sees the same paths with the same bytes.
impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        self.tree() == other.tree()
    }
}

impl Eq for Disk {}

fn check_name(name: &str) -> Outcome<()> {
    if name.len() > NAME_BYTES_MAX {
        Err(libc::ENAMETOOLONG)
    } else if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        Err(libc::EINVAL)
    } else {
        Ok(())
    }
}

fn whole_pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_BYTES).saturating_mul(PAGE_BYTES)
}
