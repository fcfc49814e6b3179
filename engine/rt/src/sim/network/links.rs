//! What is wrong between nodes: cut, slow and lossy links, each direction on its own.
//!
//! Keeps: without a rule for a link, the same draws as on a network without faults.
//! Does not: know sockets; what a cut holds back is released by [`Network::heal`](super::Network).

use std::collections::BTreeMap;

use crate::sim::random::SeededRandom;

/// An arrival that waits for the link to heal.
pub(super) const HELD: u64 = u64::MAX;
/// What a lost segment costs at least: Linux' shortest retransmission timeout, in nanoseconds.
const RETRANSMISSION_NS: u64 = 200_000_000;

/// What has really happened on the links of a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCounts {
    /// Sends, ends and resets that a cut link held back.
    pub held: u64,
    /// Attempts to connect that a cut link held back.
    pub connects_held: u64,
    /// Sends that a slow link delayed.
    pub slowed: u64,
    /// Sends that were lost once and sent again.
    pub retransmitted: u64,
    /// Connections broken on demand.
    pub broken: u64,
    /// Connections of which one end was made to forget.
    pub half_open: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    is_cut: bool,
    /// Least and greatest extra delay in nanoseconds.
    extra: Option<(u64, u64)>,
    /// One send in so many is lost once.
    loss: Option<u64>,
}

/// The rules of all links that have one, by the nodes a message goes from and to.
#[derive(Debug, Default)]
pub(super) struct Links {
    rules: BTreeMap<(usize, usize), Link>,
    pub(super) counts: NetworkCounts,
}

impl Links {
    fn rule(&mut self, from: usize, to: usize) -> &mut Link {
        self.rules.entry((from, to)).or_default()
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.rule(from, to).is_cut = true;
    }

    pub(super) fn slow(&mut self, from: usize, to: usize, extra: (u64, u64)) {
        self.rule(from, to).extra = Some(extra);
    }

    pub(super) fn lose(&mut self, from: usize, to: usize, one_in: u64) {
        self.rule(from, to).loss = Some(one_in.max(1));
    }

    /// Forgets every rule.
    pub(super) fn heal(&mut self) {
        self.rules.clear();
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.rules.get(&(from, to)).is_some_and(|link| link.is_cut)
    }

    /// When what `from` sends now reaches `to`: never before `not_before`, [`HELD`] if the link
    /// is cut.
    pub(super) fn arrival(
        &mut self,
        (from, to): (usize, usize),
        now: u64,
        not_before: u64,
        random: &mut SeededRandom,
    ) -> u64 {
        let mut delay = usual(random);
        if let Some(link) = self.rules.get(&(from, to)) {
            if link.is_cut {
                self.counts.held += 1;
                return HELD;
            }
            if let Some((least, greatest)) = link.extra {
                self.counts.slowed += 1;
                delay = delay.saturating_add(random.between(least, greatest.max(least)));
            }
            if link.loss.is_some_and(|one_in| random.one_in(one_in)) {
                self.counts.retransmitted += 1;
                delay = delay.saturating_add(RETRANSMISSION_NS);
            }
        }
        not_before.max(now.saturating_add(delay))
    }
}

/// Nanoseconds on the way: mostly well under a millisecond, now and then 20.
fn usual(random: &mut SeededRandom) -> u64 {
    if random.one_in(64) {
        random.between(1_000_000, 20_000_000)
    } else {
        random.between(10_000, 300_000)
    }
}
