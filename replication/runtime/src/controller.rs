//! The controller of the node's metadata: the machine over the log of `__cluster_metadata`.
//!
//! Keeps:
//! - one change at a time, in the order it was asked for: plan, create logs, append, replay, wait for
//!   the high watermark, publish, answer;
//! - an answer leaves when what it tells of is committed and every shard has applied it;
//! - logs of new partitions are durable before the records that name them, so metadata never names
//!   a log that was not there; logs that no record came to name are deleted, now or at load;
//! - when records were replayed and not committed the machine is dropped and built anew from the
//!   log: there is no rollback.
//!
//! Does not: link shards (the caller's [`ShardLink`] does), or outlive a fence of its directory: the
//! node stops it and starts another one.

mod commit;
mod load;
mod verbs;

use crate::error::ControllerError;
use crate::partition_replica::PartitionReplica;
use crate::request::{ControllerRequest, ControllerResponse, ShardAnswer, ShardLink, ShardRequest};
use core::cell::{Cell, RefCell};
use engine_config::{BrokerConfig, Endpoint};
use engine_log::{Store, home_shard};
use engine_model::{DirectoryId, NodeId, ShardId, TopicPartition};
use engine_rt::sync::{Semaphore, oneshot};
use engine_rt::task::TaskSet;
use engine_shard::join_all;
use replication_metadata::{Controller, MetadataDelta, MetadataImage};
use std::rc::Rc;
use std::sync::Arc;

/// What a controller needs beside its store.
pub struct ControllerParts {
    /// How many shards the node has.
    pub shards: usize,
    /// The settings of the node.
    pub config: Arc<BrokerConfig>,
    /// The data directory.
    pub directory: DirectoryId,
    /// Whether its last run ended cleanly.
    pub was_clean: bool,
    /// The addresses that clients are told; none where each is told the one it came to.
    pub endpoints: Vec<Endpoint>,
    /// How every shard is reached. Their `ReplicaManager`s must answer before the start.
    pub link: ShardLink,
}

/// The shard that the controller runs on: the home of its log.
pub fn controller_shard(shards: usize) -> ShardId {
    home_shard(TopicPartition::CLUSTER_METADATA, shards)
}

/// See the module.
pub struct ControllerDriver {
    replica: Rc<PartitionReplica>,
    /// `None` from a failed commit until the machine is built anew.
    machine: RefCell<Option<Controller>>,
    /// What commits changed that the shards have not been told.
    unpublished: RefCell<MetadataDelta>,
    config: Arc<BrokerConfig>,
    node_id: NodeId,
    broker_epoch: Cell<i64>,
    shards: usize,
    link: ShardLink,
    /// One change at a time, first come first served.
    turn: Semaphore,
    tasks: TaskSet,
    is_stopping: Cell<bool>,
}

impl ControllerDriver {
    /// Loads the metadata, registers this node for a new run, starts its leaderships in new epochs,
    /// and has every shard apply the result. A directory without metadata becomes a new cluster.
    ///
    /// Runs on [`controller_shard`]. Errors: the node must not serve.
    /// Cancel: not safe; once polled it must be driven to its end.
    pub async fn start(store: &Store, parts: ControllerParts) -> Result<Rc<Self>, ControllerError> {
        let replica = load::open_log(store, &parts).await?;
        let driver = Rc::new(Self {
            machine: RefCell::new(None),
            unpublished: RefCell::default(),
            replica,
            node_id: parts.config.node_id,
            config: parts.config.clone(),
            broker_epoch: Cell::new(-1),
            shards: parts.shards,
            link: parts.link.clone(),
            turn: Semaphore::new(1),
            tasks: TaskSet::new(),
            is_stopping: Cell::new(false),
        });
        driver.take_office(parts).await?;
        Ok(driver)
    }

