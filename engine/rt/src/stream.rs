//! Connections.
//!
//! Keeps: bytes go out in the order of the sends that were polled, as long as one is awaited
//! before the next is started; buffers under way are held until the system is done with them.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::descriptor::{Descriptor, Label};
use crate::error::{Error, Result};
use crate::op::{Chunks, Operation};
use crate::shard::{self, Shard};

/// The most bytes one receive appends.
pub const RECEIVE_BYTES_MAX: usize = 256 * 1024;

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
            buffer,
            max,
        };
        match self.descriptor.run(operation).await? {
            (_, Operation::Receive { buffer, .. }) => Ok(buffer),
            _ => Err(Error::new(
                "receive from",
                self.descriptor.label().target(),
                libc::EIO,
            )),
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
            let socket = Rc::clone(&self.descriptor);
            let operation = Operation::Send {
                socket,
                chunks,
                zero_copy: false,
            };
            let (count, operation) = self.descriptor.run(operation).await?;
            let Operation::Send { chunks: back, .. } = operation else {
                return Err(Error::new(
                    "send to",
                    self.descriptor.label().target(),
                    libc::EIO,
                ));
            };
            chunks = back;
            match usize::try_from(count) {
                Ok(count) if count > 0 => chunks.advance(count),
                _ => {
                    return Err(Error::new(
                        "send to",
                        self.descriptor.label().target(),
                        libc::EPIPE,
                    ));
                }
            }
        }
        Ok(())
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
            .map_err(|errno| Error::new("inspect", self.descriptor.label().target(), errno))
    }
}
