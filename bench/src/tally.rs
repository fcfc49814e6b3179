//! What was answered so far.

use crate::latency::Durations;

/// What was answered so far.
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of record values produced, or of record batches fetched.
    pub bytes: u64,
    /// From request to answer, or end to end.
    pub latency: Durations,
    /// End to end runs: from request to acknowledgement.
    pub acks: Durations,
    /// How late requests of an open loop left the load program's hands.
    pub lateness: Durations,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            requests: 0,
            records: 0,
            bytes: 0,
            latency: Durations::new(),
            acks: Durations::new(),
            lateness: Durations::new(),
        }
    }

    /// Where the time to an acknowledgement belongs.
    pub const fn acknowledged(&mut self, is_end_to_end: bool) -> &mut Durations {
        if is_end_to_end {
            &mut self.acks
        } else {
            &mut self.latency
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.requests = 0;
        self.records = 0;
        self.bytes = 0;
        self.latency.clear();
        self.acks.clear();
        self.lateness.clear();
    }
}