    /// Answers a request of any shard. Requests are taken one at a time, in the order of the first
    /// polls.
    ///
    /// Cancel: safe; what has begun is driven to its end without anybody waiting for it.
    pub async fn handle(self: Rc<Self>, request: ControllerRequest) -> ControllerResponse {
        let stopped = request.refused(ControllerError::Stopped);
        if self.is_stopping.get() {
            return stopped;
        }
        let (sender, receiver) = oneshot();
        let turn = self.turn.acquire(1);
        let driver = self.clone();
        self.tasks.spawn(async move {
            let _turn = turn.await;
            let response = driver.serve(request).await;
            // Whoever asked may have gone.
            let _ = sender.send(response);
        });
        receiver.await.unwrap_or(stopped)
    }

    /// The metadata as of the last record replayed.
    pub fn image(&self) -> Option<MetadataImage> {
        self.machine
            .borrow()
            .as_ref()
            .map(|machine| machine.image().clone())
    }

    /// Takes no more requests and waits until those taken are done.
    pub async fn stop(&self) {
        self.is_stopping.set(true);
        for panicked in self.tasks.join_all().await {
            tracing::error!(error = ?panicked, "a change of metadata ended badly");
        }
        self.replica.stopped();
    }

    /// Has every shard apply the metadata as it stands, all of it.
    async fn publish_all(&self) -> Result<(), ControllerError> {
        self.unpublished.take();
        self.publish(None).await
    }

    /// Has every shard apply what commits have changed, if anything.
    async fn publish_changes(&self) -> Result<(), ControllerError> {
        // A commit that failed half-way leaves no machine; `recover` tells the shards everything.
        if self.machine.borrow().is_none() {
            return Ok(());
        }
        let delta = self.unpublished.take();
        if delta.is_empty() {
            Ok(())
        } else {
            self.publish(Some(delta)).await
        }
    }

    /// Everything the machine has replayed is committed: every commit waits for that.
    async fn publish(&self, delta: Option<MetadataDelta>) -> Result<(), ControllerError> {
        let image = self.image().ok_or(ControllerError::Stopped)?;
        let (image, delta) = (Arc::new(image), delta.map(Arc::new));
        let request = || ShardRequest::Apply {
            image: image.clone(),
            delta: delta.clone(),
        };
        self.ask_all(|_| Some(request())).await.map(|_| ())
    }

    /// Asks shards at the same time and waits for all of them.
    async fn ask_all(
        &self,
        request: impl Fn(ShardId) -> Option<ShardRequest>,
    ) -> Result<Vec<ShardAnswer>, ControllerError> {
        let shards = (0..u16::try_from(self.shards).unwrap_or(u16::MAX)).map(ShardId);
        let asked = shards.filter_map(|shard| request(shard).map(|it| (self.link)(shard, it)));
        let answers = join_all(asked.collect()).await;
        let mut given = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Ok(ShardAnswer::Failed(error)) => return Err(ControllerError::Storage(error)),
                Ok(answer) => given.push(answer),
                Err(unreachable) => {
                    tracing::warn!(shard = %unreachable.shard, "a shard does not answer");
                    return Err(ControllerError::Stopped);
                }
            }
        }
        Ok(given)
    }
}

impl core::fmt::Debug for ControllerDriver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ControllerDriver")
            .field("node_id", &self.node_id)
            .field("broker_epoch", &self.broker_epoch)
            .finish_non_exhaustive()
    }
}

impl ControllerRequest {
    /// The answer of the same name that says why not.
    fn refused(&self, error: ControllerError) -> ControllerResponse {
        match self {
            Self::CreateTopics(_) => ControllerResponse::CreateTopics(Err(error)),
            Self::CreatePartitions(_) => ControllerResponse::CreatePartitions(Err(error)),
            Self::DeleteTopics(_) => ControllerResponse::DeleteTopics(Err(error)),
            Self::AlterConfigs(_) => ControllerResponse::AlterConfigs(Err(error)),
            Self::AllocateProducerIds => ControllerResponse::AllocateProducerIds(Err(error)),
        }
    }
}
