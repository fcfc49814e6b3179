//! A file system in memory, mounted for real, that fails when its [`Switches`] say so.
//!
//! Keeps: one request at a time, in the order the kernel sends them; what the test holds
//! ([`Files`]) and what the kernel sees are the same files. Every write and flush of a program arrives
//! here, and every read that bypasses the page cache.
//!
//! Does not: check permissions, keep times, know links. Source: fuse(4), the crate `fuser`.

use crate::disk::{Damage, Disk, Loss};
use crate::random::Random;
use crate::switches::{Switches, Verb, Verdict};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

/// The kernel asks anew each time.
const NOT_CACHED: Duration = Duration::ZERO;
/// The longest write the kernel may send.
const WRITE_BYTES_MAX: u32 = 1 << 20;
/// Requests the kernel may have under way in the background, such as direct I/O.
const BACKGROUND_REQUESTS_MAX: u16 = 64;
const ROOT: u64 = 1;
const BLOCK_BYTES: u32 = 4096;

#[derive(Debug)]
enum Node {
    File(Disk),
    Folder(BTreeMap<OsString, u64>),
}

#[derive(Debug)]
struct Inode {
    node: Node,
    /// Its folder and its name there; none once removed.
    place: Option<(u64, OsString)>,
    opens: u64,
}

#[derive(Debug)]
struct Tree {
    inodes: BTreeMap<u64, Inode>,
    next: u64,
}

