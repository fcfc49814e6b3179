//! Why a node did not start, or did not stop clean, in words for the person who runs it.

use core::net::SocketAddr;
use engine_log::{OpenError, StorageError};

/// What a process should exit with, by the classes of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitClass {
    /// 1: it failed.
    Failed,
    /// 2: a setting or a flag is wrong.
    Usage,
}

impl ExitClass {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
        }
    }
}

/// What went wrong with a node.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The data directory was not opened.
    #[error(transparent)]
    Open(OpenError),
    /// A store did not start or stop.
    #[error("the storage failed: {0}")]
    Storage(StorageError),
    /// Nobody can listen there.
    #[error("{error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: engine_rt::Error,
    },
    /// A listener's host is no address of this machine, or no address at all.
    #[error("cannot listen on {host}: it is no IP address")]
    Host {
        /// The host as configured.
        host: String,
    },
    /// The metadata could not be loaded or published.
    #[error("the cluster metadata cannot be loaded: {reason}")]
    Metadata {
        /// Why not.
        reason: String,
    },
    /// Another shard ended too early.
    #[error("shard {shard} ended before the node was up")]
    ShardEnded {
        /// The shard.
        shard: u16,
    },
}

impl NodeError {
    /// What to do about it, for the person who started the node.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Open(OpenError::InUse { .. }) => {
                "stop the other broker, or give this one its own directory with --data-dir"
            }
            Self::Open(OpenError::Foreign { .. }) => {
                "give an empty directory, or one of a broker of this kind, with --data-dir"
            }
            Self::Open(OpenError::Newer { .. }) => {
                "start the release that wrote it, or a newer one; this one changed nothing"
            }
            Self::Open(OpenError::Unreadable { .. } | OpenError::OtherDirectory { .. }) => {
                "nothing was changed; `odradek storage repair` tells what can be saved"
            }
            Self::Open(OpenError::Storage(error)) | Self::Storage(error) => storage_hint(error)?,
            Self::Listen { error, .. } if error.errno == EADDRINUSE => {
                "another process listens there: stop it, or choose a port with --listen (port 0 picks a free one)"
            }
            Self::Listen { error, .. } if error.errno == EADDRNOTAVAIL => {
                "this machine has no such address: choose another with --listen"
            }
            Self::Listen { error, .. } if error.errno == EACCES => {
                "ports below 1024 need a privilege: choose another with --listen"
            }
            Self::Host { .. } => "give an IP address, such as 127.0.0.1, or 0.0.0.0 for all",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// What the process should exit with.
    pub fn exit_class(&self) -> ExitClass {
        match self {
            Self::Open(
                OpenError::InUse { .. }
                | OpenError::Foreign { .. }
                | OpenError::Newer { .. }
                | OpenError::Setting { .. },
            )
            | Self::Host { .. } => ExitClass::Usage,
            _ => ExitClass::Failed,
        }
    }
}

fn storage_hint(error: &StorageError) -> Option<&'static str> {
    match error {
        StorageError::Io {
            errno: ENOSPC | EDQUOT,
            ..
        } => Some(
            "the disk is full and nothing was changed: make room, at least for what the redo logs hold \
             (lane.bytes a shard), and start again",
        ),
        StorageError::Io { errno: EIO, .. } => Some(
            "the disk failed and nothing was changed: see the kernel's log, and start again when it works",
        ),
        StorageError::Io { errno: EROFS, .. } => {
            Some("the file system is read-only: see the kernel's log why")
        }
        _ => None,
    }
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;
const EACCES: i32 = 13;
pub(crate) const EADDRINUSE: i32 = 98;
const EADDRNOTAVAIL: i32 = 99;
