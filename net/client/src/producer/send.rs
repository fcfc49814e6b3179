//! What a producer wants next: a picture of the cluster, a producer id, batches sent.

use super::{Acks, Batch, Delivery, Producer};
use crate::call::Operation;
use crate::error::ClientError;
use crate::step::{Exchange, Step, Target};
use engine_model::{Moment, NodeId, PartitionIndex};
use net_protocol::Records;
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::metadata::{MetadataRequest, MetadataRequestTopic};
use net_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

/// The most bytes of batches in one request.
const REQUEST_BATCH_BYTES_MAX: usize = 8 << 20;

impl Producer {
    /// What to do next. Call again after each answer, and after `Wait`.
    pub fn poll(&mut self, now: Moment) -> Step {
        self.expire(now);
        if self.fatal.is_some() {
            return Step::Idle;
        }
        if self.asking.is_none() {
            if now < self.ask_not_before {
                if self.is_cluster_stale || self.needs_identity() {
                    return Step::Wait(self.ask_not_before);
                }
            } else if self.is_cluster_stale {
                return self.ask(now, self.metadata_request());
            } else if self.needs_identity() {
                return self.ask(
                    now,
                    InitProducerIdRequest {
                        transactional_id: None,
                        transaction_timeout_ms: i32::MAX,
                        ..InitProducerIdRequest::default()
                    },
                );
            }
        }
        match self.next_produce(now) {
            Some(step) => step,
            None => self.next_moment().map_or(Step::Idle, Step::Wait),
        }
    }

    fn needs_identity(&self) -> bool {
        self.options.is_idempotent && self.identity.is_none()
    }

    /// Asks for the topic, which may create it, as other producers do.
    fn metadata_request(&self) -> MetadataRequest {
        MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(self.topic.clone()),
                ..MetadataRequestTopic::default()
            }]),
            allow_auto_topic_creation: true,
            ..MetadataRequest::default()
        }
    }

    fn ask(&mut self, now: Moment, request: impl Operation) -> Step {
        let token = self.token();
        self.asking = Some(token);
        self.ask_deadline
            .get_or_insert(now.saturating_add(self.options.delivery_timeout));
        Step::Send(Box::new(Exchange {
            token,
            target: Target::Any,
            call: request.into_call(),
            timeout: self.options.request_timeout,
        }))
    }

    /// A request to one leader with a batch of each of its partitions that is free.
    fn next_produce(&mut self, now: Moment) -> Option<Step> {
        let mut leader: Option<NodeId> = None;
        let mut chosen: Vec<PartitionIndex> = Vec::new();
        let mut bytes = 0_usize;
        for (partition, queue) in &self.partitions {
            let Some(batch) = queue.queued.front() else {
                continue;
            };
            if queue.in_flight.is_some() || now < batch.not_before {
                continue;
            }
            let Some((node, _)) = self.cluster.leader(&self.topic, *partition) else {
                // Nobody leads it: its batch waits for the next picture of the cluster.
                self.is_cluster_stale = true;
                continue;
            };
            let total = bytes.saturating_add(batch.bytes.len());
            let fits = chosen.is_empty() || total <= REQUEST_BATCH_BYTES_MAX;
            if *leader.get_or_insert(node) == node && fits {
                chosen.push(*partition);
                bytes = total;
            }
        }
        let leader = leader?;
        let token = self.token();
        let mut partition_data = Vec::new();
        for partition in chosen {
            let Some(queue) = self.partitions.get_mut(&partition) else {
                continue;
            };
            let Some(batch) = queue.queued.pop_front() else {
                continue;
            };
            partition_data.push(PartitionProduceData {
                index: partition,
                records: Some(Records::from(batch.bytes.clone())),
            });
            queue.in_flight = Some((token, batch));
        }
        let topic_id = self.cluster.topics.get(&self.topic).map(|topic| topic.id);
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.options.acks.code(),
            timeout_ms: i32::try_from(self.options.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: vec![TopicProduceData {
                name: self.topic.clone(),
                topic_id: topic_id.unwrap_or_default(),
                partition_data,
            }],
        };
        if self.options.acks == Acks::None {
            // There will be no answer: what has been handed over counts as delivered.
            self.deliver_all(token);
        }
        Some(Step::Send(Box::new(Exchange {
            token,
            target: Target::Node(leader),
            call: request.into_call(),
            timeout: self.options.request_timeout,
        })))
    }

    fn deliver_all(&mut self, token: u64) {
        let partitions: Vec<PartitionIndex> = self.in_flight(token);
        for partition in partitions {
            if let Some(batch) = self.take_in_flight(partition, token) {
                self.deliver(partition, &batch, Ok(None));
            }
        }
    }

    /// The partitions with a batch in request `token`.
    pub(super) fn in_flight(&self, token: u64) -> Vec<PartitionIndex> {
        self.partitions
            .iter()
            .filter(|(_, queue)| matches!(queue.in_flight, Some((t, _)) if t == token))
            .map(|(partition, _)| *partition)
            .collect()
    }

    pub(super) fn take_in_flight(
        &mut self,
        partition: PartitionIndex,
        token: u64,
    ) -> Option<Batch> {
        let queue = self.partitions.get_mut(&partition)?;
        queue
            .in_flight
            .take_if(|(found, _)| *found == token)
            .map(|(_, batch)| batch)
    }

    pub(super) fn deliver(
        &mut self,
        partition: PartitionIndex,
        batch: &Batch,
        result: Result<Option<engine_model::Offset>, ClientError>,
    ) {
        self.buffered_bytes = self.buffered_bytes.saturating_sub(batch.charged_bytes);
        self.deliveries.push(Delivery {
            partition,
            record_count: batch.record_count,
            result,
        });
    }

    /// Fails what has waited too long.
    fn expire(&mut self, now: Moment) {
        if self.ask_deadline.is_some_and(|deadline| now >= deadline) && self.fatal.is_none() {
            let last = self.ask_error.take().map(Box::new);
            self.fail_everything(&ClientError::TimedOut { last });
        }
        let late: Vec<PartitionIndex> = self
            .partitions
            .iter()
            .filter(|(_, queue)| {
                queue
                    .queued
                    .front()
                    .is_some_and(|batch| now >= batch.deadline)
            })
            .map(|(partition, _)| *partition)
            .collect();
        for partition in late {
            let batch = self
                .partitions
                .get_mut(&partition)
                .and_then(|queue| queue.queued.pop_front());
            if let Some(batch) = batch {
                let last = batch.last_error.clone().map(Box::new);
                self.fail(partition, &batch, &ClientError::TimedOut { last });
            }
        }
    }

    /// When something becomes due by itself.
    fn next_moment(&self) -> Option<Moment> {
        let batches = self.partitions.values().filter_map(|queue| {
            let batch = queue.queued.front()?;
            // One in flight, or no leader: the answer comes first, or the deadline.
            let is_waiting = queue.in_flight.is_none() && self.asking.is_none();
            Some(if is_waiting {
                batch.not_before
            } else {
                batch.deadline
            })
        });
        batches.min()
    }
}
