//! The replicas of one shard, and the metadata they follow.
//!
//! Keeps:
//! - a replica is here when the image names it for this node and its home is this shard;
//! - the image is set after the replicas have followed it, and never goes back;
//! - between `suspend` and the first image after `resume` every replica is offline, known or not;
//! - a log that metadata names and the directory lacks is offline, never created anew; a log that
//!   metadata does not name is deleted at load.
//!
//! Does not: reach other shards, or speak the protocol.

mod apply;
mod delete_records;
mod read;

pub use read::{FetchAnswer, FetchOptions, FoundOffset, Horizon, OffsetTarget};

use crate::error::ReplicaError;
use crate::partition_replica::{AppendAnswer, OnChange, PartitionReplica};
use bytes::Bytes;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use engine_config::BrokerConfig;
use engine_log::{Origin, Store, home_shard};
use engine_model::{HashMap, NodeId, ShardId, TopicPartition};
use replication_metadata::MetadataImage;
use replication_partition::{Acks, OfflineCause, Refusal};
use std::rc::Rc;
use std::sync::Arc;

/// What a manager needs beside its store.
pub struct ReplicaParts {
    /// The shard it serves.
    pub shard: ShardId,
    /// How many shards the node has.
    pub shards: usize,
    /// The settings of the node.
    pub config: Arc<BrokerConfig>,
}

/// See the module.
pub struct ReplicaManager {
    store: RefCell<Store>,
    /// The store has stopped or was just replaced: what lives here is not known yet.
    is_suspended: Cell<bool>,
    shard: ShardId,
    shards: usize,
    node_id: NodeId,
    /// The settings the node was started with.
    base: Arc<BrokerConfig>,
    /// The settings in force here; a copy of this shard's own.
    config: RefCell<Rc<BrokerConfig>>,
    image: RefCell<Arc<MetadataImage>>,
    replicas: RefCell<HashMap<TopicPartition, Rc<PartitionReplica>>>,
    on_change: RefCell<Option<Rc<OnChange>>>,
}

impl ReplicaManager {
    /// The manager of a shard, with nothing in it until the controller sends the first image.
    pub fn new(store: Store, parts: ReplicaParts) -> Rc<Self> {
        Rc::new(Self {
            store: RefCell::new(store),
            is_suspended: Cell::new(false),
            shard: parts.shard,
            shards: parts.shards,
            node_id: parts.config.node_id,
            config: RefCell::new(Rc::new((*parts.config).clone())),
            base: parts.config,
            image: RefCell::default(),
            replicas: RefCell::default(),
            on_change: RefCell::default(),
        })
    }

    /// Sets who is told when what readers of a partition wait for may be there: its high watermark
    /// or start moved, its leader changed, it went offline or was deleted.
    pub fn set_on_change(&self, on_change: Rc<dyn Fn(TopicPartition)>) {
        *self.on_change.borrow_mut() = Some(on_change);
    }

    /// The metadata this shard follows.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.image.borrow().clone()
    }

    /// The settings in force: what the node was started with, under what clients changed since.
    pub fn config(&self) -> Rc<BrokerConfig> {
        self.config.borrow().clone()
    }

    /// The shard a partition lives on.
    pub fn owner(&self, partition: TopicPartition) -> ShardId {
        home_shard(partition, self.shards)
    }

    /// The store of this shard.
    pub fn store(&self) -> Store {
        self.store.borrow().clone()
    }

    /// The replica of a partition that lives here.
    pub fn replica(&self, partition: TopicPartition) -> Result<Rc<PartitionReplica>, ReplicaError> {
        let found = self.replicas.borrow().get(&partition).cloned();
        found.ok_or_else(|| {
            if self.is_suspended.get() {
                Refusal::Offline(OfflineCause::Failed).into()
            } else {
                ReplicaError::NotHere(partition)
            }
        })
    }

    /// How many replicas live here.
    pub fn replica_count(&self) -> usize {
        self.replicas.borrow().len()
    }

    /// Appends a client's records; see [`PartitionReplica::append`].
    pub async fn append(
        &self,
        partition: TopicPartition,
        records: Bytes,
        acks: Option<Acks>,
        timeout: Duration,
    ) -> Result<AppendAnswer, ReplicaError> {
        let replica = self.replica(partition)?;
        replica
            .append(records, acks, Origin::Client, Some(timeout))
            .await
    }

    /// Takes every replica offline, because the store is about to be stopped and replaced: whoever
    /// waits is told. No image may come until [`ReplicaManager::resume`].
    pub fn suspend(&self) {
        self.is_suspended.set(true);
        self.stop();
    }

    /// Goes on with another store. Replicas are opened anew, each in the leader epoch that the next
    /// image, a whole one, gives it.
    pub fn resume(&self, store: Store) {
        *self.store.borrow_mut() = store;
        self.replicas.borrow_mut().clear();
    }

    /// Tells whoever waits on this shard that it stops serving. The store is the caller's to stop.
    pub fn stop(&self) {
        let replicas: Vec<_> = self.replicas.borrow().values().cloned().collect();
        for replica in replicas {
            replica.stopped();
        }
    }
}

impl core::fmt::Debug for ReplicaManager {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReplicaManager")
            .field("shard", &self.shard)
            .field("replicas", &self.replica_count())
            .finish_non_exhaustive()
    }
}
