//! Which records of transactions still count while a log is compacted.
//!
//! Records of an aborted transaction go at once. A marker goes when none of its transaction's
//! records is left, and then not before its delete horizon.
//!
//! Keeps: batches and markers are shown in the order of the log, from its start. Does not: judge
//! what is still open; compaction ends below the first open transaction.
//! Source: Kafka 4.3.1, `CleanedTransactionMetadata`.

use engine_codec::Batch;
use engine_model::{Offset, ProducerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The type of an abort marker, the second field of its key.
const ABORT: i16 = 0;
/// The type of a commit marker.
const COMMIT: i16 = 1;

/// What ended a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Abort,
    Commit,
    /// A control record that ends none.
    Other,
}

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AbortedTransaction {
    pub(super) producer_id: ProducerId,
    /// Of its first record.
    pub(super) first_offset: Offset,
    /// Of its marker.
    pub(super) last_offset: Offset,
}

/// Whether a transactional batch or a marker may go.
#[derive(Debug, Default)]
pub(super) struct CleanedTransactions {
    /// Those whose first offset is still ahead, by it.
    aborted: VecDeque<AbortedTransaction>,
    /// Of producers in an aborted transaction: whether a batch of it was seen.
    aborting: BTreeMap<ProducerId, bool>,
    /// Producers with batches in a transaction that was not aborted.
    committing: BTreeSet<ProducerId>,
}

impl CleanedTransactions {
    pub(super) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        Self {
            aborted: aborted.into(),
            ..Self::default()
        }
    }

    /// Whether a batch of records may go as a whole, whatever its keys.
    pub(super) fn on_batch(&mut self, batch: &Batch) -> bool {
        let header = batch.header();
        self.begin_up_to(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        if let Some(was_seen) = self.aborting.get_mut(&header.producer_id) {
            *was_seen = true;
            return true;
        }
        self.committing.insert(header.producer_id);
        false
    }

    /// Whether a marker is of no use any more.
    pub(super) fn on_control_batch(&mut self, batch: &Batch) -> bool {
        let header = batch.header();
        self.begin_up_to(header.last_offset());
        match marker(batch) {
            // What is left of a marker that was cleaned before.
            None => true,
            Some(Marker::Abort) => {
                let was_seen = self.aborting.remove(&header.producer_id);
                !was_seen.unwrap_or(false)
            }
            Some(Marker::Commit) => !self.committing.remove(&header.producer_id),
            Some(Marker::Other) => false,
        }
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(begun) = self
            .aborted
            .pop_front_if(|transaction| transaction.first_offset <= offset)
        {
            self.aborting.insert(begun.producer_id, false);
            self.committing.remove(&begun.producer_id);
        }
    }
}

/// Finds the aborted transactions of a log whose batches it is shown in order.
#[derive(Debug, Default)]
pub(super) struct TransactionScan {
    open: BTreeMap<ProducerId, Offset>,
    pub(super) aborted: Vec<AbortedTransaction>,
}

impl TransactionScan {
    pub(super) fn note(&mut self, batch: &Batch) {
        let header = batch.header();
        if header.attributes.is_control() {
            let first = self.open.remove(&header.producer_id);
            if let (Some(first_offset), Some(Marker::Abort)) = (first, marker(batch)) {
                self.aborted.push(AbortedTransaction {
                    producer_id: header.producer_id,
                    first_offset,
                    last_offset: header.last_offset(),
                });
            }
        } else if header.attributes.is_transactional() {
            let first = header.base_offset;
            self.open.entry(header.producer_id).or_insert(first);
        }
    }
}

/// What a control batch says; `None` if no record is left in it.
fn marker(batch: &Batch) -> Option<Marker> {
    let record = batch.records(batch.bytes().len()).next()?.ok()?;
    // Key: version and type, two bytes each.
    let kind = record
        .key
        .as_deref()
        .and_then(|key| key.get(2..))
        .and_then(|rest| rest.first_chunk::<2>())
        .map(|kind| i16::from_be_bytes(*kind));
    Some(match kind {
        Some(ABORT) => Marker::Abort,
        Some(COMMIT) => Marker::Commit,
        _ => Marker::Other,
    })
}
