//! The simulated network of all nodes: listeners, connections, ordered streams of bytes.
//!
//! Keeps:
//! - bytes of one direction arrive in order, each once, until its end or a reset;
//! - a direction holds at most [`STREAM_BYTES_MAX`] unread bytes; senders wait for room;
//! - every delay and every partial send or receive comes from the seed;
//! - what a cut link holds back arrives after it heals, in order (TCP's retransmissions);
//!   acknowledgements are taken to pass, so a sender across a cut fills the peer's window and
//!   then waits.
//!
//! Each node has an address of its own ([`node_address`]); loopback reaches only itself.
//! Bytes are copied on their way, as a kernel would: nobody's buffer outlives its operation.
//!
//! Does not: park operations that must wait; [`Network::take_touched`] says which sockets to
//! try again, and when. Source: tcp(7), socket(7).

mod faults;
mod links;
#[cfg(test)]
mod tests;

pub use links::NetworkCounts;
use links::{HELD, Links};

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::{Buf, Bytes, BytesMut};

use super::random::SeededRandom;
use crate::op::ReceiveBuffer;

/// Unread bytes of one direction of a connection.
const STREAM_BYTES_MAX: usize = 64 << 10;
/// Connections a listener holds that nobody accepted yet.
const BACKLOG_MAX: usize = 128;
/// A SYN without an answer is sent again after this long, as Linux does the first time. There is
/// no end to it: the callers have limits of their own.
const SYN_RETRY_NS: u64 = 1_000_000_000;
/// Ports from here on are handed out for port 0.
const EPHEMERAL_PORT_FIRST: u16 = 32_768;

/// Number of a socket, never used twice in a simulation.
pub(crate) type SocketNumber = u64;

/// The address of a node on the simulated network.
pub(crate) fn node_address(node: usize) -> IpAddr {
    let [.., high, low] = u32::try_from(node).unwrap_or(u32::MAX).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 77, high, low))
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt<T> {
    Done(T),
    /// A negated errno is not used here: the number itself.
    Failed(i32),
    /// Try again when the socket is touched.
    Wait,
}

#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    reuse_port: bool,
    /// Server ends of connections, oldest first.
    queue: VecDeque<SocketNumber>,
}

#[derive(Debug)]
struct Connection {
    local: SocketAddr,
    remote: SocketAddr,
    /// The other end, while that exists.
    peer: Option<SocketNumber>,
    /// What is on its way or unread, each with the moment it arrives (never before an earlier one).
    inbox: VecDeque<(u64, Bytes)>,
    inbox_bytes: usize,
    /// No arrival before this.
    last_arrival: u64,
    /// When the peer's end of stream arrives.
    end_at: Option<u64>,
    /// When the connection is found broken.
    reset_at: Option<u64>,
    /// Both directions were ended from this side.
    is_shut: bool,
    /// The node at the other end.
    remote_node: usize,
}

#[derive(Debug)]
enum State {
    Fresh,
    Listening(Listener),
    Connected(Connection),
}

#[derive(Debug)]
struct Socket {
    node: usize,
    state: State,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    sockets: BTreeMap<SocketNumber, Socket>,
    created: SocketNumber,
    port_next: u16,
    /// Sockets whose waiting operations should be tried again, and when.
    touched: Vec<(u64, SocketNumber)>,
    links: Links,
}

