//! The system below one simulated node: its descriptors, its disk, its share of the network.
//!
//! Keeps:
//! - a descriptor number is the lowest free one, so that a use after close meets something else;
//! - a flush covers what had completed when it was requested, no more;
//! - direct I/O is refused (EINVAL) unless offset, length and address are multiples of 4 KiB.
//!
//! Does not: decide when an operation is carried out (`world`) or what goes wrong with it (`strike`).

mod crash;
mod strike;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};

use super::disk::{Disk, NodeKind, NodeNumber, OpenMode, to_index, to_u64};
use super::faults::Faults;
use super::network::{Attempt, Network, SocketNumber};
use super::random::SeededRandom;
use crate::buffer::BLOCK_BYTES;
use crate::descriptor::{Descriptor, RawDescriptor};
use crate::dir::{Entry, EntryKind, FileOptions};
use crate::op::{Chunks, Operation};

/// Descriptors of one node, as the development machine allows them.
const DESCRIPTORS_MAX: usize = 20_000;

#[derive(Clone, Copy, Debug)]
enum Handle {
    File {
        node: NodeNumber,
        options: FileOptions,
    },
    Directory {
        node: NodeNumber,
    },
    Socket(SocketNumber),
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is over, with this result.
    Done(i32),
    /// It waits for something to happen to the socket.
    Wait(SocketNumber),
}

/// What all operations of one moment share.
pub(super) struct Surroundings<'a> {
    pub(super) network: &'a mut Network,
    pub(super) random: &'a mut SeededRandom,
    pub(super) now: u64,
}

#[derive(Debug)]
pub(super) struct Kernel {
    /// Number of the node.
    index: usize,
    pub(super) disk: Disk,
    pub(super) faults: Faults,
    descriptors: Vec<Option<Handle>>,
    locks: BTreeMap<NodeNumber, RawDescriptor>,
}

type Answer<T> = Result<T, i32>;

impl Kernel {
    pub(super) fn new(index: usize, disk: Disk) -> Self {
        Self {
            index,
            disk,
            faults: Faults::default(),
            descriptors: Vec::new(),
            locks: BTreeMap::new(),
        }
    }

    // --- descriptors ---

    fn handle(&self, raw: RawDescriptor) -> Answer<Handle> {
        usize::try_from(raw)
            .ok()
            .and_then(|index| self.descriptors.get(index).copied().flatten())
            .ok_or(libc::EBADF)
    }

    fn insert(&mut self, handle: Handle) -> Answer<RawDescriptor> {
        let index = match self.descriptors.iter().position(Option::is_none) {
            Some(index) => index,
            None if self.descriptors.len() >= DESCRIPTORS_MAX => return Err(libc::EMFILE),
            None => {
                self.descriptors.push(None);
                self.descriptors.len() - 1
            }
        };
        if let Some(slot) = self.descriptors.get_mut(index) {
            *slot = Some(handle);
        }
        RawDescriptor::try_from(index).map_err(|_| libc::EMFILE)
    }

    /// Descriptors that are open.
    pub(super) fn open_descriptors(&self) -> usize {
        self.descriptors.iter().flatten().count()
    }

    fn file(&self, descriptor: &Descriptor) -> Answer<(NodeNumber, FileOptions)> {
        match self.handle(descriptor.raw())? {
            Handle::File { node, options } => Ok((node, options)),
            Handle::Directory { .. } => Err(libc::EISDIR),
            Handle::Socket(_) => Err(libc::EINVAL),
        }
    }

    fn directory(&self, descriptor: &Descriptor) -> Answer<NodeNumber> {
        match self.handle(descriptor.raw())? {
            Handle::Directory { node } => Ok(node),
            Handle::File { .. } | Handle::Socket(_) => Err(libc::ENOTDIR),
        }
    }

    fn socket(&self, descriptor: &Descriptor) -> Answer<SocketNumber> {
        match self.handle(descriptor.raw())? {
            Handle::Socket(socket) => Ok(socket),
            Handle::File { .. } | Handle::Directory { .. } => Err(libc::ENOTSOCK),
        }
    }

