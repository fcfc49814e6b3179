//! What a consumer wants next, and what it makes of answers about topics and offsets.

use super::{Asked, Consumer, OffsetReset, Phase, Reading, Start};
use crate::call::{Answer, Operation};
use crate::error::ClientError;
use crate::retry::{Disposition, disposition};
use crate::step::{Exchange, Step, Target};
use core::time::Duration;
use engine_model::{ErrorCode, Moment, NodeId, Offset, PartitionIndex, Timestamp};
use net_protocol::ApiKey;
use net_protocol::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic,
};
use net_protocol::metadata::MetadataResponse;

/// ListOffsets: the end of the partition.
const LATEST: Timestamp = Timestamp(-1);
/// ListOffsets: its first record.
const EARLIEST: Timestamp = Timestamp(-2);

impl Consumer {
    /// What to do next. Call again after each answer, and after `Wait`.
    pub fn poll(&mut self, now: Moment) -> Step {
        if self.failed.is_some() || self.asking.is_some() || self.is_done() {
            return Step::Idle;
        }
        let deadline = self
            .failing_since
            .map(|s| s.saturating_add(self.options.retry_timeout));
        if deadline.is_some_and(|deadline| now >= deadline) {
            let last = self.last_error.take().map(Box::new);
            self.failed = Some(ClientError::TimedOut { last });
            return Step::Idle;
        }
        if now < self.not_before {
            return Step::Wait(self.not_before);
        }
        if self.is_cluster_stale {
            let request = crate::describe_topics([&self.topic]);
            return self.ask(Target::Any, request, Asked::Metadata, Duration::ZERO);
        }
        let Some((leader, phase, partitions)) = self.turn() else {
            // Some partition has no leader.
            self.retry(now, None);
            return Step::Wait(self.not_before);
        };
        self.last_turn = Some(leader);
        if phase == Phase::Reading {
            let request = self.fetch_request(&partitions);
            let wait = self.options.wait_max;
            return self.ask(
                Target::Node(leader),
                request,
                Asked::Records(partitions),
                wait,
            );
        }
        let request = self.offsets_request(&partitions);
        self.ask(
            Target::Node(leader),
            request,
            Asked::Offsets(partitions),
            Duration::ZERO,
        )
    }

    /// The leader whose turn it is, and what to ask it. Offsets come before any records, so that
    /// the ends of all partitions are of one moment, as near as can be.
    fn turn(&self) -> Option<(NodeId, Phase, Vec<PartitionIndex>)> {
        let led = |is_wanted: fn(Phase) -> bool| -> Vec<(NodeId, PartitionIndex)> {
            let wanted = self.partitions.iter().filter(|(_, r)| is_wanted(r.phase));
            wanted
                .filter_map(|(partition, _)| {
                    let (leader, _) = self.cluster.leader(&self.topic, *partition)?;
                    Some((leader, *partition))
                })
                .collect()
        };
        let seeking = led(|phase| matches!(phase, Phase::SeekingEnd | Phase::SeekingStart));
        let (phase, led) = if seeking.is_empty() {
            (Phase::Reading, led(|phase| phase == Phase::Reading))
        } else {
            (Phase::SeekingStart, seeking)
        };
        let after = |leader: NodeId| self.last_turn.is_none_or(|last| leader > last);
        let leaders = || led.iter().map(|(leader, _)| *leader);
        let leader = leaders()
            .filter(|leader| after(*leader))
            .min()
            .or_else(|| leaders().min())?;
        let of_leader = led.iter().filter(|(found, _)| *found == leader);
        let partitions = of_leader.map(|(_, partition)| *partition).collect();
        Some((leader, phase, partitions))
    }

    fn ask(
        &mut self,
        target: Target,
        request: impl Operation,
        asked: Asked,
        wait: Duration,
    ) -> Step {
        self.next_token = self.next_token.wrapping_add(1);
        self.asking = Some((self.next_token, asked));
        Step::Send(Box::new(Exchange {
            token: self.next_token,
            target,
            call: request.into_call(),
            timeout: self.options.request_timeout.saturating_add(wait),
        }))
    }

    fn offsets_request(&self, partitions: &[PartitionIndex]) -> ListOffsetsRequest {
        let partition = |partition: &PartitionIndex| {
            let reading = self.partitions.get(partition)?;
            let timestamp = match (reading.phase, reading.start) {
                (Phase::SeekingEnd, _) => LATEST,
                (_, Start::Timestamp(timestamp)) => timestamp,
                _ => EARLIEST,
            };
            let (_, current_leader_epoch) = self.cluster.leader(&self.topic, *partition)?;
            Some(ListOffsetsPartition {
                partition_index: *partition,
                current_leader_epoch,
                timestamp,
            })
        };
        ListOffsetsRequest {
            replica_id: NodeId::NONE,
            topics: vec![ListOffsetsTopic {
                name: self.topic.clone(),
                partitions: partitions.iter().filter_map(partition).collect(),
            }],
            timeout_ms: i32::try_from(self.options.request_timeout.as_millis()).unwrap_or(i32::MAX),
            isolation_level: self.options.isolation.code(),
        }
    }

