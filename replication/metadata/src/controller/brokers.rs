//! Forming the cluster, registering a broker, and starting its leadership.

use super::{Controller, FEATURE_METADATA, FEATURE_METADATA_LEVEL, Outcome};
use crate::error::{BrokerError, FormClusterError};
use crate::image::{PartitionImage, TopicImage};
use crate::record::{BrokerRecord, MetadataRecord, PartitionChangeRecord};
use engine_config::Endpoint;
use engine_model::{ClusterId, DirectoryId, LeaderEpoch, NodeId, PartitionIndex};

/// A broker that comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// The broker.
    pub node_id: NodeId,
    /// Drawn at random at its start.
    pub incarnation: [u8; 16],
    /// Its data directory.
    pub directory: DirectoryId,
    /// Whether its last run ended cleanly.
    pub was_clean: bool,
    /// The addresses that clients are told.
    pub endpoints: Vec<Endpoint>,
    /// Its rack.
    pub rack: Option<String>,
}

impl Controller {
    /// Forms the cluster: the first record of its first log.
    pub fn form_cluster(&self, cluster_id: ClusterId) -> Result<Outcome<()>, FormClusterError> {
        if self.image.cluster_id().is_some() {
            return Err(FormClusterError::AlreadyFormed);
        }
        let level = FEATURE_METADATA_LEVEL;
        let feature = MetadataRecord::Feature {
            name: FEATURE_METADATA.to_owned(),
            level,
        };
        Ok(Outcome::atomic(
            vec![MetadataRecord::Cluster { cluster_id }, feature],
            (),
        ))
    }

    /// Registers a broker and answers its epoch, which is higher than any given before.
    ///
    /// A registration repeated by the same incarnation answers the epoch it has.
    pub fn register_broker(
        &self,
        registration: BrokerRegistration,
    ) -> Result<Outcome<i64>, BrokerError> {
        if self.image.cluster_id().is_none() {
            return Err(BrokerError::NoCluster);
        }
        let standing = self.image.broker(registration.node_id);
        if let Some(standing) = standing
            && standing.incarnation == registration.incarnation
        {
            return Ok(Outcome::atomic(Vec::new(), standing.epoch));
        }
        // The offset of the record to come: no other registration has had it.
        let epoch = self.image.next_offset().get();
        let record = MetadataRecord::Broker(BrokerRecord {
            node_id: registration.node_id,
            epoch,
            incarnation: registration.incarnation,
            directory: registration.directory,
            was_clean: registration.was_clean,
            endpoints: registration.endpoints,
            rack: registration.rack,
        });
        Ok(Outcome::atomic(vec![record], epoch))
    }

    /// Starts leadership anew, with a higher leader epoch, of every partition that `node_id` leads
    /// or that has no leader and may be led by it. Answers how many those are.
    ///
    /// Each partition stands for itself, so the records need not be one batch: after a crash in
    /// between, the next start raises all of them again.
    pub fn start_leadership(
        &self,
        node_id: NodeId,
        broker_epoch: i64,
    ) -> Result<Outcome<usize>, BrokerError> {
        self.check_broker(node_id, broker_epoch)?;
        let mut records = Vec::new();
        for topic in self.image.topics() {
            for (partition, standing) in topic.numbered_partitions() {
                if may_lead(node_id, standing) {
                    records.push(lead(node_id, topic, partition, standing)?);
                }
            }
        }
        let response = records.len();
        Ok(Outcome {
            records,
            is_atomic: false,
            response,
        })
    }

    pub(super) fn check_broker(&self, node_id: NodeId, found: i64) -> Result<(), BrokerError> {
        match self.image.broker(node_id) {
            None => Err(BrokerError::NotRegistered { node_id }),
            Some(broker) if broker.epoch != found => Err(BrokerError::StaleEpoch {
                node_id,
                expected: broker.epoch,
                found,
            }),
            Some(_) => Ok(()),
        }
    }
}

fn may_lead(node_id: NodeId, partition: &PartitionImage) -> bool {
    let is_eligible = partition.isr.contains(&node_id) || partition.elr.contains(&node_id);
    is_eligible && (partition.leader == node_id || partition.leader == NodeId::NONE)
}

fn lead(
    node_id: NodeId,
    topic: &TopicImage,
    partition: PartitionIndex,
    standing: &PartitionImage,
) -> Result<MetadataRecord, BrokerError> {
    let leader_epoch = next_epoch(standing.leader_epoch)?;
    let partition_epoch = standing
        .partition_epoch
        .checked_add(1)
        .ok_or(BrokerError::NoEpochsLeft)?;
    // One that led from the ELR is in sync with itself again.
    let mut isr = standing.isr.clone();
    if !isr.contains(&node_id) {
        isr.push(node_id);
    }
    let elr = standing
        .elr
        .iter()
        .copied()
        .filter(|node| *node != node_id)
        .collect();
    Ok(MetadataRecord::PartitionChange(PartitionChangeRecord {
        topic_id: topic.id,
        partition,
        partition_epoch,
        leader: node_id,
        leader_epoch,
        isr,
        elr,
    }))
}

fn next_epoch(epoch: LeaderEpoch) -> Result<LeaderEpoch, BrokerError> {
    epoch.checked_add(1).ok_or(BrokerError::NoEpochsLeft)
}
