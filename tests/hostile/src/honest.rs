//! A producer and a consumer that do nothing wrong, beside those who do.

use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, RecordData, batches};
use engine_model::{ErrorCode, Offset, PartitionIndex, Timestamp, TopicId};
use net_protocol::Records;
use net_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use net_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::wire::{Wire, create_topic};

const TOPIC: &str = "honest-beside";

/// Produces numbers, one a request, acks=all, and reads all of them back.
pub struct Honest {
    address: SocketAddr,
    topic: TopicId,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(u64, Duration)>>,
    read: u64,
    offset: i64,
}

impl Honest {
    /// Begins to produce.
    pub fn start(address: SocketAddr) -> Self {
        // Its records are old by their times, and shall outlive a campaign of any length.
        let topic = create_topic(address, TOPIC, &[("retention.ms", "-1")]);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || produce(address, topic, &stopped));
        Self {
            address,
            topic,
            stop,
            thread: Some(thread),
            read: 0,
            offset: 0,
        }
    }

    /// Reads what is there: every number once, in order. Returns how many there are by now.
    pub fn check(&mut self) -> u64 {
        let mut wire = Wire::connect(self.address).expect("an honest consumer connects");
        loop {
            let request = FetchRequest {
                max_wait_ms: 0,
                max_bytes: 1 << 20,
                topics: vec![FetchTopic {
                    topic_id: self.topic,
                    partitions: vec![FetchPartition {
                        partition: PartitionIndex::ZERO,
                        fetch_offset: Offset::new(self.offset),
                        partition_max_bytes: 1 << 20,
                        ..FetchPartition::default()
                    }],
                    ..FetchTopic::default()
                }],
                session_epoch: -1,
                ..FetchRequest::default()
            };
            let mut answer = wire
                .call(13, &request)
                .expect("an honest consumer is answered");
            let data = &mut answer.responses[0].partitions[0];
            assert_eq!(data.error_code, ErrorCode::NONE);
            let bytes = data.records.take().unwrap_or_default().into_bytes();
            if bytes.is_empty() {
                return self.read;
            }
            for batch in batches(&bytes) {
                let batch = batch.unwrap();
                batch.check_crc().unwrap();
                for record in batch.records(1 << 20) {
                    let record = record.unwrap();
                    let offset = batch.header().record_offset(record.offset_delta).get();
                    assert_eq!(offset, self.offset, "offsets without gaps");
                    let value = record.value.unwrap_or_default();
                    assert_eq!(value, self.read.to_string().as_bytes(), "at {offset}");
                    self.offset += 1;
                    self.read += 1;
                }
            }
        }
    }

    /// Stops producing and reads the rest; returns how many numbers were acknowledged and read, and
    /// the longest wait for an acknowledgement.
    pub fn finish(mut self) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let produced = self.thread.take().map(JoinHandle::join);
        let (count, longest) = produced.unwrap().expect("the honest producer");
        let read = self.check();
        assert_eq!(read, count, "all that was acknowledged is there, once");
        (count, longest)
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One number a request until told to stop. It keeps its connection: who takes it away from an
/// honest client fails the test.
fn produce(address: SocketAddr, topic: TopicId, stop: &AtomicBool) -> (u64, Duration) {
    let mut wire = Wire::connect(address).expect("an honest producer connects");
    let mut next = 0_u64;
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        let value = next.to_string();
        let record = RecordData {
            timestamp: Timestamp(1_700_000_000_000),
            value: Some(value.as_bytes()),
            ..RecordData::default()
        };
        assert!(builder.append(&record).unwrap());
        let records: Bytes = builder.build().unwrap();
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                topic_id: topic,
                partition_data: vec![PartitionProduceData {
                    index: PartitionIndex::ZERO,
                    records: Some(Records::from(records)),
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let begun = Instant::now();
        let answer = wire
            .call(13, &request)
            .expect("an honest producer is answered");
        longest = longest.max(begun.elapsed());
        let part = &answer.responses[0].partition_responses[0];
        assert_eq!(part.error_code, ErrorCode::NONE);
        next += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    (next, longest)
}
