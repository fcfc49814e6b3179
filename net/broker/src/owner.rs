//! The owner's side: answers what shards (this one too) ask about the partitions that live here,
//! and what the controller asks.
//!
//! Keeps: appends of one question begin in its order, before anything waits; a change between a
//! read and the watch that follows it is signalled.

use engine_model::{ErrorCode, ShardId};
use engine_shard::join_all;
use replication_runtime::{Acks, FetchOptions, Horizon, ReplicaError};
use std::rc::Rc;

use crate::broker::Broker;
use crate::error::Fault;
use crate::question::{
    Answer, DeleteRecordsAnswer, DeleteRecordsQuestion, EpochAnswer, EpochQuestion, FetchAnswer,
    FetchQuestion, MeasureQuestion, Measured, OffsetAnswer, OffsetQuestion, PartitionFetch,
    ProduceAnswer, ProduceQuestion, Question,
};

impl Broker {
    /// Answers a question of shard `from`.
    pub async fn answer(self: Rc<Self>, from: ShardId, question: Question) -> Answer {
        match question {
            Question::Produce(question) => Answer::Produce(self.append_here(question).await),
            Question::Fetch(question) => Answer::Fetch(self.read_here(from, question).await),
            Question::ListOffsets(questions) => {
                Answer::ListOffsets(self.find_here(questions).await)
            }
            Question::EpochEnds(questions) => Answer::EpochEnds(self.epoch_ends_here(&questions)),
            Question::DeleteRecords(questions) => {
                Answer::DeleteRecords(self.delete_records_here(questions).await)
            }
            Question::Measure(question) => Answer::Measure(self.measure_here(from, question).await),
            Question::CloseSession(id) => {
                self.sessions().close(id);
                Answer::Taken
            }
            Question::Signals(partitions) => {
                self.watchers().signalled(&partitions);
                Answer::Taken
            }
            Question::Controller(request) => match self.controller() {
                Some(controller) => Answer::Controller(Box::new(controller.handle(*request).await)),
                None => Answer::Gone,
            },
            Question::Shard(request) => {
                let replicas = self.shared_replicas();
                Answer::Shard(replicas.handle(request).await)
            }
        }
    }

    async fn append_here(&self, question: ProduceQuestion) -> Vec<ProduceAnswer> {
        let acks = match question.acks {
            0 => None,
            1 => Some(Acks::Leader),
            _ => Some(Acks::All),
        };
        let appends = question
            .batches
            .into_iter()
            .map(|(partition, records)| {
                self.replicas()
                    .append(partition, records, acks, question.timeout)
            })
            .collect();
        join_all(appends)
            .await
            .into_iter()
            .map(|appended| match appended {
                Ok(appended) => ProduceAnswer {
                    error: ErrorCode::NONE,
                    message: None,
                    record_errors: Vec::new(),
                    base_offset: appended.base_offset,
                    log_append_time: appended.log_append_time,
                    log_start_offset: appended.log_start_offset,
                },
                Err(error) => refuse_append(&error),
            })
            .collect()
    }

    /// Reads partition after partition until the limit is reached, as Kafka does: the first batch
    /// found ignores the limits, those after it do not.
    async fn read_here(&self, from: ShardId, question: FetchQuestion) -> Vec<FetchAnswer> {
        let horizon = horizon(question.read_committed);
        let mark = self.watchers().waits().mark();
        let mut left = question.bytes_max;
        let mut at_least_one = question.at_least_one;
        let mut answers = Vec::with_capacity(question.partitions.len());
        let mut is_wrong = false;
        for wanted in &question.partitions {
            let options = FetchOptions {
                offset: wanted.offset,
                current_leader_epoch: wanted.current_leader_epoch,
                last_fetched_epoch: wanted.last_fetched_epoch,
                bytes_max: wanted.bytes_max.min(left),
                at_least_one,
                horizon,
            };
            let answer = self.read_one(wanted, options).await;
            is_wrong |= answer.is_wrong();
            at_least_one &= answer.bytes == 0;
            left = left.saturating_sub(answer.bytes);
            answers.push(answer);
            engine_rt::yield_if_due().await;
        }
        let found = question.bytes_max.saturating_sub(left);
        let watch_all = found < question.watch_below && !is_wrong;
        if watch_all || question.watch_empty {
            for (wanted, answer) in question.partitions.iter().zip(&answers) {
                let is_empty = answer.bytes == 0 && !answer.is_wrong();
                if watch_all || is_empty {
                    self.watchers().watch(wanted.partition, from, mark);
                }
            }
        }
        answers
    }

