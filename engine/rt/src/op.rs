//! The seam between what is shared and the two backends: operations go down, completions come up.
//!
//! | direction | call | who calls |
//! |-----------|------|-----------|
//! | down | [`Backend::submit`] with an [`OpId`] and the [`Operation`] | the shared layer, from a task |
//! | up | `Shard::complete(id, Completion)`, exactly once an id (twice with `more`) | the backend, from its own loop |
//! | up | `Shard::with_operation(id, ..)` to fill in what the operation brings back | the backend, before `complete` |
//! | down | [`Backend::cancel`]: the waiting future is gone, hurry up | the shared layer |
//!
//! Keeps:
//! - the table owns every operation, with its buffers and descriptors, from `submit` to the last
//!   completion, whatever becomes of the future that waits for it;
//! - a descriptor is closed when the last `Rc` of it is gone, so no operation meets a reused number;
//! - a result is a count, a descriptor number or 0, or a negated errno, on both backends.
//!
//! A backend must not complete an operation from inside `submit`: it notes the result and reports
//! it from its loop.
//!
//! Does not: retry or continue anything; partial reads and writes are continued by `File` and
//! `Stream`, above this.

mod chunks;
mod table;

use std::ffi::CString;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use engine_model::{Moment, Timestamp};

use crate::buffer::AlignedBuf;
use crate::counters::Counters;
use crate::descriptor::{Descriptor, RawDescriptor};
use crate::dir::{Entry, FileOptions, Name};
use crate::listener::ListenOptions;
use crate::task::Task;

pub(crate) use chunks::Chunks;
pub(crate) use table::{OpId, Submitted, Table};

/// Something for the system to do, with everything it needs and room for what comes back.
///
/// The result of each is given in its comment; every one may also be a negated errno.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Result: the new connection's descriptor. Fills `peer`.
    Accept {
        listener: Rc<Descriptor>,
        peer: Option<SocketAddr>,
    },
    /// Connects a socket made by [`Backend::socket`]. Result: 0.
    Connect {
        socket: Rc<Descriptor>,
        address: SocketAddr,
    },
    /// Appends at most `max` bytes to `buffer`, not more than an aligned one has room for, and sets
    /// `more` where the backend knows that further bytes wait. Result: how many, 0 at the end of
    /// the stream.
    Receive {
        socket: Rc<Descriptor>,
        buffer: ReceiveBuffer,
        max: usize,
        more: bool,
    },
    /// Sends what `chunks` still holds, or a first part of it. Result: bytes sent.
    ///
    /// With `zero_copy` a backend may complete twice: once with `more`, when the bytes are queued,
    /// and once when the buffers are free. A backend may ignore the wish.
    Send {
        socket: Rc<Descriptor>,
        chunks: Chunks,
        zero_copy: bool,
    },
    /// Ends both directions of a connection. Result: 0.
    Shutdown { socket: Rc<Descriptor> },
    /// Reads into the spare room of `buffer`, at most `length` bytes, and advances it by the
    /// result: bytes read, 0 at the end of the file.
    Read {
        file: Rc<Descriptor>,
        offset: u64,
        length: usize,
        buffer: AlignedBuf,
    },
    /// Writes what `chunks` still holds, or a first part of it, at `offset`. Result: bytes written.
    Write {
        file: Rc<Descriptor>,
        offset: u64,
        chunks: Chunks,
    },
    /// Makes the file's content durable (`data_only`: without times), or a directory's entries.
    /// Result: 0.
    Sync {
        file: Rc<Descriptor>,
        data_only: bool,
    },
    /// Reserves space; the size grows, what is there stays. Result: 0.
    Allocate {
        file: Rc<Descriptor>,
        offset: u64,
        length: u64,
    },
    /// Sets the size. Result: 0.
    Truncate { file: Rc<Descriptor>, length: u64 },
    /// Opens an existing directory by any path, as the process was given it. Result: descriptor.
    OpenRoot { path: CString },
    /// Opens an existing directory within another; a symbolic link is ELOOP. Result: descriptor.
    OpenDirectory { parent: Rc<Descriptor>, name: Name },
    /// Opens or creates (mode 0600) a file; a symbolic link is ELOOP. Result: descriptor. A file
    /// system without direct I/O answers EINVAL to `direct`.
    OpenFile {
        parent: Rc<Descriptor>,
        name: Name,
        options: FileOptions,
    },
    /// Creates a directory, mode 0700. Result: 0.
    CreateDirectory { parent: Rc<Descriptor>, name: Name },
    /// Renames within a directory, replacing a file of that name. Result: 0.
    Rename {
        parent: Rc<Descriptor>,
        from: Name,
        to: Name,
    },
    /// Removes a file, or an empty directory. Result: 0.
    Remove {
        parent: Rc<Descriptor>,
        name: Name,
        directory: bool,
    },
    /// Looks at an open file (`name` is `None`) or at an entry of an open directory, without
    /// following symbolic links. Fills `status`. Result: 0.
    Inspect {
        target: Rc<Descriptor>,
        name: Option<Name>,
        status: Status,
    },
    /// Fills `entries`, without `.` and `..`, sorted by name. Result: 0.
    List {
        directory: Rc<Descriptor>,
        entries: Vec<Entry>,
    },
    /// Takes the exclusive lock of a file, which dies with its descriptor and with the process;
    /// EAGAIN if another descriptor holds it. Result: 0.
    Lock { file: Rc<Descriptor> },
    /// Fills `bytes` with the room that the directory's file system has left. Result: 0.
    FreeSpace {
        directory: Rc<Descriptor>,
        bytes: u64,
    },
    /// Gives the descriptor back; nothing refers to it any more. Result: 0.
    Close { raw: RawDescriptor },
}

