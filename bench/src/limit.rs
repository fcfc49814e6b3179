//! When a phase of a run has issued enough.

use crate::clock::nanos;
use crate::options::Amount;

/// How much a phase may still issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Requests, where they are counted.
    requests: Option<u64>,
    /// Until when, in nanoseconds of the run's clock, where time is.
    until: Option<u64>,
}

impl Limit {
    /// The limit of a phase that begins at `now`, when a request carries so many records, each with a
    /// value of so many bytes. What is begun is done in whole requests.
    pub fn new(amount: Amount, now: u64, records: u64, record_bytes: u64) -> Self {
        let requests = |wanted: u64, each: u64| wanted.div_ceil(each.max(1));
        match amount {
            Amount::Records(wanted) => Self {
                requests: Some(requests(wanted, records)),
                until: None,
            },
            Amount::Bytes(wanted) => Self {
                requests: Some(requests(wanted, records.saturating_mul(record_bytes))),
                until: None,
            },
            Amount::Duration(wanted) => Self {
                requests: None,
                until: Some(now.saturating_add(nanos(wanted))),
            },
        }
    }

    /// Whether one more request may be issued at `now`.
    pub fn allows(&self, now: u64) -> bool {
        self.requests != Some(0) && self.until.is_none_or(|until| now < until)
    }

    /// Takes note of a request that was issued.
    pub fn take(&mut self) {
        if let Some(requests) = &mut self.requests {
            *requests = requests.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_begun_is_done_in_whole_requests() {
        for (amount, requests) in [
            (Amount::Records(0), 0),
            (Amount::Records(1), 1),
            (Amount::Records(10), 1),
            (Amount::Records(11), 2),
            (Amount::Bytes(1000), 1),
            (Amount::Bytes(1001), 2),
        ] {
            let mut limit = Limit::new(amount, 7, 10, 100);
            let mut issued = 0;
            while limit.allows(u64::MAX) {
                limit.take();
                issued += 1;
            }
            assert_eq!(issued, requests, "{amount:?}");
        }
    }

    #[test]
    fn time_ends_a_phase_however_much_was_done() {
        let mut limit = Limit::new(Amount::Duration(Duration::from_nanos(5)), 10, 1, 1);
        for _ in 0..1000 {
            limit.take();
        }
        assert!(limit.allows(14));
        assert!(!limit.allows(15));
    }
}