impl Tree {
    fn folder(&mut self, inode: u64) -> Result<&mut BTreeMap<OsString, u64>, Errno> {
        match self.inodes.get_mut(&inode).map(|inode| &mut inode.node) {
            Some(Node::Folder(entries)) => Ok(entries),
            Some(Node::File(_)) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn file(&mut self, inode: u64) -> Result<&mut Disk, Errno> {
        match self.inodes.get_mut(&inode).map(|inode| &mut inode.node) {
            Some(Node::File(disk)) => Ok(disk),
            Some(Node::Folder(_)) => Err(Errno::EISDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn find(&mut self, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        self.folder(parent)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn make(&mut self, parent: u64, name: &OsStr, node: Node) -> Result<u64, Errno> {
        let number = self.next;
        let entries = self.folder(parent)?;
        if entries.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        entries.insert(name.to_owned(), number);
        let place = Some((parent, name.to_owned()));
        self.next += 1;
        self.inodes.insert(
            number,
            Inode {
                node,
                place,
                opens: 0,
            },
        );
        Ok(number)
    }

    fn remove(&mut self, parent: u64, name: &OsStr) -> Result<(), Errno> {
        let number = self.find(parent, name)?;
        if matches!(&self.inodes[&number].node, Node::Folder(entries) if !entries.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        self.folder(parent)?.remove(name);
        self.inodes.get_mut(&number).unwrap().place = None;
        self.forget_if_unused(number);
        Ok(())
    }

    fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), Errno> {
        let number = self.find(from.0, from.1)?;
        if self.find(to.0, to.1).is_ok_and(|there| there != number) {
            self.remove(to.0, to.1)?;
        }
        self.folder(from.0)?.remove(from.1);
        self.folder(to.0)?.insert(to.1.to_owned(), number);
        self.inodes.get_mut(&number).unwrap().place = Some((to.0, to.1.to_owned()));
        Ok(())
    }

    /// A removed file lives on while it is open.
    fn forget_if_unused(&mut self, number: u64) {
        let inode = &self.inodes[&number];
        if inode.place.is_none() && inode.opens == 0 && number != ROOT {
            self.inodes.remove(&number);
        }
    }

    fn path(&self, number: u64) -> String {
        let mut names = Vec::new();
        let mut at = number;
        while let Some((parent, name)) = self.inodes.get(&at).and_then(|i| i.place.as_ref()) {
            names.push(name.to_string_lossy());
            at = *parent;
        }
        names.reverse();
        names.join("/")
    }

    fn attributes(&self, number: u64) -> Result<FileAttr, Errno> {
        let inode = self.inodes.get(&number).ok_or(Errno::ENOENT)?;
        let (kind, perm, size, used) = match &inode.node {
            Node::File(disk) => (FileType::RegularFile, 0o600, disk.length(), disk.used()),
            Node::Folder(_) => (FileType::Directory, 0o700, 0, 0),
        };
        Ok(FileAttr {
            ino: INodeNo(number),
            size,
            blocks: used / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: u32::from(inode.place.is_some() || number == ROOT),
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK_BYTES,
            flags: 0,
        })
    }
}

/// The files and their switches; clones share them.
#[derive(Clone, Debug)]
pub struct Files {
    tree: Arc<Mutex<Tree>>,
    switches: Arc<Switches>,
}

impl Default for Files {
    fn default() -> Self {
        let root = Inode {
            node: Node::Folder(BTreeMap::new()),
            place: None,
            opens: 0,
        };
        Self {
            tree: Arc::new(Mutex::new(Tree {
                inodes: BTreeMap::from([(ROOT, root)]),
                next: ROOT + 1,
            })),
            switches: Arc::default(),
        }
    }
}

impl Files {
    /// Their switches.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Adds a disk of `length` bytes with a volatile cache.
    pub fn add_disk(&self, name: &str, length: u64) {
        let node = Node::File(Disk::cached(length));
        self.tree()
            .make(ROOT, name.as_ref(), node)
            .expect("a new disk");
    }

    /// Loses by chance what no flush of the disk has covered. The power must be off.
    pub fn lose(&self, name: &str, loss: Loss, garbage: bool, random: &mut Random) -> Damage {
        assert!(self.switches.is_off(), "the disk may still be written to");
        let mut tree = self.tree();
        let number = tree.find(ROOT, name.as_ref()).expect("the disk");
        tree.file(number)
            .expect("the disk")
            .cut(loss, garbage, random)
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().expect("the files")
    }

    /// Does to a file what its switches let happen.
    fn act<T>(
        &self,
        verb: Verb,
        number: u64,
        apply: impl FnOnce(&mut Tree) -> Result<T, Errno>,
        lied: Option<T>,
    ) -> Result<T, Errno> {
        let mut tree = self.tree();
        match self.switches.decide(verb, || tree.path(number)) {
            Verdict::Done => apply(&mut tree),
            Verdict::Fails(errno) => Err(Errno::from_i32(errno)),
            Verdict::DoneButFails(errno) => {
                let _ = apply(&mut tree);
                Err(Errno::from_i32(errno))
            }
            Verdict::Lies => lied.ok_or(Errno::EIO),
        }
    }

    fn make(&self, parent: INodeNo, name: &OsStr, node: Node) -> Result<FileAttr, Errno> {
        let make = |tree: &mut Tree| {
            let number = tree.make(parent.0, name, node)?;
            tree.attributes(number)
        };
        self.act(Verb::Name, parent.0, make, None)
    }

    fn remove(&self, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let remove = |tree: &mut Tree| tree.remove(parent.0, name);
        answer(reply, self.act(Verb::Name, parent.0, remove, None));
    }

    fn flush_file(&self, inode: INodeNo, reply: ReplyEmpty) {
        let flush = |tree: &mut Tree| {
            if let Ok(disk) = tree.file(inode.0) {
                disk.flush();
            }
            Ok(())
        };
        answer(reply, self.act(Verb::Flush, inode.0, flush, Some(())));
    }
}

fn answer(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for Files {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let refused = |_| std::io::Error::other("the kernel refuses the limits");
        config.set_max_write(WRITE_BYTES_MAX).map_err(refused)?;
        let refused = |_| std::io::Error::other("the kernel refuses the limits");
        let _ = config
            .set_max_background(BACKGROUND_REQUESTS_MAX)
            .map_err(refused)?;
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut tree = self.tree();
        let found = tree.find(parent.0, name);
        match found.and_then(|number| tree.attributes(number)) {
            Ok(attributes) => reply.entry(&NOT_CACHED, &attributes, Generation(0)),
            Err(errno) => reply.error(errno),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.tree().attributes(inode.0) {
            Ok(attributes) => reply.attr(&NOT_CACHED, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _crtime: Option<std::time::SystemTime>,
        _chgtime: Option<std::time::SystemTime>,
        _bkuptime: Option<std::time::SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = |tree: &mut Tree| {
            if let Some(size) = size {
                tree.file(inode.0)?.set_length(size);
            }
            tree.attributes(inode.0)
        };
        let result = match size {
            Some(_) => self.act(Verb::Allocate, inode.0, set, None),
            None => set(&mut self.tree()),
        };
        match result {
            Ok(attributes) => reply.attr(&NOT_CACHED, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        match self.make(parent, name, Node::Folder(BTreeMap::new())) {
            Ok(attributes) => reply.entry(&NOT_CACHED, &attributes, Generation(0)),
            Err(errno) => reply.error(errno),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.make(parent, name, Node::File(Disk::plain())) {
            Ok(attributes) => {
                if let Some(inode) = self.tree().inodes.get_mut(&attributes.ino.0) {
                    inode.opens += 1;
                }
                reply.created(
                    &NOT_CACHED,
                    &attributes,
                    Generation(0),
                    FileHandle(0),
                    FopenFlags::empty(),
                );
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent, name, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent, name, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to_parent: INodeNo,
        to_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let rename = |tree: &mut Tree| tree.rename((parent.0, name), (to_parent.0, to_name));
        answer(reply, self.act(Verb::Name, parent.0, rename, None));
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.tree().inodes.get_mut(&inode.0) {
            Some(inode) => {
                inode.opens += 1;
                reply.opened(FileHandle(0), FopenFlags::empty());
            }
            None => reply.error(Errno::ENOENT),
        }
    }

    fn release(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        let mut tree = self.tree();
        if let Some(open) = tree.inodes.get_mut(&inode.0) {
            open.opens = open.opens.saturating_sub(1);
            tree.forget_if_unused(inode.0);
        }
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let count = usize::try_from(size).unwrap_or(0);
        let read = |tree: &mut Tree| Ok(tree.file(inode.0)?.read(offset, count));
        match self.act(Verb::Read, inode.0, read, None) {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let write = |tree: &mut Tree| {
            tree.file(inode.0)?.write(offset, bytes);
            Ok(u32::try_from(bytes.len()).unwrap_or(0))
        };
        match self.act(Verb::Write, inode.0, write, None) {
            Ok(count) => reply.written(count),
            Err(errno) => reply.error(errno),
        }
    }

    /// Sent at close(2), not at fsync(2): nothing to do.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        self.flush_file(inode, reply);
    }

    fn fsyncdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        self.flush_file(inode, reply);
    }

    fn fallocate(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let allocate = |tree: &mut Tree| {
            let disk = tree.file(inode.0)?;
            disk.set_length(disk.length().max(offset + length));
            Ok(())
        };
        answer(reply, self.act(Verb::Allocate, inode.0, allocate, None));
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut tree = self.tree();
        let entries = match tree.folder(inode.0) {
            Ok(entries) => entries.clone(),
            Err(errno) => return reply.error(errno),
        };
        let skips = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, (name, number)) in (1..).zip(&entries).skip(skips) {
            let kind = match &tree.inodes[number].node {
                Node::File(_) => FileType::RegularFile,
                Node::Folder(_) => FileType::Directory,
            };
            if reply.add(INodeNo(*number), index, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = 1 << 20;
        reply.statfs(
            blocks,
            blocks,
            blocks,
            1 << 20,
            1 << 20,
            BLOCK_BYTES,
            255,
            BLOCK_BYTES,
        );
    }
}