    pub(super) fn close(
        &mut self,
        raw: RawDescriptor,
        around: &mut Surroundings<'_>,
    ) -> Answer<()> {
        let handle = self.handle(raw)?;
        if let Some(slot) = usize::try_from(raw)
            .ok()
            .and_then(|i| self.descriptors.get_mut(i))
        {
            *slot = None;
        }
        match handle {
            Handle::File { node, .. } | Handle::Directory { node } => {
                self.locks.retain(|_, holder| *holder != raw);
                self.disk.close(node);
            }
            Handle::Socket(socket) => around.network.close(socket, around.now, around.random),
        }
        Ok(())
    }

    pub(super) fn new_socket(&mut self, network: &mut Network) -> Answer<RawDescriptor> {
        let socket = network.socket(self.index);
        self.insert(Handle::Socket(socket))
    }

    pub(super) fn listen(
        &mut self,
        address: SocketAddr,
        reuse_port: bool,
        network: &mut Network,
    ) -> Answer<(RawDescriptor, SocketAddr)> {
        let (socket, address) = network.listen(self.index, address, reuse_port)?;
        Ok((self.insert(Handle::Socket(socket))?, address))
    }

    pub(super) fn local_address(
        &self,
        raw: RawDescriptor,
        network: &mut Network,
    ) -> Answer<SocketAddr> {
        match self.handle(raw)? {
            Handle::Socket(socket) => network.local_address(socket),
            Handle::File { .. } | Handle::Directory { .. } => Err(libc::ENOTSOCK),
        }
    }

    // --- operations ---

    /// Whether carrying out `operation` changes what is or will be on the disk.
    pub(super) fn mutates(&self, operation: &Operation) -> bool {
        match operation {
            Operation::Write { .. }
            | Operation::Sync { .. }
            | Operation::Allocate { .. }
            | Operation::Truncate { .. }
            | Operation::CreateDirectory { .. }
            | Operation::Rename { .. }
            | Operation::Remove { .. } => true,
            Operation::OpenFile {
                parent,
                name,
                options,
            } => {
                (options.create || options.create_new)
                    && self.directory(parent).is_ok_and(|directory| {
                        self.disk.lookup(directory, name.as_str()) == Err(libc::ENOENT)
                    })
            }
            _ => false,
        }
    }

    /// Carries out `operation`; `mark` is what the disk's mark was when it was requested.
    pub(super) fn perform(
        &mut self,
        operation: &mut Operation,
        mark: u64,
        around: &mut Surroundings<'_>,
    ) -> Progress {
        if !self.faults.is_calm()
            && let Some(answer) = self.strike(operation, mark, around.random)
        {
            return Progress::Done(answer.unwrap_or_else(|errno| -errno));
        }
        let answer = match operation {
            Operation::Accept { .. }
            | Operation::Connect { .. }
            | Operation::Receive { .. }
            | Operation::Send { .. }
            | Operation::Shutdown { .. } => return self.perform_network(operation, around),
            Operation::Close { raw } => self.close(*raw, around).map(|()| 0),
            other => self.perform_disk(other, mark, around.random),
        };
        Progress::Done(answer.unwrap_or_else(|errno| -errno))
    }

