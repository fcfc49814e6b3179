//! An open file, directory or socket, closed when nobody refers to it any more.
//!
//! Keeps: operations under way hold an `Rc` of their descriptor, so the number is not given back
//! (and taken by something else) while the kernel may still look it up.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::Error;
use crate::op::{Operation, Submitted};
use crate::shard::Shard;

/// A file descriptor; under `sim`, a number of the simulated node's own table. Never negative.
pub(crate) type RawDescriptor = i32;

/// What it is, for errors.
#[derive(Clone, Debug)]
pub(crate) enum Label {
    Path(Arc<str>),
    Address(SocketAddr),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Label {
    /// The path or address, as errors carry it.
    pub(crate) fn target(&self) -> Arc<str> {
        match self {
            Self::Path(path) => Arc::clone(path),
            Self::Address(address) => address.to_string().into(),
        }
    }

    /// The label of an entry below this directory.
    pub(crate) fn join(&self, name: &str) -> Arc<str> {
        format!("{self}/{name}").into()
    }
}

/// See the module's comment.
pub(crate) struct Descriptor {
    shard: Rc<Shard>,
    raw: RawDescriptor,
    label: Label,
    /// A zero-copy send was copied all the same, or refused: not worth another try.
    copies: Cell<bool>,
    /// Bytes of zero-copy sends whose memory the kernel still holds.
    pinned: Cell<usize>,
}

impl Descriptor {
    /// Takes charge of `raw`, which was opened on `shard`.
    pub(crate) fn new(shard: Rc<Shard>, raw: RawDescriptor, label: Label) -> Rc<Self> {
        Rc::new(Self {
            shard,
            raw,
            label,
            copies: Cell::new(false),
            pinned: Cell::new(0),
        })
    }

    pub(crate) fn raw(&self) -> RawDescriptor {
        self.raw
    }

    /// Zero-copy sends are no use on this connection.
    pub(crate) fn note_copies(&self) {
        self.copies.set(true);
    }

    pub(crate) fn copies(&self) -> bool {
        self.copies.get()
    }

    pub(crate) fn pin(&self, bytes: usize) {
        self.pinned.set(self.pinned.get().saturating_add(bytes));
    }

    pub(crate) fn unpin(&self, bytes: usize) {
        self.pinned.set(self.pinned.get().saturating_sub(bytes));
    }

    pub(crate) fn pinned(&self) -> usize {
        self.pinned.get()
    }

    pub(crate) fn shard(&self) -> &Rc<Shard> {
        &self.shard
    }

    pub(crate) fn label(&self) -> &Label {
        &self.label
    }

    /// Runs `operation` on this descriptor's shard; a negative result becomes the error.
    pub(crate) async fn run(&self, operation: Operation) -> Result<(i32, Operation), Error> {
        let (result, operation) = Submitted::new(Rc::clone(&self.shard), operation).await;
        if result < 0 {
            return Err(Error::new(operation.verb(), self.label.target(), -result));
        }
        Ok((result, operation))
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.raw, self.label)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.shard.close(self.raw);
    }
}
