//! How long the open frame waits for more appends, where waiting pays: a write costs the processor
//! almost the same whatever its size.
//!
//! Producers that keep a fixed number of requests under way send the next ones when they hear of
//! the last. So the number of appends that were unanswered when a frame was announced says how many
//! will come, and a frame leaves when most of those are here, or after `WAIT_MAX`.
//!
//! Keeps: a lone append never waits; a wait that was in vain lowers what is expected to what came.

use core::time::Duration;

/// The longest wait for appends that are expected.
pub(super) const WAIT_MAX: Duration = Duration::from_micros(200);

/// Parts of an append in which the mean is kept.
const PARTS: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Appends taken and not announced.
    outstanding: usize,
    /// The mean of that at recent announcements, in parts.
    usual: usize,
}

impl Gather {
    /// An append was put into the open frame.
    pub(super) fn taken(&mut self) {
        self.outstanding = self.outstanding.saturating_add(1);
    }

    /// So many appends are announced.
    pub(super) fn announced(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let found = self.outstanding.saturating_mul(PARTS);
        // A quarter of the way to what was found now, rounded up, so that it gets there.
        let sum = self.usual.saturating_mul(3).saturating_add(found);
        self.usual = sum.div_ceil(4);
        self.outstanding = self.outstanding.saturating_sub(count);
    }

    /// Whether fifteen of sixteen that are usually under way are.
    pub(super) fn is_enough(&self) -> bool {
        let expected = self.usual.saturating_mul(15) / 16 / PARTS;
        self.outstanding >= expected
    }

    /// Nothing more came in time.
    pub(super) fn was_in_vain(&mut self) {
        self.usual = self.outstanding.saturating_mul(PARTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends come one by one and `count` of them are announced together, over and over.
    fn settle(count: usize) -> Gather {
        let mut gather = Gather::default();
        for _ in 0..50 {
            for _ in 0..count {
                gather.taken();
            }
            gather.announced(count);
        }
        gather
    }

    #[test]
    fn a_frame_waits_for_most_of_what_is_usually_under_way() {
        for (usual, enough) in [(1, 0), (2, 1), (5, 4), (8, 7), (100, 93)] {
            let mut gather = settle(usual);
            let mut came = 0;
            while !gather.is_enough() {
                gather.taken();
                came += 1;
            }
            assert_eq!(came, enough, "of {usual}");
        }
    }

    #[test]
    fn a_wait_in_vain_is_not_repeated() {
        let mut gather = settle(5);
        gather.taken();
        assert!(!gather.is_enough());
        gather.was_in_vain();
        assert!(gather.is_enough());
        gather.announced(1);
        gather.taken();
        assert!(gather.is_enough(), "one at a time from now on");
    }

    #[test]
    fn one_crowd_among_single_appends_is_not_waited_for() {
        let mut gather = settle(1);
        for _ in 0..3 {
            gather.taken();
        }
        gather.announced(3);
        gather.taken();
        assert!(gather.is_enough());
    }
}