    fn perform_network(
        &mut self,
        operation: &mut Operation,
        around: &mut Surroundings<'_>,
    ) -> Progress {
        let (Operation::Accept {
            listener: descriptor,
            ..
        }
        | Operation::Connect {
            socket: descriptor, ..
        }
        | Operation::Receive {
            socket: descriptor, ..
        }
        | Operation::Send {
            socket: descriptor, ..
        }
        | Operation::Shutdown { socket: descriptor }) = &*operation
        else {
            return Progress::Done(-libc::EINVAL);
        };
        let number = match self.socket(descriptor) {
            Ok(number) => number,
            Err(errno) => return Progress::Done(-errno),
        };
        let Surroundings {
            network,
            random,
            now,
        } = around;
        let attempt = match operation {
            Operation::Accept { peer, .. } => match network.accept(number) {
                Attempt::Done((socket, address)) => match self.insert(Handle::Socket(socket)) {
                    Ok(raw) => {
                        *peer = Some(address);
                        return Progress::Done(raw);
                    }
                    Err(errno) => {
                        network.close(socket, *now, random);
                        Attempt::Failed(errno)
                    }
                },
                Attempt::Failed(errno) => Attempt::Failed(errno),
                Attempt::Wait => Attempt::Wait,
            },
            Operation::Connect { address, .. } => {
                match network.connect(number, *address, *now, random) {
                    Attempt::Done(()) => Attempt::Done(0),
                    Attempt::Failed(errno) => Attempt::Failed(errno),
                    Attempt::Wait => Attempt::Wait,
                }
            }
            Operation::Receive {
                buffer, max, more, ..
            } => {
                let received = network.receive(number, buffer, *max, *now, random);
                *more = network.has_arrived(number, *now);
                received
            }
            Operation::Send { chunks, .. } => {
                network.send(number, chunks.iter(), chunks.len(), *now, random)
            }
            _ => match network.shutdown(number, *now, random) {
                Ok(()) => Attempt::Done(0),
                Err(errno) => Attempt::Failed(errno),
            },
        };
        match attempt {
            Attempt::Done(count) => Progress::Done(i32::try_from(count).unwrap_or(i32::MAX)),
            Attempt::Failed(errno) => Progress::Done(-errno),
            Attempt::Wait => Progress::Wait(number),
        }
    }

    fn perform_disk(
        &mut self,
        operation: &mut Operation,
        mark: u64,
        random: &mut SeededRandom,
    ) -> Answer<i32> {
        match operation {
            Operation::Read {
                file,
                offset,
                length,
                buffer,
            } => {
                let (node, options) = self.file(file)?;
                if !options.read {
                    return Err(libc::EBADF);
                }
                let spare = buffer.zeroed_spare_mut(*length);
                let length = spare.len();
                if options.direct && !(is_block(*offset, length) && is_aligned(spare)) {
                    return Err(libc::EINVAL);
                }
                let length = shortened(length, random);
                let out = spare.get_mut(..length).unwrap_or_default();
                let count = self.disk.read(node, *offset, out)?;
                buffer.advance(count);
                count_result(count)
            }
            Operation::Write {
                file,
                offset,
                chunks,
            } => {
                let (node, options) = self.file(file)?;
                if !options.write {
                    return Err(libc::EBADF);
                }
                let aligned = |chunk: &Bytes| is_block(0, chunk.len()) && is_aligned(chunk);
                if options.direct && !(is_block(*offset, 0) && chunks.iter().all(aligned)) {
                    return Err(libc::EINVAL);
                }
                let count = shortened(chunks.len(), random);
                if count < chunks.len() {
                    self.faults.counts.writes_short += 1;
                }
                self.disk.write(node, *offset, gather(chunks, count))?;
                count_result(count)
            }
            Operation::Sync { file, .. } => {
                match self.handle(file.raw())? {
                    Handle::File { node, .. } => self.disk.flush(node, mark)?,
                    Handle::Directory { node } => self.disk.sync_directory(node, mark)?,
                    Handle::Socket(_) => return Err(libc::EINVAL),
                }
                Ok(0)
            }
            Operation::Allocate {
                file,
                offset,
                length,
            } => {
                let (node, _) = self.file(file)?;
                self.disk.allocate(node, *offset, *length).map(|()| 0)
            }
            Operation::Truncate { file, length } => {
                let (node, _) = self.file(file)?;
                self.disk.set_size(node, *length).map(|()| 0)
            }
            Operation::Lock { file } => {
                let (node, _) = self.file(file)?;
                let holder = *self.locks.entry(node).or_insert(file.raw());
                if holder == file.raw() {
                    Ok(0)
                } else {
                    Err(libc::EAGAIN)
                }
            }
            Operation::FreeSpace { bytes, .. } => {
                *bytes = self.disk.free_bytes();
                Ok(0)
            }
            other => self.perform_names(other),
        }
    }