/// Where received bytes go.
#[derive(Debug)]
pub(crate) enum ReceiveBuffer {
    /// Grows as needed.
    Growing(BytesMut),
    /// Has the room it has.
    Aligned(AlignedBuf),
}

impl ReceiveBuffer {
    /// At least one byte's and at most `max` bytes' room, as the kernel wants it; none if there is
    /// none.
    pub(crate) fn room(&mut self, max: usize) -> (*mut u8, usize) {
        let room = match self {
            Self::Growing(buffer) => {
                buffer.reserve(max);
                buffer.spare_capacity_mut()
            }
            Self::Aligned(buffer) => buffer.spare_mut(),
        };
        (room.as_mut_ptr().cast(), room.len().min(max))
    }

    /// Takes `count` bytes into use that the kernel has written into `room`.
    ///
    /// # Safety
    ///
    /// They were written, and nothing was added since `room`.
    pub(crate) unsafe fn advance(&mut self, count: usize) {
        match self {
            Self::Growing(buffer) => {
                let left = buffer.capacity().saturating_sub(buffer.len());
                let length = buffer.len().saturating_add(count.min(left));
                // SAFETY: within the capacity, and written, as the caller promises.
                unsafe { buffer.set_len(length) };
            }
            Self::Aligned(buffer) => buffer.advance(count),
        }
    }

    /// Appends `bytes`; `room` has said that they fit.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        match self {
            Self::Growing(buffer) => buffer.extend_from_slice(bytes),
            Self::Aligned(buffer) => {
                buffer.extend_from_slice(bytes);
            }
        }
    }
}

/// What [`Operation::Inspect`] finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) size: u64,
    pub(crate) is_directory: bool,
}

