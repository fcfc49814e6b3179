//! Handing out producer ids, a block at a time.

use super::{Controller, Outcome};
use crate::error::AllocateProducerIdsError;
use crate::limits::PRODUCER_IDS_PER_BLOCK;
use crate::record::MetadataRecord;
use engine_model::{NodeId, ProducerId};

/// Producer ids that belong to one broker and were never anybody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first of them.
    pub first: ProducerId,
    /// How many there are, from the first on.
    pub count: i64,
}

impl Controller {
    /// Gives a broker the next block of producer ids.
    ///
    /// The ids count as used once the record is in the log: a broker that ends before it used them
    /// leaves a gap, and no id is given twice.
    pub fn allocate_producer_ids(
        &self,
        node_id: NodeId,
        broker_epoch: i64,
    ) -> Result<Outcome<ProducerIdBlock>, AllocateProducerIdsError> {
        self.check_broker(node_id, broker_epoch)?;
        let first = self.image.next_producer_id();
        let count = PRODUCER_IDS_PER_BLOCK;
        let next = first
            .0
            .checked_add(count)
            .ok_or(AllocateProducerIdsError::Exhausted)?;
        let record = MetadataRecord::ProducerIds {
            node_id,
            broker_epoch,
            next: ProducerId(next),
        };
        Ok(Outcome::atomic(
            vec![record],
            ProducerIdBlock { first, count },
        ))
    }
}