    fn perform_names(&mut self, operation: &mut Operation) -> Answer<i32> {
        match operation {
            Operation::OpenRoot { path } => {
                let path = path.to_str().map_err(|_| libc::ENOENT)?;
                let node = self.disk.resolve(path)?;
                self.open_directory(node)
            }
            Operation::OpenDirectory { parent, name } => {
                let node = self.disk.lookup(self.directory(parent)?, name.as_str())?;
                self.open_directory(node)
            }
            Operation::OpenFile {
                parent,
                name,
                options,
            } => {
                let mode = OpenMode {
                    create: options.create,
                    create_new: options.create_new,
                };
                let parent = self.directory(parent)?;
                let node = self.disk.open_file(parent, name.as_str(), mode)?;
                let handle = Handle::File {
                    node,
                    options: *options,
                };
                self.insert(handle).inspect_err(|_| self.disk.close(node))
            }
            Operation::CreateDirectory { parent, name } => {
                let parent = self.directory(parent)?;
                self.disk.make_directory(parent, name.as_str()).map(|_| 0)
            }
            Operation::Rename { parent, from, to } => {
                let parent = self.directory(parent)?;
                self.disk
                    .rename(parent, from.as_str(), to.as_str())
                    .map(|()| 0)
            }
            Operation::Remove {
                parent,
                name,
                directory,
            } => {
                let parent = self.directory(parent)?;
                if *directory {
                    self.disk
                        .remove_directory(parent, name.as_str())
                        .map(|()| 0)
                } else {
                    self.disk.unlink(parent, name.as_str()).map(|()| 0)
                }
            }
            Operation::Inspect {
                target,
                name,
                status,
            } => {
                let node = match name {
                    Some(name) => self.disk.lookup(self.directory(target)?, name.as_str())?,
                    None => match self.handle(target.raw())? {
                        Handle::File { node, .. } | Handle::Directory { node } => node,
                        Handle::Socket(_) => return Err(libc::EINVAL),
                    },
                };
                status.size = self.disk.size(node)?;
                status.is_directory = self.disk.kind(node)? == NodeKind::Directory;
                Ok(0)
            }
            Operation::List { directory, entries } => {
                let names = self.disk.list(self.directory(directory)?)?;
                entries.extend(names.into_iter().map(|(name, kind)| Entry {
                    name: name.to_string(),
                    kind: match kind {
                        NodeKind::File => EntryKind::File,
                        NodeKind::Directory => EntryKind::Directory,
                    },
                }));
                Ok(0)
            }
            _ => Err(libc::EINVAL),
        }
    }

    fn open_directory(&mut self, node: NodeNumber) -> Answer<RawDescriptor> {
        if self.disk.kind(node)? != NodeKind::Directory {
            return Err(libc::ENOTDIR);
        }
        self.disk.open(node);
        let handle = Handle::Directory { node };
        self.insert(handle).inspect_err(|_| self.disk.close(node))
    }
}

/// The first `count` bytes of `chunks`, copied as a device would.
fn gather(chunks: &Chunks, count: usize) -> Bytes {
    let mut data = BytesMut::with_capacity(count);
    for chunk in chunks.iter() {
        let take = chunk.len().min(count - data.len());
        data.extend_from_slice(chunk.get(..take).unwrap_or_default());
    }
    data.freeze()
}

fn is_block(offset: u64, length: usize) -> bool {
    let block = to_u64(BLOCK_BYTES);
    offset.is_multiple_of(block) && length.is_multiple_of(BLOCK_BYTES)
}

fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(BLOCK_BYTES)
}

/// Now and then a first part of `length`, whole blocks of it, as the system may do.
fn shortened(length: usize, random: &mut SeededRandom) -> usize {
    if length > BLOCK_BYTES && random.one_in(64) {
        let blocks = to_u64((length - 1) / BLOCK_BYTES);
        to_index(random.between(1, blocks)).saturating_mul(BLOCK_BYTES)
    } else {
        length
    }
}

fn count_result(count: usize) -> Answer<i32> {
    i32::try_from(count).map_err(|_| libc::EINVAL)
}
