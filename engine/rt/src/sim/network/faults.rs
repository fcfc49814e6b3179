//! What a test does to the network: cuts and heals links, breaks connections on one side or both.
//!
//! Keeps: what a cut held back is released in the order in which it was sent.
//! Does not: know the rules of a link (`links`).

use super::links::HELD;
use super::{Network, NetworkCounts, Socket, SocketNumber, State};
use crate::sim::random::SeededRandom;

impl Network {
    /// Lets nothing pass from one node to another until [`Network::heal`].
    pub(in crate::sim) fn cut(&mut self, from: usize, to: usize) {
        self.links.cut(from, to);
    }

    /// Delays what goes from one node to another by an extra time, drawn between two.
    pub(in crate::sim) fn slow(&mut self, from: usize, to: usize, extra: (u64, u64)) {
        self.links.slow(from, to, extra);
    }

    /// Loses one send in so many between two nodes; it is sent again.
    pub(in crate::sim) fn lose(&mut self, from: usize, to: usize, one_in: u64) {
        self.links.lose(from, to, one_in);
    }

    /// Forgets every rule, and lets what cuts held back arrive.
    pub(in crate::sim) fn heal(&mut self, now: u64, random: &mut SeededRandom) {
        self.links.heal();
        let sockets: Vec<SocketNumber> = self.sockets.keys().copied().collect();
        for socket in sockets {
            self.release(socket, now, random);
        }
    }

    /// Gives everything held back on its way to `socket` a time of arrival.
    fn release(&mut self, socket: SocketNumber, now: u64, random: &mut SeededRandom) {
        let Some(own) = self.connection(socket) else {
            return;
        };
        let held = own.inbox.iter().filter(|(at, _)| *at == HELD).count();
        let (ends, resets) = (own.end_at == Some(HELD), own.reset_at == Some(HELD));
        for _ in 0..held {
            let Some(at) = self.arrive(socket, now, random) else {
                return;
            };
            let waiting = self
                .connection(socket)
                .and_then(|own| own.inbox.iter_mut().find(|(at, _)| *at == HELD));
            if let Some((slot, _)) = waiting {
                *slot = at;
            }
        }
        if ends
            && let Some(at) = self.arrive(socket, now, random)
            && let Some(own) = self.connection(socket)
        {
            own.end_at = Some(at);
        }
        if resets
            && let Some(at) = self.arrive(socket, now, random)
            && let Some(own) = self.connection(socket)
        {
            own.reset_at = Some(at);
        }
    }

    /// The connected sockets of `node` whose other end is on `other`.
    fn between(&self, node: usize, other: usize) -> Vec<SocketNumber> {
        let is_between = |socket: &Socket| match &socket.state {
            State::Connected(own) => socket.node == node && own.remote_node == other,
            State::Fresh | State::Listening(_) => false,
        };
        self.sockets
            .iter()
            .filter(|(_, socket)| is_between(socket))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Breaks every connection between two nodes: both ends find it reset, what was on its way is
    /// lost or not.
    pub(in crate::sim) fn break_connections(
        &mut self,
        first: usize,
        second: usize,
        now: u64,
        random: &mut SeededRandom,
    ) {
        for socket in self.between(first, second) {
            let peer = self.connection(socket).and_then(|own| own.peer.take());
            self.reset(socket, now, random);
            if let Some(peer) = peer {
                self.part(peer, now);
                self.reset(peer, now, random);
                self.links.counts.broken += 1;
            }
        }
    }

    /// Lets `forgetful` lose its end of every connection with `other`, which is not told: it
    /// hears nothing more, and finds out when it sends.
    pub(in crate::sim) fn half_open(
        &mut self,
        forgetful: usize,
        other: usize,
        now: u64,
        random: &mut SeededRandom,
    ) {
        for socket in self.between(forgetful, other) {
            let peer = self.connection(socket).and_then(|own| own.peer.take());
            self.reset(socket, now, random);
            if let Some(peer) = peer {
                self.part(peer, now);
                self.links.counts.half_open += 1;
            }
        }
    }

    pub(in crate::sim) fn counts(&self) -> NetworkCounts {
        self.links.counts
    }
}
