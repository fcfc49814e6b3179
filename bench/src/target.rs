//! The topic a load goes to: made when missing, ready when this is done.

use crate::control::{Control, address_of, unknown_broker};
use crate::error::BenchError;
use crate::options::Common;
use engine_model::{ErrorCode, NodeId, Offset, PartitionIndex, Timestamp, TopicId};
use net_client::{Cluster, NewTopic, TopicResult, create_topics, describe_topics};
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long to wait before metadata is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Stands for the end of a partition in ListOffsets.
const LATEST: Timestamp = Timestamp(-1);
/// Stands for its beginning.
const EARLIEST: Timestamp = Timestamp(-2);

/// A partition of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetPartition {
    /// Its number.
    pub index: PartitionIndex,
    /// Its leader.
    pub leader: NodeId,
    /// Its first offset when the run began.
    pub start: Offset,
    /// The offset after its last record when the run began.
    pub end: Offset,
}

/// The topic a load goes to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its id; zero where the broker is too old to say.
    pub id: TopicId,
    /// Whether this run made it.
    pub is_new: bool,
    /// The partitions of the load, in order.
    pub partitions: Vec<TargetPartition>,
    /// Where the leaders are.
    pub brokers: BTreeMap<NodeId, String>,
}

impl Target {
    /// Finds the topic or makes it, and waits until every partition of the load has a leader that
    /// answers.
    pub fn prepare(common: &Common, may_create: bool) -> Result<Self, BenchError> {
        let deadline = Instant::now() + common.timeout;
        let mut control = Control::connect(&common.bootstrap, &common.client_id, common.timeout)?;
        let mut cluster = ask(&mut control, common)?;
        let mut is_new = false;
        let code = |cluster: &Cluster| {
            let topic = cluster.topics.get(&common.topic);
            topic.map_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |topic| topic.error)
        };
        if code(&cluster) == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION && may_create {
            is_new = create(&mut control, &cluster, common)?;
        }
        loop {
            let topic = cluster.topics.get(&common.topic);
            let is_ready = topic.is_some_and(|topic| {
                !topic.error.is_error() && topic.partitions.iter().all(|p| p.leader != NodeId::NONE)
            });
            if is_ready {
                break;
            }
            if Instant::now() >= deadline || (code(&cluster).is_error() && !may_create) {
                return Err(BenchError::Topic {
                    topic: common.topic.clone(),
                    code: code(&cluster),
                    message: None,
                });
            }
            std::thread::sleep(ASK_AGAIN);
            cluster = ask(&mut control, common)?;
        }
        let mut target = Self::of(&cluster, common, is_new)?;
        target.find_offsets(common, deadline)?;
        Ok(target)
    }

    fn of(cluster: &Cluster, common: &Common, is_new: bool) -> Result<Self, BenchError> {
        let topic = cluster.topics.get(&common.topic);
        let found = topic.map_or(0, |topic| topic.partitions.len());
        let wanted = common
            .partitions
            .map_or(Ok(found), usize::try_from)
            .unwrap_or(0);
        if found < wanted || wanted == 0 {
            return Err(BenchError::Partitions {
                topic: common.topic.clone(),
                found,
                wanted: common.partitions.unwrap_or(1),
            });
        }
        let partitions: Vec<_> = topic
            .iter()
            .flat_map(|topic| &topic.partitions)
            .take(wanted)
            .map(|partition| TargetPartition {
                index: partition.index,
                leader: partition.leader,
                start: Offset::ZERO,
                end: Offset::ZERO,
            })
            .collect();
        let mut brokers = BTreeMap::new();
        for partition in &partitions {
            let leader = partition.leader;
            let broker = cluster.brokers.get(&leader);
            let broker = broker.ok_or_else(|| unknown_broker(leader))?;
            brokers.insert(leader, address_of(&broker.host, broker.port));
        }
        Ok(Self {
            id: topic.map_or(TopicId::ZERO, |topic| topic.id),
            is_new,
            partitions,
            brokers,
        })
    }

    /// Asks every leader where its partitions begin and end.
    fn find_offsets(&mut self, common: &Common, deadline: Instant) -> Result<(), BenchError> {
        let brokers = self.brokers.clone();
        for (leader, address) in brokers {
            let address = [address];
            let mut control = Control::connect(&address, &common.client_id, common.timeout)?;
            for place in [EARLIEST, LATEST] {
                while let Some((partition, code)) =
                    self.ask_offsets(&mut control, common, leader, place)?
                {
                    // A leader that was named a moment ago may not know it yet.
                    if Instant::now() >= deadline {
                        return Err(BenchError::Refused {
                            api: net_protocol::ApiKey::ListOffsets,
                            partition,
                            code,
                        });
                    }
                    std::thread::sleep(ASK_AGAIN);
                }
            }
        }
        Ok(())
    }

    /// The first refusal, if there is one.
    fn ask_offsets(
        &mut self,
        control: &mut Control,
        common: &Common,
        leader: NodeId,
        place: Timestamp,
    ) -> Result<Option<(PartitionIndex, ErrorCode)>, BenchError> {
        let asked = self.partitions.iter().filter(|p| p.leader == leader);
        let request = ListOffsetsRequest {
            replica_id: NodeId::NONE,
            topics: vec![ListOffsetsTopic {
                name: common.topic.clone(),
                partitions: asked
                    .map(|partition| ListOffsetsPartition {
                        partition_index: partition.index,
                        timestamp: place,
                        ..ListOffsetsPartition::default()
                    })
                    .collect(),
            }],
            ..ListOffsetsRequest::default()
        };
        let response = control.call(request)?;
        for answer in response.topics.into_iter().flat_map(|t| t.partitions) {
            if answer.error_code.is_error() {
                return Ok(Some((answer.partition_index, answer.error_code)));
            }
            for partition in &mut self.partitions {
                if partition.index != answer.partition_index {
                } else if place == EARLIEST {
                    partition.start = answer.offset;
                } else {
                    partition.end = answer.offset;
                }
            }
        }
        Ok(None)
    }
}

fn ask(control: &mut Control, common: &Common) -> Result<Cluster, BenchError> {
    let mut cluster = Cluster::default();
    cluster.update(control.call(describe_topics([&common.topic]))?);
    Ok(cluster)
}

/// Whether the topic was not there before.
fn create(control: &mut Control, cluster: &Cluster, common: &Common) -> Result<bool, BenchError> {
    let topic = NewTopic {
        name: common.topic.clone(),
        partitions: Some(common.partitions.unwrap_or(1)),
        replication_factor: common.replication_factor,
        configs: common.configs.clone(),
    };
    let request = create_topics(vec![topic], common.timeout, false);
    let controller = cluster
        .controller
        .and_then(|node| cluster.brokers.get(&node));
    let response = match controller {
        Some(broker) => {
            let address = [address_of(&broker.host, broker.port)];
            Control::connect(&address, &common.client_id, common.timeout)?.call(request)?
        }
        None => control.call(request)?,
    };
    for result in TopicResult::of_creation(response) {
        match result.error {
            ErrorCode::TOPIC_ALREADY_EXISTS => return Ok(false),
            code if code.is_error() => {
                return Err(BenchError::Topic {
                    topic: result.name,
                    code,
                    message: result.message,
                });
            }
            _ => {}
        }
    }
    Ok(true)
}
