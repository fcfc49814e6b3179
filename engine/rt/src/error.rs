//! What can go wrong below: one error for every operation, one for starting, one for a run.
//!
//! Source: errno(3).

use std::fmt;
use std::io;
use std::sync::Arc;

use engine_model::ShardId;

/// What operations of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on a file, directory or socket that the system refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The verb, as a person would say it: `write`, `accept`.
    pub operation: &'static str,
    /// What it was done to: a path or an address.
    pub target: Arc<str>,
    /// The system's error number.
    pub errno: i32,
}

impl Error {
    /// An error with all three parts.
    pub fn new(operation: &'static str, target: impl Into<Arc<str>>, errno: i32) -> Self {
        Self {
            operation,
            target: target.into(),
            errno,
        }
    }

    /// The disk, the quota or the largest file size is full.
    pub fn is_out_of_space(&self) -> bool {
        [libc::ENOSPC, libc::EDQUOT, libc::EFBIG].contains(&self.errno)
    }

    /// Nothing has that name.
    pub fn is_not_found(&self) -> bool {
        self.errno == libc::ENOENT
    }

    /// Something has that name already.
    pub fn is_already_exists(&self) -> bool {
        self.errno == libc::EEXIST
    }

    /// Another process holds the lock.
    pub fn is_locked(&self) -> bool {
        self.errno == libc::EAGAIN || self.errno == libc::EACCES
    }

    /// The peer closed or lost the connection: nothing an operator needs to act on.
    pub fn is_connection_closed(&self) -> bool {
        [
            libc::ECONNRESET,
            libc::EPIPE,
            libc::ECONNABORTED,
            libc::ENOTCONN,
            libc::ETIMEDOUT,
            libc::ESHUTDOWN,
            libc::EHOSTUNREACH,
            libc::ENETUNREACH,
        ]
        .contains(&self.errno)
    }

    /// The operation was taken back because the shard stops.
    pub fn is_cancelled(&self) -> bool {
        self.errno == libc::ECANCELED
    }

    /// The process or the system has no descriptors, buffers or memory left; later may be better.
    pub fn is_exhausted(&self) -> bool {
        [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM].contains(&self.errno)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.operation,
            self.target,
            Reason(self.errno)
        )
    }
}

impl std::error::Error for Error {}

/// An error number in words.
pub(crate) struct Reason(pub(crate) i32);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

/// Why the shards of a process cannot start, for the person who starts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// What is needed.
    pub what: String,
    /// What was found instead.
    pub found: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  found: {}\n  fix: {}",
            self.what, self.found, self.fix
        )
    }
}

impl std::error::Error for StartError {}

/// Why a run ended otherwise than by every main returning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A shard could not start; the others were stopped.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The main of a shard panicked; the others were stopped.
    #[error("shard {shard} panicked: {message}")]
    MainPanicked {
        /// The shard.
        shard: ShardId,
        /// What the panic said.
        message: String,
    },
    /// `run` got another number of mains than the system has shards.
    #[error("{found} mains for {expected} shards")]
    MainCount {
        /// Shards of the system.
        expected: usize,
        /// Mains given.
        found: usize,
    },
    /// A simulated system is started by its simulation.
    #[error("a simulated system runs inside its simulation")]
    Simulated,
}
