//! Listening sockets.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::descriptor::{Descriptor, Label};
use crate::error::{Error, Result};
use crate::op::{Operation, Submitted};
use crate::shard;
use crate::stream::Stream;

/// How to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Others of the same user may listen on the same address, and the system spreads connections
    /// over all of them: one listener a shard. Make sure with [`probe_port`] that these others are
    /// ours.
    pub reuse_port: bool,
    /// Connections that wait to be accepted; the system caps it.
    pub backlog: u32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            reuse_port: false,
            backlog: 1024,
        }
    }
}

/// A listening socket.
#[derive(Clone, Debug)]
pub struct Listener {
    descriptor: Rc<Descriptor>,
    local: SocketAddr,
}

impl Listener {
    /// Listens on `address`; port 0 picks a free one.
    pub fn bind(address: SocketAddr, options: ListenOptions) -> Result<Self> {
        let shard = shard::current();
        match shard.backend.listen(address, options) {
            Ok((raw, local)) => {
                let descriptor = Descriptor::new(shard, raw, Label::Address(local));
                Ok(Self { descriptor, local })
            }
            Err(errno) => Err(Error::new("listen on", address.to_string(), errno)),
        }
    }

    /// Takes the next connection.
    ///
    /// Errors concern this one attempt (`is_connection_closed`: the peer gave up, go on;
    /// `is_exhausted`: go on a little later). Cancel: safe; a connection that arrives for a dropped
    /// accept is closed.
    pub async fn accept(&self) -> Result<Stream> {
        let listener = Rc::clone(&self.descriptor);
        let shard = Rc::clone(listener.shard());
        let operation = Operation::Accept {
            listener,
            peer: None,
        };
        let (result, operation) = Submitted::new(Rc::clone(&shard), operation).await;
        if result < 0 {
            return Err(Error::new("accept on", self.local.to_string(), -result));
        }
        let peer = match operation {
            Operation::Accept {
                peer: Some(peer), ..
            } => peer,
            // The system names the peer of every IP connection; without it, our own address.
            _ => self.local,
        };
        Ok(Stream::adopt(shard, result, peer))
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// Makes sure that nobody listens on `address` and returns it, with a free port in place of 0.
///
/// Listeners with `reuse_port` bind silently beside those of another process of the same user;
/// this refuses with EADDRINUSE. A short gap remains until the listeners are bound.
pub fn probe_port(address: SocketAddr) -> Result<SocketAddr> {
    let probed = match shard::try_current() {
        Some(shard) => shard.backend.probe(address),
        None => crate::uring::probe_port(address),
    };
    probed.map_err(|errno| Error::new("listen on", address.to_string(), errno))
}
