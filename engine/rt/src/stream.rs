//! Connections.
//!
//! Keeps: bytes go out in the order of the sends that were polled, as long as one is awaited
//! before the next is started; buffers under way are held until the system is done with them.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::buffer::AlignedBuf;
use crate::descriptor::{Descriptor, Label};
use crate::error::{Error, Result};
use crate::op::{Chunks, Operation, ReceiveBuffer, Submitted};
use crate::shard::{self, Shard};

/// The most bytes one receive appends.
pub const RECEIVE_BYTES_MAX: usize = 256 * 1024;

/// Sends of at least this many bytes to other machines are made without a copy, where the system
/// can: below it the bookkeeping costs more than the copy.
const ZERO_COPY_BYTES_MIN: usize = 64 * 1024;

/// Bytes of one connection that zero-copy sends may hold at once. The kernel chains the
/// notifications of sends that follow each other closely and gives all of them back at the end of
/// the chain, so a connection that is never idle would hold everything it ever sent; a plain send
/// breaks the chain.
const ZERO_COPY_PINNED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Errors with which a system refuses a zero-copy send before anything of it was sent.
const REFUSALS: [i32; 4] = [libc::EINVAL, libc::EOPNOTSUPP, libc::ENOMEM, libc::ENOBUFS];

/// A connection. Clones share it (one may send while another receives); it is closed with the
/// last one.
#[derive(Clone, Debug)]
pub struct Stream {
    descriptor: Rc<Descriptor>,
    peer: SocketAddr,
}

impl Stream {
    pub(crate) fn adopt(shard: Rc<Shard>, raw: i32, peer: SocketAddr) -> Self {
        shard.backend.tune(raw);
        Self {
            descriptor: Descriptor::new(shard, raw, Label::Address(peer)),
            peer,
        }
    }

    /// Connects to `address`. Without a deadline of its own beyond the system's: wrap it in
    /// [`timeout`](crate::timeout).
    ///
    /// Cancel: safe; the connection is given up.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let shard = shard::current();
        let raw = shard
            .backend
            .socket(address)
            .map_err(|errno| Error::new("connect to", address.to_string(), errno))?;
        let stream = Self::adopt(shard, raw, address);
        let socket = Rc::clone(&stream.descriptor);
        stream
            .descriptor
            .run(Operation::Connect { socket, address })
            .await?;
        Ok(stream)
    }

    /// Appends 1 to `max` received bytes to `buffer` (at most [`RECEIVE_BYTES_MAX`]) and returns
    /// it; of the same length as before at the end of the stream.
    ///
    /// Grows `buffer` by what `max` needs, so charge the memory first. Cancel: not safe; bytes
    /// that arrived for a dropped receive are lost, the connection is of no further use.
    pub async fn recv(&self, buffer: BytesMut, max: usize) -> Result<BytesMut> {
        let max = max.clamp(1, RECEIVE_BYTES_MAX);
        let socket = Rc::clone(&self.descriptor);
        let operation = Operation::Receive {
            socket,
            buffer: ReceiveBuffer::Growing(buffer),
            max,
            more: false,
        };
        match self.descriptor.run(operation).await? {
            (
                _,
                Operation::Receive {
                    buffer: ReceiveBuffer::Growing(buffer),
                    ..
                },
            ) => Ok(buffer),
            _ => Err(self.error("receive from", libc::EIO)),
        }
    }

    /// Fills spare room of `buffer` with 1 to `max` received bytes and returns it; of the same
    /// length as before at the end of the stream. Also says whether more bytes are known to wait.
    ///
    /// Errors: ENOBUFS where `buffer` is full. Cancel: not safe, as [`Stream::recv`].
    pub async fn recv_into(&self, buffer: AlignedBuf, max: usize) -> Result<(AlignedBuf, bool)> {
        if buffer.remaining() == 0 {
            return Err(self.error("receive from", libc::ENOBUFS));
        }
        let operation = Operation::Receive {
            socket: Rc::clone(&self.descriptor),
            buffer: ReceiveBuffer::Aligned(buffer),
            max: max.max(1),
            more: false,
        };
        match self.descriptor.run(operation).await? {
            (
                _,
                Operation::Receive {
                    buffer: ReceiveBuffer::Aligned(buffer),
                    more,
                    ..
                },
            ) => Ok((buffer, more)),
            _ => Err(self.error("receive from", libc::EIO)),
        }
    }

    /// Sends all of `chunks`.
    ///
    /// Await one send before starting the next: the order of sends that overlap is not defined.
    /// After an error, or if dropped before its end, an unknown part was sent and the connection
    /// is of no further use for sending. Cancel: not safe.
    pub async fn send(&self, chunks: Vec<Bytes>) -> Result<()> {
        let mut chunks = Chunks::new(chunks);
        while !chunks.is_empty() {
            let zero_copy = self.may_skip_copying(chunks.len());
            let operation = Operation::Send {
                socket: Rc::clone(&self.descriptor),
                chunks,
                zero_copy,
            };
            let shard = Rc::clone(self.descriptor.shard());
            let (result, operation) = Submitted::new(shard, operation).await;
            let Operation::Send { chunks: back, .. } = operation else {
                return Err(self.error("send to", libc::EIO));
            };
            chunks = back;
            match usize::try_from(result) {
                Ok(0) => return Err(self.error("send to", libc::EPIPE)),
                Ok(count) => chunks.advance(count),
                Err(_) if zero_copy && REFUSALS.contains(&-result) => {
                    // Not known here, or no locked memory left: nothing was sent.
                    self.descriptor.note_copies();
                }
                Err(_) => return Err(self.error("send to", -result)),
            }
        }
        Ok(())
    }

    /// Loopback always copies, and then pays for the bookkeeping too.
    fn may_skip_copying(&self, bytes: usize) -> bool {
        bytes >= ZERO_COPY_BYTES_MIN
            && !self.descriptor.copies()
            && self.descriptor.pinned().saturating_add(bytes) <= ZERO_COPY_PINNED_BYTES_MAX
            && !self.peer.ip().to_canonical().is_loopback()
    }

    fn error(&self, verb: &'static str, errno: i32) -> Error {
        Error::new(verb, self.descriptor.label().target(), errno)
    }

    /// Ends both directions: receives waiting here find the end, the peer finds it after what was
    /// sent. The error of a connection that is gone already is none. Cancel: safe.
    pub async fn shutdown(&self) -> Result<()> {
        let socket = Rc::clone(&self.descriptor);
        match self.descriptor.run(Operation::Shutdown { socket }).await {
            Err(error) if !error.is_connection_closed() => Err(error),
            _ => Ok(()),
        }
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The connection's own address: the one the peer reached us at.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let shard = self.descriptor.shard();
        shard
            .backend
            .local_address(self.descriptor.raw())
            .map_err(|errno| self.error("inspect", errno))
    }
}