impl Network {
    /// Sockets to try again, each with the moment from which that may help.
    pub(crate) fn take_touched(&mut self) -> std::vec::Drain<'_, (u64, SocketNumber)> {
        self.touched.drain(..)
    }

    fn add(&mut self, node: usize, state: State) -> SocketNumber {
        self.created += 1;
        self.sockets.insert(self.created, Socket { node, state });
        self.created
    }

    fn connection(&mut self, socket: SocketNumber) -> Option<&mut Connection> {
        match self.sockets.get_mut(&socket).map(|s| &mut s.state) {
            Some(State::Connected(connection)) => Some(connection),
            _ => None,
        }
    }

    /// A socket that can connect.
    pub(crate) fn socket(&mut self, node: usize) -> SocketNumber {
        self.add(node, State::Fresh)
    }

    // --- listening ---

    fn is_own(node: usize, address: IpAddr) -> bool {
        address.is_unspecified() || address.is_loopback() || address == node_address(node)
    }

    fn check_bind(&self, node: usize, address: SocketAddr, reuse_port: bool) -> Result<(), i32> {
        if !Self::is_own(node, address.ip()) {
            return Err(libc::EADDRNOTAVAIL);
        }
        let taken = self.sockets.values().any(|socket| match &socket.state {
            State::Listening(other) => {
                socket.node == node
                    && other.address.port() == address.port()
                    && (other.address.ip() == address.ip()
                        || other.address.ip().is_unspecified()
                        || address.ip().is_unspecified())
                    && !(reuse_port && other.reuse_port)
            }
            _ => false,
        });
        if taken { Err(libc::EADDRINUSE) } else { Ok(()) }
    }

    fn next_port(&mut self) -> u16 {
        self.port_next = self
            .port_next
            .checked_add(1)
            .unwrap_or(0)
            .max(EPHEMERAL_PORT_FIRST);
        self.port_next
    }

    /// The address that binding would give; nothing stays bound.
    pub(crate) fn probe(
        &mut self,
        node: usize,
        mut address: SocketAddr,
        reuse_port: bool,
    ) -> Result<SocketAddr, i32> {
        if address.port() == 0 {
            for _ in EPHEMERAL_PORT_FIRST..u16::MAX {
                address.set_port(self.next_port());
                match self.check_bind(node, address, false) {
                    Err(libc::EADDRINUSE) => {}
                    other => return other.map(|()| address),
                }
            }
            return Err(libc::EADDRINUSE);
        }
        self.check_bind(node, address, reuse_port).map(|()| address)
    }

    pub(crate) fn listen(
        &mut self,
        node: usize,
        address: SocketAddr,
        reuse_port: bool,
    ) -> Result<(SocketNumber, SocketAddr), i32> {
        let address = self.probe(node, address, reuse_port)?;
        let listener = Listener {
            address,
            reuse_port,
            queue: VecDeque::new(),
        };
        Ok((self.add(node, State::Listening(listener)), address))
    }

    pub(crate) fn accept(&mut self, listener: SocketNumber) -> Attempt<(SocketNumber, SocketAddr)> {
        let Some(State::Listening(state)) = self.sockets.get_mut(&listener).map(|s| &mut s.state)
        else {
            return Attempt::Failed(libc::EINVAL);
        };
        let Some(socket) = state.queue.pop_front() else {
            return Attempt::Wait;
        };
        match self.connection(socket) {
            Some(connection) => Attempt::Done((socket, connection.remote)),
            None => Attempt::Failed(libc::ECONNABORTED),
        }
    }

    // --- connections ---

    /// Connects `socket` to a listener of `address`, drawn if several share the port.
    pub(crate) fn connect(
        &mut self,
        socket: SocketNumber,
        address: SocketAddr,
        now: u64,
        random: &mut SeededRandom,
    ) -> Attempt<()> {
        let node = match self.sockets.get(&socket) {
            Some(Socket {
                node,
                state: State::Fresh,
            }) => *node,
            Some(_) => return Attempt::Failed(libc::EISCONN),
            None => return Attempt::Failed(libc::EBADF),
        };
        let local_only = address.ip().is_loopback() || address.ip().is_unspecified();
        let listeners: Vec<SocketNumber> = self
            .sockets
            .iter()
            .filter(|(_, other)| match &other.state {
                State::Listening(listener) => {
                    let ip = listener.address.ip();
                    listener.address.port() == address.port()
                        && if local_only {
                            other.node == node && (ip.is_unspecified() || ip.is_loopback())
                        } else {
                            node_address(other.node) == address.ip()
                                && (ip.is_unspecified() || ip == address.ip())
                        }
                }
                _ => false,
            })
            .map(|(number, _)| *number)
            .collect();
        let Some(listener) = listeners.get(random.index(listeners.len())).copied() else {
            return Attempt::Failed(libc::ECONNREFUSED);
        };
        let Some((server_node, queued)) =
            self.sockets.get(&listener).and_then(|s| match &s.state {
                State::Listening(state) => Some((s.node, state.queue.len())),
                _ => None,
            })
        else {
            return Attempt::Failed(libc::ECONNREFUSED);
        };
        if self.links.is_cut(node, server_node) || self.links.is_cut(server_node, node) {
            self.links.counts.connects_held += 1;
            self.touched
                .push((now.saturating_add(SYN_RETRY_NS), socket));
            return Attempt::Wait;
        }
        if queued >= BACKLOG_MAX {
            // As a lost SYN: tried again a little later.
            self.touched.push((now.saturating_add(1_000_000), socket));
            return Attempt::Wait;
        }
        let local_ip = if local_only {
            address.ip()
        } else {
            node_address(node)
        };
        let local = SocketAddr::new(local_ip, self.next_port());
        let server = self.add(
            server_node,
            State::Connected(Connection::new(address, local, socket, node)),
        );
        if let Some(own) = self.sockets.get_mut(&socket) {
            own.state = State::Connected(Connection::new(local, address, server, server_node));
        }
        if let Some(State::Listening(state)) = self.sockets.get_mut(&listener).map(|s| &mut s.state)
        {
            state.queue.push_back(server);
        }
        self.touched.push((now, listener));
        Attempt::Done(())
    }

    /// Sends a first part of `chunks`, as much as there is room for or less.
    pub(crate) fn send<'a>(
        &mut self,
        socket: SocketNumber,
        chunks: impl Iterator<Item = &'a Bytes>,
        total: usize,
        now: u64,
        random: &mut SeededRandom,
    ) -> Attempt<usize> {
        let Some(own) = self.connection(socket) else {
            return Attempt::Failed(libc::ENOTCONN);
        };
        if own.reset_at.is_some_and(|at| at <= now) {
            return Attempt::Failed(libc::ECONNRESET);
        }
        if own.is_shut {
            return Attempt::Failed(libc::EPIPE);
        }
        let Some(peer) = own.peer else {
            if own.end_at.is_some_and(|at| at <= now) {
                return Attempt::Failed(libc::EPIPE);
            }
            // The bytes go out, and what comes back is a reset.
            self.reset_when_it_arrives(socket, now, random);
            return Attempt::Done(total);
        };
        let Some(other) = self.connection(peer) else {
            return Attempt::Failed(libc::EPIPE);
        };
        if other.is_shut {
            return Attempt::Done(total);
        }
        let room = STREAM_BYTES_MAX.saturating_sub(other.inbox_bytes);
        if room == 0 {
            return Attempt::Wait;
        }
        let count = partial(total.min(room), random);
        let mut data = BytesMut::with_capacity(count);
        for chunk in chunks {
            let take = chunk.len().min(count - data.len());
            data.extend_from_slice(chunk.get(..take).unwrap_or_default());
        }
        let Some(at) = self.arrive(peer, now, random) else {
            return Attempt::Failed(libc::EPIPE);
        };
        if let Some(other) = self.connection(peer) {
            other.inbox_bytes += data.len();
            other.inbox.push_back((at, data.freeze()));
        }
        Attempt::Done(count)
    }

    /// Appends what has arrived to `buffer`, at most `max` bytes; 0 is the end of the stream.
    pub(crate) fn receive(
        &mut self,
        socket: SocketNumber,
        buffer: &mut ReceiveBuffer,
        max: usize,
        now: u64,
        random: &mut SeededRandom,
    ) -> Attempt<usize> {
        let Some(own) = self.connection(socket) else {
            return Attempt::Failed(libc::ENOTCONN);
        };
        let max = buffer.room(max).1;
        if own.is_shut || max == 0 {
            return Attempt::Done(0);
        }
        let arrived = own.inbox.iter().take_while(|(at, _)| *at <= now);
        let arrived: usize = arrived.map(|(_, data)| data.len()).sum();
        if arrived == 0 {
            if own.reset_at.is_some_and(|at| at <= now) {
                return Attempt::Failed(libc::ECONNRESET);
            }
            if own.end_at.is_some_and(|at| at <= now) {
                return Attempt::Done(0);
            }
            return Attempt::Wait;
        }
        let count = partial(arrived.min(max), random);
        let mut left = count;
        while left > 0
            && let Some((_, data)) = own.inbox.front_mut()
        {
            let take = left.min(data.len());
            buffer.append(data.get(..take).unwrap_or_default());
            data.advance(take);
            left -= take;
            if data.is_empty() {
                own.inbox.pop_front();
            }
        }
        own.inbox_bytes -= count;
        if let Some(peer) = own.peer {
            self.touched.push((now, peer));
        }
        Attempt::Done(count)
    }

    /// Bytes wait to be received.
    pub(crate) fn has_arrived(&mut self, socket: SocketNumber, now: u64) -> bool {
        self.connection(socket)
            .and_then(|own| own.inbox.front())
            .is_some_and(|(at, _)| *at <= now)
    }

    /// Ends both directions from this side.
    pub(crate) fn shutdown(
        &mut self,
        socket: SocketNumber,
        now: u64,
        random: &mut SeededRandom,
    ) -> Result<(), i32> {
        let own = self.connection(socket).ok_or(libc::ENOTCONN)?;
        own.is_shut = true;
        own.inbox.clear();
        own.inbox_bytes = 0;
        let peer = own.peer;
        self.touched.push((now, socket));
        if let Some(peer) = peer {
            self.end(peer, now, random);
            self.touched.push((now, peer));
        }
        Ok(())
    }

    /// When the next thing sent to `socket` now arrives there, and lets it be looked at then.
    fn arrive(&mut self, socket: SocketNumber, now: u64, random: &mut SeededRandom) -> Option<u64> {
        let Self {
            sockets,
            links,
            touched,
            ..
        } = self;
        let Some(Socket {
            node,
            state: State::Connected(own),
        }) = sockets.get_mut(&socket)
        else {
            return None;
        };
        let at = links.arrival((own.remote_node, *node), now, own.last_arrival, random);
        if at != HELD {
            own.last_arrival = at;
            touched.push((at, socket));
        }
        Some(at)
    }

    fn end(&mut self, socket: SocketNumber, now: u64, random: &mut SeededRandom) {
        if self
            .connection(socket)
            .is_some_and(|own| own.end_at.is_none())
            && let Some(at) = self.arrive(socket, now, random)
            && let Some(own) = self.connection(socket)
        {
            own.end_at = Some(at);
        }
    }

    /// Lets `socket` find its connection broken, and what is still on its way to it lost or not.
    fn reset(&mut self, socket: SocketNumber, now: u64, random: &mut SeededRandom) {
        if let Some(own) = self.connection(socket)
            && random.flip()
        {
            while own.inbox.back().is_some_and(|(at, _)| *at > now) {
                let lost = own.inbox.pop_back().map_or(0, |(_, data)| data.len());
                own.inbox_bytes -= lost;
            }
            own.last_arrival = now;
        }
        self.reset_when_it_arrives(socket, now, random);
    }

    fn reset_when_it_arrives(&mut self, socket: SocketNumber, now: u64, random: &mut SeededRandom) {
        if let Some(at) = self.arrive(socket, now, random)
            && let Some(own) = self.connection(socket)
        {
            own.reset_at = Some(own.reset_at.unwrap_or(at).min(at));
        }
    }

    /// Gives the socket back. With unread bytes the peer sees a reset, else the end of the stream.
    pub(crate) fn close(&mut self, socket: SocketNumber, now: u64, random: &mut SeededRandom) {
        match self.sockets.remove(&socket).map(|s| s.state) {
            Some(State::Connected(connection)) => {
                if let Some(peer) = connection.peer {
                    if connection.inbox.is_empty() {
                        self.end(peer, now, random);
                    } else {
                        self.reset(peer, now, random);
                    }
                    self.part(peer, now);
                }
            }
            Some(State::Listening(listener)) => {
                for socket in listener.queue {
                    self.abort(socket, now, random);
                }
            }
            Some(State::Fresh) | None => {}
        }
    }

    fn part(&mut self, socket: SocketNumber, now: u64) {
        if let Some(own) = self.connection(socket) {
            own.peer = None;
        }
        self.touched.push((now, socket));
    }

    fn abort(&mut self, socket: SocketNumber, now: u64, random: &mut SeededRandom) {
        if let Some(Socket {
            state: State::Connected(Connection {
                peer: Some(peer), ..
            }),
            ..
        }) = self.sockets.remove(&socket)
        {
            self.reset(peer, now, random);
            self.part(peer, now);
        }
    }

    /// Takes every socket of a node away; its peers find their connections broken.
    pub(crate) fn crash(&mut self, node: usize, now: u64, random: &mut SeededRandom) {
        let sockets: Vec<SocketNumber> = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.node == node)
            .map(|(number, _)| *number)
            .collect();
        for socket in sockets {
            match self.sockets.get(&socket).map(|s| &s.state) {
                Some(State::Connected(_)) => self.abort(socket, now, random),
                Some(_) => {
                    self.sockets.remove(&socket);
                }
                None => {}
            }
        }
    }

    /// The connection's own address.
    pub(crate) fn local_address(&mut self, socket: SocketNumber) -> Result<SocketAddr, i32> {
        match self.sockets.get(&socket).map(|s| &s.state) {
            Some(State::Connected(connection)) => Ok(connection.local),
            Some(State::Listening(listener)) => Ok(listener.address),
            Some(State::Fresh) => Err(libc::ENOTCONN),
            None => Err(libc::EBADF),
        }
    }

    /// Sockets that exist, of all nodes.
    pub(crate) fn count(&self) -> usize {
        self.sockets.len()
    }
}

impl Connection {
    fn new(local: SocketAddr, remote: SocketAddr, peer: SocketNumber, remote_node: usize) -> Self {
        Self {
            local,
            remote,
            peer: Some(peer),
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            last_arrival: 0,
            end_at: None,
            reset_at: None,
            is_shut: false,
            remote_node,
        }
    }
}

/// All of `count` mostly, and otherwise some of it, but never nothing of something.
fn partial(count: usize, random: &mut SeededRandom) -> usize {
    if count > 1 && random.one_in(4) {
        1 + random.index(count)
    } else {
        count
    }
}
