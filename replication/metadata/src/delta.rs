//! What changed between two images, so that a shard looks at that and not at everything.

use engine_model::{NodeId, TopicId};
use std::collections::BTreeSet;

/// What a run of records touched. Look the topics up in the image that came out: one that is not
/// there was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataDelta {
    /// Topics created, changed or deleted.
    pub topics: BTreeSet<TopicId>,
    /// Brokers that registered.
    pub brokers: BTreeSet<NodeId>,
    /// Whether a broker's settings changed.
    pub broker_configs: bool,
}

impl MetadataDelta {
    /// Whether nothing that anybody looks at changed.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.brokers.is_empty() && !self.broker_configs
    }
}
