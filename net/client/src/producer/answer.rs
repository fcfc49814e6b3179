//! What a producer makes of answers, and of answers that never came.

use super::{Batch, Producer};
use crate::call::Answer;
use crate::error::ClientError;
use crate::retry::{Disposition, disposition};
use engine_model::{ErrorCode, Moment, Offset, PartitionIndex};
use net_protocol::init_producer_id::InitProducerIdResponse;
use net_protocol::metadata::MetadataResponse;
use net_protocol::produce::{PartitionProduceResponse, ProduceResponse};
use net_protocol::{ApiKey, Text};

impl Producer {
    /// Takes the answer to request `token`, or why there will be none.
    pub fn on_answer(&mut self, now: Moment, token: u64, answer: Result<Answer, ClientError>) {
        if self.asking == Some(token) {
            self.asking = None;
            let result = match answer {
                Ok(Answer::Metadata(response)) => self.on_metadata(response),
                Ok(Answer::InitProducerId(response)) => self.on_identity(&response),
                Ok(other) => Err((
                    Disposition::Fail,
                    ClientError::Incomplete { api: other.key() },
                )),
                Err(error) => Err((Disposition::Retry, error)),
            };
            self.asked(now, result);
            return;
        }
        match answer {
            Ok(Answer::Produce(response)) => self.on_produce(now, token, &response),
            Ok(_) => self.on_lost(
                now,
                token,
                &ClientError::Incomplete {
                    api: ApiKey::Produce,
                },
            ),
            Err(error) => self.on_lost(now, token, &error),
        }
    }

    fn asked(&mut self, now: Moment, result: Result<(), (Disposition, ClientError)>) {
        match result {
            Ok(()) => {
                self.ask_backoff.reset();
                self.ask_deadline = None;
                self.ask_error = None;
            }
            Err((Disposition::Fail, error)) => self.fail_everything(&error),
            Err((_, error)) => {
                self.ask_not_before = now.saturating_add(self.ask_backoff.next_pause());
                self.ask_error = Some(error);
            }
        }
    }

    fn on_metadata(
        &mut self,
        response: MetadataResponse,
    ) -> Result<(), (Disposition, ClientError)> {
        self.cluster.update(response);
        let Some(topic) = self.cluster.topics.get(&self.topic) else {
            let api = ApiKey::Metadata;
            return Err((Disposition::Fail, ClientError::Incomplete { api }));
        };
        let code = topic.error;
        // A topic that is just being created has no leaders yet.
        let lacks_leader = topic
            .partitions
            .iter()
            .any(|p| p.leader == engine_model::NodeId::NONE);
        match disposition(code) {
            Disposition::Fine if !lacks_leader => {
                self.is_cluster_stale = false;
                Ok(())
            }
            Disposition::Fine => Err((
                Disposition::Retry,
                self.topic_error(ErrorCode::LEADER_NOT_AVAILABLE),
            )),
            other => Err((other, self.topic_error(code))),
        }
    }

    fn topic_error(&self, code: ErrorCode) -> ClientError {
        ClientError::Topic {
            topic: self.topic.clone(),
            code,
        }
    }

    fn on_identity(
        &mut self,
        response: &InitProducerIdResponse,
    ) -> Result<(), (Disposition, ClientError)> {
        let code = response.error_code;
        match disposition(code) {
            Disposition::Fine => {
                self.identity = Some((response.producer_id, response.producer_epoch));
                Ok(())
            }
            other => Err((
                other,
                ClientError::Broker {
                    api: ApiKey::InitProducerId,
                    code,
                },
            )),
        }
    }

    fn on_produce(&mut self, now: Moment, token: u64, response: &ProduceResponse) {
        let answers = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        for answer in answers {
            if let Some(batch) = self.take_in_flight(answer.index, token) {
                self.on_partition(now, batch, answer);
            }
        }
        // What the answer left out is as good as lost.
        self.on_lost(
            now,
            token,
            &ClientError::Incomplete {
                api: ApiKey::Produce,
            },
        );
    }

    fn on_partition(&mut self, now: Moment, batch: Batch, answer: &PartitionProduceResponse) {
        let partition = answer.index;
        let code = answer.error_code;
        let offset = Some(answer.base_offset).filter(|offset| *offset >= Offset::ZERO);
        let error = || ClientError::Partition {
            topic: Text::clone(&self.topic),
            partition,
            code,
        };
        match disposition(code) {
            Disposition::Fine => self.deliver(partition, &batch, Ok(offset)),
            // The broker has it, and too long ago to remember where.
            _ if code == ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                self.deliver(partition, &batch, Ok(offset));
            }
            Disposition::Retry => self.again(now, partition, batch, error()),
            Disposition::RefreshAndRetry => {
                self.is_cluster_stale = true;
                self.again(now, partition, batch, error());
            }
            Disposition::Fail => {
                let error = error();
                self.fail(partition, &batch, &error);
            }
        }
    }

    /// The request or its answer was lost: everything in it is tried again.
    fn on_lost(&mut self, now: Moment, token: u64, error: &ClientError) {
        for partition in self.in_flight(token) {
            if let Some(batch) = self.take_in_flight(partition, token) {
                self.is_cluster_stale = true;
                self.again(now, partition, batch, error.clone());
            }
        }
    }

    fn again(
        &mut self,
        now: Moment,
        partition: PartitionIndex,
        mut batch: Batch,
        error: ClientError,
    ) {
        batch.not_before = now.saturating_add(batch.backoff.next_pause());
        batch.last_error = Some(error);
        self.queue(partition).queued.push_front(batch);
    }

    /// Fails a batch. What an idempotent producer has sequenced behind it could not be appended any
    /// more, so it all fails.
    pub(super) fn fail(&mut self, partition: PartitionIndex, batch: &Batch, error: &ClientError) {
        self.deliver(partition, batch, Err(error.clone()));
        if self.options.is_idempotent {
            self.fail_everything(error);
        }
    }

    pub(super) fn fail_everything(&mut self, error: &ClientError) {
        self.fatal.get_or_insert_with(|| error.clone());
        for (partition, queue) in core::mem::take(&mut self.partitions) {
            let in_flight = queue.in_flight.map(|(_, batch)| batch);
            for batch in in_flight.into_iter().chain(queue.queued) {
                self.deliver(partition, &batch, Err(error.clone()));
            }
            if let Some(builder) = queue.open {
                self.deliveries.push(super::Delivery {
                    partition,
                    record_count: builder.record_count(),
                    result: Err(error.clone()),
                });
            }
        }
        self.buffered_bytes = 0;
    }
}
