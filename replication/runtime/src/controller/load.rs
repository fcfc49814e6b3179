//! Coming up: the log of `__cluster_metadata`, its replay, and taking office.

use super::{ControllerDriver, ControllerParts};
use crate::error::ControllerError;
use crate::log_config::metadata_log_config;
use crate::partition_replica::PartitionReplica;
use crate::request::{ShardAnswer, ShardRequest};
use engine_codec::batches;
use engine_log::{LogState, PartitionLog, ReadOptions, Store};
use engine_model::{ClusterId, LeaderEpoch, Offset, TopicPartition};
use replication_metadata::{
    BrokerRegistration, Controller, MetadataDelta, MetadataImage, PartitionImage, decode_batch,
};
use std::rc::Rc;

/// Bytes of metadata read at a time.
const READ_BYTES: usize = 1 << 20;

/// The replica of `__cluster_metadata`, made in a directory that holds nothing yet.
pub(super) async fn open_log(
    store: &Store,
    parts: &ControllerParts,
) -> Result<Rc<PartitionReplica>, ControllerError> {
    let partition = TopicPartition::CLUSTER_METADATA;
    let log = if let Some(log) = store.find(partition) {
        // An empty answer from a damaged log must not be taken for an empty log.
        if let LogState::Offline(reason) = log.state() {
            return Err(ControllerError::Unreadable(reason.to_string()));
        }
        log.set_config(metadata_log_config()).await?;
        log
    } else {
        refuse_logs_without_metadata(parts).await?;
        store.create(partition, metadata_log_config()).await?
    };
    let nobody_reads = Rc::new(|_| {});
    Ok(PartitionReplica::new(
        parts.config.node_id,
        partition,
        Some(log),
        nobody_reads,
    ))
}

/// Logs that metadata does not name are deleted at load: metadata that is missing must not name
/// nothing.
async fn refuse_logs_without_metadata(parts: &ControllerParts) -> Result<(), ControllerError> {
    let mut logs = 0_usize;
    for shard in 0..u16::try_from(parts.shards).unwrap_or(u16::MAX) {
        let shard = engine_model::ShardId(shard);
        match (parts.link)(shard, ShardRequest::CountLogs).await {
            Ok(ShardAnswer::Count(count)) => logs = logs.saturating_add(count),
            Ok(ShardAnswer::Failed(error)) => return Err(ControllerError::Storage(error)),
            Ok(ShardAnswer::Done) | Err(_) => return Err(ControllerError::Stopped),
        }
    }
    if logs > 0 {
        Err(ControllerError::MetadataLost { logs })
    } else {
        Ok(())
    }
}

impl ControllerDriver {
    /// Leads the metadata in a new epoch, replays it, and brings this node up in it.
    pub(super) async fn take_office(&self, parts: ControllerParts) -> Result<(), ControllerError> {
        self.lead_anew().await?;
        let machine = self.replay_log().await?;
        let is_formed = machine.image().cluster_id().is_some();
        *self.machine.borrow_mut() = Some(machine);
        if !is_formed {
            refuse_logs_without_metadata(&parts).await?;
            let cluster_id = ClusterId::from_random_bytes(engine_rt::random_bytes());
            self.commit_one(|machine| machine.form_cluster(cluster_id))
                .await??;
            tracing::info!(%cluster_id, "cluster formed");
        }
        let registration = BrokerRegistration {
            node_id: self.node_id,
            incarnation: engine_rt::random_bytes(),
            directory: parts.directory,
            was_clean: parts.was_clean,
            endpoints: parts.endpoints,
            rack: self.config.rack.clone(),
        };
        let epoch = self
            .commit_one(|machine| machine.register_broker(registration))
            .await??;
        self.broker_epoch.set(epoch);
        let node_id = self.node_id;
        let led = self
            .commit_one(|machine| machine.start_leadership(node_id, epoch))
            .await??;
        self.publish_all().await?;
        let image = self.image().unwrap_or_default();
        tracing::info!(
            topics = image.topic_count(),
            partitions = led,
            broker_epoch = epoch,
            "metadata loaded, leadership begun"
        );
        Ok(())
    }

    async fn lead_anew(&self) -> Result<(), ControllerError> {
        let log = self.log()?;
        let leader_epoch = log
            .latest_leader_epoch()
            .checked_add(1)
            .ok_or(replication_metadata::BrokerError::NoEpochsLeft)?;
        let image = PartitionImage {
            leader: self.node_id,
            leader_epoch: leader_epoch.max(LeaderEpoch::ZERO),
            partition_epoch: 0,
            replicas: vec![self.node_id],
            directories: Vec::new(),
            isr: vec![self.node_id],
            elr: Vec::new(),
        };
        self.replica
            .follow_metadata(self.node_id, &image, 1)
            .await?;
        Ok(())
    }

    pub(super) fn log(&self) -> Result<&PartitionLog, ControllerError> {
        self.replica.log().map_err(|_| ControllerError::Stopped)
    }

    /// Builds the machine from the log.
    ///
    /// Everything in the log must be stable: what is not may yet vanish.
    pub(super) async fn replay_log(&self) -> Result<Controller, ControllerError> {
        let log = self.log()?;
        let end = log.log_end_offset();
        let mut machine = Controller::new(self.config.clone());
        let mut offset = log.log_start_offset();
        // A log that does not begin at 0 was cut from its front, and nothing holds what is gone.
        while offset < end {
            let options = ReadOptions {
                offset,
                end,
                bytes_max: READ_BYTES,
                at_least_one: true,
            };
            let read = log.read(options).await?;
            for chunk in &read.chunks {
                replay_chunk(&mut machine, chunk)?;
            }
            if read.next_offset <= offset {
                return Err(ControllerError::Unreadable(format!(
                    "nothing follows offset {offset}"
                )));
            }
            offset = read.next_offset;
            engine_rt::yield_if_due().await;
        }
        check_end(machine.image(), end)?;
        Ok(machine)
    }
}

fn replay_chunk(machine: &mut Controller, chunk: &bytes::Bytes) -> Result<(), ControllerError> {
    let mut unseen = MetadataDelta::default();
    for batch in batches(chunk) {
        let batch = batch.map_err(|error| ControllerError::Unreadable(error.to_string()))?;
        for (offset, record) in decode_batch(&batch)? {
            machine.replay(offset, &record, &mut unseen)?;
        }
    }
    Ok(())
}

fn check_end(image: &MetadataImage, end: Offset) -> Result<(), ControllerError> {
    if image.next_offset() == end {
        return Ok(());
    }
    Err(ControllerError::Unreadable(format!(
        "offset {end} ends it, {} is next",
        image.next_offset()
    )))
}