    /// Takes the answer to request `token`, or why there will be none.
    pub fn on_answer(&mut self, now: Moment, token: u64, answer: Result<Answer, ClientError>) {
        let Some((_, asked)) = self.asking.take_if(|(asked, _)| *asked == token) else {
            return;
        };
        // A fresh picture of the cluster is no success yet: what failed may go on failing.
        let is_picture = asked == Asked::Metadata;
        let result = match (asked, answer) {
            (_, Err(error)) => Err((Disposition::RefreshAndRetry, error)),
            (Asked::Metadata, Ok(Answer::Metadata(response))) => self.on_metadata(response),
            (Asked::Offsets(asked), Ok(Answer::ListOffsets(response))) => {
                self.on_offsets(&asked, &response)
            }
            (Asked::Records(asked), Ok(Answer::Fetch(response))) => self.on_fetch(&asked, response),
            (_, Ok(other)) => Err((
                Disposition::Fail,
                ClientError::Incomplete { api: other.key() },
            )),
        };
        match result {
            Ok(()) if is_picture => {}
            Ok(()) => {
                self.backoff.reset();
                self.failing_since = None;
                self.last_error = None;
            }
            Err((Disposition::Fail, error)) => self.failed = Some(error),
            Err((_, error)) => self.retry(now, Some(error)),
        }
    }

    fn retry(&mut self, now: Moment, error: Option<ClientError>) {
        self.is_cluster_stale = true;
        self.not_before = now.saturating_add(self.backoff.next_pause());
        self.failing_since.get_or_insert(now);
        if error.is_some() {
            self.last_error = error;
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
        if topic.error.is_error() {
            let error = ClientError::Topic {
                topic: self.topic.clone(),
                code: topic.error,
            };
            // A consumer creates nothing: a topic that is not there stays away.
            let is_absent = topic.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            return Err(match disposition(topic.error) {
                Disposition::RefreshAndRetry if is_absent => (Disposition::Fail, error),
                other => (other, error),
            });
        }
        let there: Vec<PartitionIndex> = topic.partitions.iter().map(|p| p.index).collect();
        let first = Reading {
            phase: self.first_phase(),
            start: self.options.start,
            position: Offset::ZERO,
            end: None,
        };
        for partition in self.wanted.as_ref().unwrap_or(&there) {
            if !there.contains(partition) {
                return Err((
                    Disposition::Fail,
                    ClientError::NoSuchPartition {
                        topic: self.topic.clone(),
                        partition: *partition,
                        count: there.len(),
                    },
                ));
            }
            self.partitions.entry(*partition).or_insert(first);
        }
        let mut open = self
            .partitions
            .iter()
            .filter(|(_, r)| r.phase != Phase::Done);
        let without_leader = open.find(|(p, _)| self.cluster.leader(&self.topic, **p).is_none());
        if let Some((partition, _)) = without_leader {
            let error = self.partition_error(*partition, ErrorCode::LEADER_NOT_AVAILABLE);
            return Err((Disposition::RefreshAndRetry, error));
        }
        self.is_cluster_stale = false;
        Ok(())
    }

    fn on_offsets(
        &mut self,
        asked: &[PartitionIndex],
        response: &ListOffsetsResponse,
    ) -> Result<(), (Disposition, ClientError)> {
        for partition in asked {
            let answer = response
                .topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .find(|answer| answer.partition_index == *partition);
            let Some(answer) = answer else {
                let api = ApiKey::ListOffsets;
                return Err((Disposition::Fail, ClientError::Incomplete { api }));
            };
            let result = disposition(answer.error_code);
            if result != Disposition::Fine {
                return Err((result, self.partition_error(*partition, answer.error_code)));
            }
            self.found(*partition, answer);
        }
        Ok(())
    }

    /// Takes an offset that was asked for.
    fn found(&mut self, partition: PartitionIndex, answer: &ListOffsetsPartitionResponse) {
        let stops_at_end = self.options.stops_at_end;
        let reset = self.options.offset_reset;
        let Some(reading) = self.partitions.get_mut(&partition) else {
            return;
        };
        let offset = answer.offset;
        match (reading.phase, reading.start) {
            (Phase::SeekingEnd, start) => {
                if stops_at_end {
                    reading.end = Some(offset);
                }
                reading.position = offset;
                reading.phase = match start {
                    Start::Latest => Phase::Reading,
                    _ => Phase::SeekingStart,
                };
            }
            (Phase::SeekingStart, Start::Timestamp(_)) if offset < Offset::ZERO => {
                // No record is that late: wait for the next one.
                reading.start = Start::Latest;
                reading.phase = Phase::SeekingEnd;
            }
            (Phase::SeekingStart, start) => {
                reading.position = match start {
                    // Behind the end that reading is to stop at there is nothing to be refused.
                    Start::Offset(wanted) => match (reading.end, reset) {
                        (Some(end), OffsetReset::Earliest) if wanted > end => offset,
                        (Some(end), OffsetReset::Latest) if wanted > end => end,
                        _ => wanted,
                    },
                    Start::BeforeEnd(count) => {
                        let back = reading.position.get().saturating_sub(count.max(0));
                        Offset::new(back).max(offset)
                    }
                    _ => offset,
                };
                reading.phase = Phase::Reading;
            }
            (Phase::Reading | Phase::Done, _) => {}
        }
        self.finish_if_at_end(partition);
    }

    pub(super) fn finish_if_at_end(&mut self, partition: PartitionIndex) {
        if let Some(reading) = self.partitions.get_mut(&partition) {
            let is_at_end = reading.end.is_some_and(|end| reading.position >= end);
            if reading.phase == Phase::Reading && is_at_end {
                reading.phase = Phase::Done;
            }
        }
    }

    pub(super) fn partition_error(
        &self,
        partition: PartitionIndex,
        code: ErrorCode,
    ) -> ClientError {
        ClientError::Partition {
            topic: self.topic.clone(),
            partition,
            code,
        }
    }
}
