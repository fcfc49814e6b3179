//! Which batches of an answer belong to aborted transactions.
//!
//! A Fetch answer names the aborted transactions that overlap it: producer and first offset. One
//! begins to count at the first batch that reaches its offset and ends at its abort marker.
//! Source: KIP-98, "Consumer"; Kafka's `CompletedFetch`.

use super::{Consumer, Isolation};
use engine_codec::Batch;
use engine_model::{Offset, ProducerId};
use net_protocol::fetch::AbortedTransaction;
use std::collections::{BTreeSet, VecDeque};

/// The most bytes a control record's batch may grow to: a marker is a few bytes.
const MARKER_BYTES_MAX: usize = 64 << 10;
/// The type of an abort marker, in the second half of its key.
const ABORT: [u8; 2] = [0, 0];

/// The aborted transactions of one partition's answer, walked batch by batch.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// Those not reached yet, by first offset.
    ahead: VecDeque<(Offset, ProducerId)>,
    /// The producers whose transaction is being aborted here.
    open: BTreeSet<ProducerId>,
}

impl Consumer {
    /// What an answer says of aborted transactions; nothing unless they are to be left out.
    pub(super) fn aborted(&self, transactions: Vec<AbortedTransaction>) -> Aborted {
        if self.options.isolation == Isolation::ReadUncommitted {
            return Aborted::default();
        }
        let mut ahead: Vec<(Offset, ProducerId)> = transactions
            .into_iter()
            .map(|transaction| (transaction.first_offset, transaction.producer_id))
            .collect();
        ahead.sort_unstable();
        Aborted {
            ahead: ahead.into(),
            open: BTreeSet::new(),
        }
    }
}

impl Aborted {
    /// Whether the records of a batch are those of an aborted transaction. Call for every batch, in
    /// order.
    pub(super) fn covers(&mut self, batch: &Batch) -> bool {
        let header = batch.header();
        let last = header.last_offset();
        while let Some((_, producer)) = self.ahead.pop_front_if(|(first, _)| *first <= last) {
            self.open.insert(producer);
        }
        if !header.attributes.is_transactional() {
            return false;
        }
        if header.attributes.is_control() {
            if is_abort_marker(batch) {
                self.open.remove(&header.producer_id);
            }
            return false;
        }
        self.open.contains(&header.producer_id)
    }
}

fn is_abort_marker(batch: &Batch) -> bool {
    let first = batch.records(MARKER_BYTES_MAX).next();
    let key = first.and_then(Result::ok).and_then(|record| record.key);
    key.is_some_and(|key| key.get(2..4) == Some(&ABORT))
}
