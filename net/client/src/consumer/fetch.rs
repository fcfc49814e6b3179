//! Fetch requests and their answers.

use super::{Consumer, OffsetReset, Phase, Start};
use crate::error::ClientError;
use crate::retry::{Disposition, disposition};
use engine_model::{ErrorCode, NodeId, PartitionIndex};
use net_protocol::ApiKey;
use net_protocol::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};

impl Consumer {
    pub(super) fn fetch_request(&self, partitions: &[PartitionIndex]) -> FetchRequest {
        let partition = |partition: &PartitionIndex| {
            let reading = self.partitions.get(partition)?;
            let (_, current_leader_epoch) = self.cluster.leader(&self.topic, *partition)?;
            Some(FetchPartition {
                partition: *partition,
                current_leader_epoch,
                fetch_offset: reading.position,
                partition_max_bytes: self.options.partition_bytes_max,
                ..FetchPartition::default()
            })
        };
        let topic_id = self.cluster.topics.get(&self.topic).map(|topic| topic.id);
        FetchRequest {
            replica_id: NodeId::NONE,
            max_wait_ms: i32::try_from(self.options.wait_max.as_millis()).unwrap_or(i32::MAX),
            min_bytes: 1,
            max_bytes: self.options.bytes_max,
            isolation_level: self.options.isolation.code(),
            topics: vec![FetchTopic {
                topic: self.topic.clone(),
                topic_id: topic_id.unwrap_or_default(),
                partitions: partitions.iter().filter_map(partition).collect(),
            }],
            ..FetchRequest::default()
        }
    }

    pub(super) fn on_fetch(
        &mut self,
        asked: &[PartitionIndex],
        response: FetchResponse,
    ) -> Result<(), (Disposition, ClientError)> {
        if response.error_code.is_error() {
            let code = response.error_code;
            let api = ApiKey::Fetch;
            return Err((disposition(code), ClientError::Broker { api, code }));
        }
        let answers = response
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let mut first_error = Ok(());
        self.taken_bytes = 0;
        for answer in answers {
            // A broker that answers what was not asked is not listened to.
            if asked.contains(&answer.partition_index) {
                let result = self.on_partition(answer);
                // What the other partitions brought is kept all the same.
                first_error = first_error.and(result);
            }
        }
        first_error
    }

    fn on_partition(&mut self, answer: PartitionData) -> Result<(), (Disposition, ClientError)> {
        let partition = answer.partition_index;
        let code = answer.error_code;
        let result = disposition(code);
        let Some(reading) = self.partitions.get(&partition).copied() else {
            return Ok(());
        };
        if reading.phase != Phase::Reading {
            return Ok(());
        }
        if code == ErrorCode::OFFSET_OUT_OF_RANGE && self.options.offset_reset != OffsetReset::Fail
        {
            self.restart(partition);
            return Ok(());
        }
        if code == ErrorCode::OFFSET_OUT_OF_RANGE {
            return Err((
                Disposition::Fail,
                ClientError::OffsetOutOfRange {
                    topic: self.topic.clone(),
                    partition,
                    offset: reading.position,
                },
            ));
        }
        if result != Disposition::Fine {
            return Err((result, self.partition_error(partition, code)));
        }
        if let Some(records) = answer.records {
            let aborted = answer.aborted_transactions.unwrap_or_default();
            let aborted = self.aborted(aborted);
            self.take_records(partition, &records.into_bytes(), aborted)
                .map_err(|error| (Disposition::Fail, error))?;
        }
        self.finish_if_at_end(partition);
        Ok(())
    }

    /// Sets a partition back to the start or the end, as the options say.
    fn restart(&mut self, partition: PartitionIndex) {
        let start = match self.options.offset_reset {
            OffsetReset::Latest => Start::Latest,
            _ => Start::Earliest,
        };
        if let Some(reading) = self.partitions.get_mut(&partition) {
            reading.start = start;
            reading.phase = match start {
                Start::Latest => Phase::SeekingEnd,
                _ => Phase::SeekingStart,
            };
        }
    }
}