    async fn measure_here(&self, from: ShardId, question: MeasureQuestion) -> Vec<Measured> {
        let horizon = horizon(question.read_committed);
        let mut answers = Vec::with_capacity(question.partitions.len());
        for wanted in question.partitions {
            let mark = self.watchers().waits().mark();
            let found = self.replicas().bytes_from(
                wanted.partition,
                wanted.current_leader_epoch,
                wanted.offset,
                horizon,
            );
            answers.push(match found {
                Ok(Some((bytes, end))) => Measured::Bytes(bytes, end),
                Ok(None) | Err(_) => Measured::Unknown,
            });
            self.watchers().watch(wanted.partition, from, mark);
            engine_rt::yield_if_due().await;
        }
        answers
    }

    async fn read_one(&self, wanted: &PartitionFetch, options: FetchOptions) -> FetchAnswer {
        match self.replicas().fetch(wanted.partition, options).await {
            Ok(read) => FetchAnswer {
                error: ErrorCode::NONE,
                high_watermark: read.high_watermark,
                last_stable_offset: read.last_stable_offset,
                log_start_offset: read.log_start_offset,
                diverging: read.diverging,
                chunks: read.chunks,
                bytes: read.bytes,
                next_offset: read.next_offset,
            },
            Err(error) => FetchAnswer::refused(Fault::from(&error).code),
        }
    }

    async fn find_here(&self, questions: Vec<OffsetQuestion>) -> Vec<OffsetAnswer> {
        let mut answers = Vec::with_capacity(questions.len());
        for question in questions {
            let OffsetQuestion {
                partition,
                current_leader_epoch,
                target,
                horizon,
            } = question;
            let found = self
                .replicas()
                .list_offset(partition, current_leader_epoch, target, horizon)
                .await;
            answers.push(match found {
                Ok(Some(found)) => OffsetAnswer {
                    error: ErrorCode::NONE,
                    timestamp: found.timestamp,
                    offset: found.offset,
                    leader_epoch: found.leader_epoch,
                },
                Ok(None) => OffsetAnswer::NONE,
                Err(error) => OffsetAnswer::refused(Fault::from(&error).code),
            });
            engine_rt::yield_if_due().await;
        }
        answers
    }

    fn epoch_ends_here(&self, questions: &[EpochQuestion]) -> Vec<EpochAnswer> {
        let find = |question: &EpochQuestion| {
            let EpochQuestion {
                partition,
                current_leader_epoch,
                leader_epoch,
            } = *question;
            self.replicas()
                .epoch_end(partition, current_leader_epoch, leader_epoch)
        };
        questions
            .iter()
            .map(|question| match find(question) {
                Ok(end) => EpochAnswer {
                    error: ErrorCode::NONE,
                    end,
                },
                Err(error) => EpochAnswer::refused(Fault::from(&error).code),
            })
            .collect()
    }

    /// All at the same time, so that one flush makes many of them durable.
    async fn delete_records_here(
        &self,
        questions: Vec<DeleteRecordsQuestion>,
    ) -> Vec<DeleteRecordsAnswer> {
        let delete = |question: &DeleteRecordsQuestion| {
            self.replicas()
                .delete_records(question.partition, question.offset)
        };
        join_all(questions.iter().map(delete).collect())
            .await
            .into_iter()
            .map(|deleted| match deleted {
                Ok(low_watermark) => DeleteRecordsAnswer {
                    error: ErrorCode::NONE,
                    low_watermark,
                },
                Err(error) => DeleteRecordsAnswer::refused(Fault::from(&error).code),
            })
            .collect()
    }
}

fn horizon(read_committed: bool) -> Horizon {
    if read_committed {
        Horizon::LastStableOffset
    } else {
        Horizon::HighWatermark
    }
}

fn refuse_append(error: &ReplicaError) -> ProduceAnswer {
    let fault = Fault::from(error);
    ProduceAnswer {
        record_errors: fault.records,
        ..ProduceAnswer::refused(fault.code, fault.message)
    }
}
