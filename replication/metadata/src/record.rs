//! The records of `__cluster_metadata`.
//!
//! A record says what is, not what to do: replay sets, it never chooses. The encoding is ours and
//! versioned (`record/encoding.rs`); a record of an unknown kind or version stops the replica that
//! reads it, because skipping one would make two replicas differ.

mod encoding;

pub use encoding::RecordError;

use engine_config::Endpoint;
use engine_model::{
    ClusterId, DirectoryId, LeaderEpoch, NodeId, PartitionIndex, ProducerId, TopicId, TopicName,
};

/// What a setting belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    /// A topic, by id: a re-created name does not inherit.
    Topic(TopicId),
    /// One broker.
    Broker(NodeId),
    /// Every broker.
    AllBrokers,
}

/// A broker as it registered for one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRecord {
    /// The broker.
    pub node_id: NodeId,
    /// Number of this registration; higher than every one before it.
    pub epoch: i64,
    /// Drawn at random at each start, so a repeated registration is told from a second process.
    pub incarnation: [u8; 16],
    /// Its data directory.
    pub directory: DirectoryId,
    /// Whether its last run ended cleanly; if not, unflushed records may be gone.
    pub was_clean: bool,
    /// The addresses that clients are told; none when each is told the one it came to.
    pub endpoints: Vec<Endpoint>,
    /// Its rack.
    pub rack: Option<String>,
}

/// A partition as it was created, with its topic or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Its topic.
    pub topic_id: TopicId,
    /// Its number; the records of a topic count up from 0.
    pub partition: PartitionIndex,
    /// The brokers that hold it; the first is preferred as leader.
    pub replicas: Vec<NodeId>,
    /// The directory of each replica, in the same order.
    pub directories: Vec<DirectoryId>,
    /// The replicas in sync.
    pub isr: Vec<NodeId>,
    /// The leader, or `NodeId::NONE`.
    pub leader: NodeId,
    /// Raised at every start of leadership.
    pub leader_epoch: LeaderEpoch,
}

/// What changed of a partition. All of it is as it is now, not a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChangeRecord {
    /// Its topic.
    pub topic_id: TopicId,
    /// Its number.
    pub partition: PartitionIndex,
    /// Raised at every change.
    pub partition_epoch: i32,
    /// The leader, or `NodeId::NONE`.
    pub leader: NodeId,
    /// Raised at every start of leadership.
    pub leader_epoch: LeaderEpoch,
    /// The replicas in sync.
    pub isr: Vec<NodeId>,
    /// Replicas that may lead although they left the ISR (KIP-966).
    pub elr: Vec<NodeId>,
}

/// One record of `__cluster_metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataRecord {
    /// The cluster was formed.
    Cluster {
        /// Its identity for ever.
        cluster_id: ClusterId,
    },
    /// A feature of the cluster stands at a level.
    Feature {
        /// Its name.
        name: String,
        /// Its level.
        level: i16,
    },
    /// A broker registered.
    Broker(BrokerRecord),
    /// A topic was created; its first partitions follow in the same batch.
    Topic {
        /// Its identity.
        topic_id: TopicId,
        /// Its name.
        name: TopicName,
        /// How many replicas it should have; more than it has where nodes were lacking.
        wanted_replication_factor: i16,
    },
    /// A partition was created.
    Partition(PartitionRecord),
    /// A partition changed.
    PartitionChange(PartitionChangeRecord),
    /// A topic was deleted, with its partitions and settings.
    TopicRemoved {
        /// Its identity.
        topic_id: TopicId,
    },
    /// A setting was given a value, or lost it.
    Config {
        /// What it belongs to.
        resource: ConfigResource,
        /// Its name.
        key: String,
        /// Its value in its stored form; `None` removes it.
        value: Option<String>,
    },
    /// Producer ids below `next` have been handed out.
    ProducerIds {
        /// To which broker the last block went.
        node_id: NodeId,
        /// Its registration.
        broker_epoch: i64,
        /// The first id that nobody has.
        next: ProducerId,
    },
}
