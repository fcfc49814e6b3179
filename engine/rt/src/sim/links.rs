//! What a test sees of the simulated network: the links between nodes and what is wrong with them.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::SimNode;
use super::network::{Network, NetworkCounts};
use super::world::World;

/// The network of a simulation. Clones are the same network.
#[derive(Clone)]
pub struct SimNetwork {
    pub(super) world: Rc<World>,
}

impl SimNetwork {
    /// Lets nothing pass from one node to another until [`SimNetwork::heal`]: bytes, ends and
    /// resets sent meanwhile arrive after it, in order; attempts to connect wait.
    pub fn cut(&self, from: SimNode, to: SimNode) {
        self.world
            .with_network(|network, _, _| network.cut(from.0, to.0));
    }

    /// Cuts both directions between two nodes.
    pub fn part(&self, first: SimNode, second: SimNode) {
        self.cut(first, second);
        self.cut(second, first);
    }

    /// Delays whatever goes from one node to another by an extra time drawn from the range.
    pub fn slow(&self, from: SimNode, to: SimNode, least: Duration, greatest: Duration) {
        let nanoseconds = |it: Duration| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX);
        let extra = (nanoseconds(least), nanoseconds(greatest));
        self.world
            .with_network(|network, _, _| network.slow(from.0, to.0, extra));
    }

    /// Loses one send in `one_in` from one node to another; it comes again, and late.
    pub fn lose(&self, from: SimNode, to: SimNode, one_in: u64) {
        self.world
            .with_network(|network, _, _| network.lose(from.0, to.0, one_in));
    }

    /// Takes back every cut, delay and loss.
    pub fn heal(&self) {
        self.world.with_network(Network::heal);
    }

    /// Breaks every connection between two nodes: both ends find it reset.
    pub fn break_connections(&self, first: SimNode, second: SimNode) {
        self.world.with_network(|network, now, random| {
            network.break_connections(first.0, second.0, now, random);
        });
    }

    /// Lets `forgetful` lose its end of every connection with `other`, which hears nothing of it
    /// until it sends.
    pub fn half_open(&self, forgetful: SimNode, other: SimNode) {
        self.world.with_network(|network, now, random| {
            network.half_open(forgetful.0, other.0, now, random);
        });
    }

    /// What has really happened so far.
    pub fn counts(&self) -> NetworkCounts {
        self.world.with_network(|network, _, _| network.counts())
    }
}

impl fmt::Debug for SimNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().fmt(f)
    }
}