impl Operation {
    /// The verb for errors.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept on",
            Self::Connect { .. } => "connect to",
            Self::Receive { .. } => "receive from",
            Self::Send { .. } => "send to",
            Self::Shutdown { .. } => "shut down",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Sync { .. } => "sync",
            Self::Allocate { .. } => "allocate space for",
            Self::Truncate { .. } => "truncate",
            Self::OpenRoot { .. } | Self::OpenDirectory { .. } | Self::OpenFile { .. } => "open",
            Self::CreateDirectory { .. } => "create directory",
            Self::Rename { .. } => "rename",
            Self::Remove { .. } => "remove",
            Self::Inspect { .. } => "inspect",
            Self::List { .. } => "list",
            Self::Lock { .. } => "lock",
            Self::FreeSpace { .. } => "measure free space of",
            Self::Close { .. } => "close",
        }
    }

    /// A copy that shares the buffers, for kinds that can complete twice.
    fn copy(&self) -> Option<Self> {
        match self {
            Self::Send {
                socket,
                chunks,
                zero_copy,
            } => Some(Self::Send {
                socket: Rc::clone(socket),
                chunks: chunks.clone(),
                zero_copy: *zero_copy,
            }),
            _ => None,
        }
    }

    /// A result of 0 or more is a descriptor that somebody must close.
    pub(crate) fn yields_descriptor(&self) -> bool {
        matches!(
            self,
            Self::Accept { .. }
                | Self::OpenRoot { .. }
                | Self::OpenDirectory { .. }
                | Self::OpenFile { .. }
        )
    }

    /// It may wait for a peer without end, so it is cancelled when nobody awaits it any more.
    pub(crate) fn waits_for_peer(&self) -> bool {
        matches!(
            self,
            Self::Accept { .. } | Self::Connect { .. } | Self::Receive { .. } | Self::Send { .. }
        )
    }
}

/// How one completion of an operation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// Count, descriptor or 0; negated errno.
    pub(crate) result: i32,
    /// Another completion follows and the buffers are still in use until then.
    pub(crate) more: bool,
}

impl Completion {
    /// The only completion of its operation.
    pub(crate) fn last(result: i32) -> Self {
        Self {
            result,
            more: false,
        }
    }
}

/// What a backend does for one shard. All calls come from the shard's own thread.
///
/// A backend enters its shard (`Shard::enter`) around every poll of a task and around everything
/// that may drop one; the uring backend does so once a thread.
pub(crate) trait Backend {
    /// Starts `operation`; its completion is reported later, from the backend's loop.
    ///
    /// The table keeps `operation` alive but may move it: pointers into its buffers stay valid,
    /// pointers to its own fields do not.
    fn submit(&self, id: OpId, operation: &mut Operation);

    /// Asks for an early end of `id`, which still completes.
    fn cancel(&self, id: OpId);

    /// Closes a descriptor at once: the shard has ended and nothing can be submitted.
    fn close_now(&self, raw: RawDescriptor);

    /// Makes `task` known to the scheduler and runnable.
    fn spawn(&self, task: Rc<dyn Task>);

    /// A mailbox of `shard` (a peer within the same system) changed; tell it in this turn.
    fn ring(&self, shard: usize);

    /// The steady clock.
    fn now(&self) -> Moment;

    /// The wall clock.
    fn wall_clock(&self) -> Timestamp;

    /// Random bytes, unpredictable for others (a seeded stream under `sim`).
    fn random(&self, bytes: &mut [u8]);

    /// What the backend has counted; the shared layer fills in the rest.
    fn counters(&self) -> Counters {
        Counters::default()
    }

    /// How long a task may run before it should yield.
    fn quantum(&self) -> Duration;

    /// A new socket able to connect to `address`.
    fn socket(&self, address: SocketAddr) -> Result<RawDescriptor, i32>;

    /// A new listening socket and the address it got.
    fn listen(
        &self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> Result<(RawDescriptor, SocketAddr), i32>;

    /// Binds `address` exclusively, gives it up again and returns what it was (port 0 becomes a
    /// free port).
    fn probe(&self, address: SocketAddr) -> Result<SocketAddr, i32>;

    /// Prepares a connection (accepted or connected) for request and answer: no Nagle delay.
    fn tune(&self, raw: RawDescriptor);

    /// The connection's own address.
    fn local_address(&self, raw: RawDescriptor) -> Result<SocketAddr, i32>;
}
