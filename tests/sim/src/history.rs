//! Producers whose every acknowledgement is remembered outside of the simulation's machines, and
//! the check of what a later reader finds.
//!
//! What must hold, whatever happened in between: every acknowledged record is there, once, at the
//! offset that was told, unchanged, and in order; what else is there was sent and not
//! acknowledged; offsets have no gaps.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use engine_model::{ErrorCode, ProducerId};
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::produce::ProduceRequest;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::client::{Client, Hangup};
use crate::records::{self, Topic};

/// One record that was sent.
#[derive(Clone, Debug)]
struct Sent {
    value: String,
    /// The offset it was acknowledged with.
    offset: Option<i64>,
}

/// What was sent to each partition, in order.
#[derive(Clone, Default)]
pub struct History {
    sent: Rc<RefCell<BTreeMap<i32, Vec<Sent>>>>,
}

/// How a producer works.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its number, which stands in its records.
    pub producer: usize,
    /// Partitions it writes to in turn.
    pub partitions: i32,
    /// Requests it has under way at a time.
    pub pipeline: usize,
    /// Whether its batches carry a producer id and sequences.
    pub is_idempotent: bool,
}

impl History {
    /// How many records were acknowledged.
    pub fn acknowledged(&self) -> usize {
        let sent = self.sent.borrow();
        let all = sent.values().flatten();
        all.filter(|record| record.offset.is_some()).count()
    }

    fn send(&self, partition: i32, value: &str) -> usize {
        let mut sent = self.sent.borrow_mut();
        let records = sent.entry(partition).or_default();
        records.push(Sent {
            value: value.to_owned(),
            offset: None,
        });
        records.len() - 1
    }

    fn acknowledge(&self, partition: i32, place: usize, offset: i64) {
        let mut sent = self.sent.borrow_mut();
        let records = sent.get_mut(&partition).unwrap();
        records.get_mut(place).unwrap().offset = Some(offset);
    }

    /// Produces until the broker hangs up. Errors in answers end it too.
    pub async fn produce(&self, address: SocketAddr, topic: Topic, workload: Workload) {
        // The broker is killed at some time: that is how this ends.
        let _ = self.try_produce(address, topic, workload).await;
    }

    async fn try_produce(
        &self,
        address: SocketAddr,
        topic: Topic,
        workload: Workload,
    ) -> Result<(), Hangup> {
        let mut client = Client::try_connect(address).await?;
        let mut producer = ProducerId::NONE;
        if workload.is_idempotent {
            let request = InitProducerIdRequest {
                transactional_id: None,
                ..InitProducerIdRequest::default()
            };
            let answer = client.call(4, &request).await?;
            assert_eq!(answer.error_code, ErrorCode::NONE);
            producer = answer.producer_id;
        }
        let mut sequences: BTreeMap<i32, i32> = BTreeMap::new();
        let mut under_way = Vec::new();
        for n in 0.. {
            let partition =
                i32::try_from(n % usize::try_from(workload.partitions).unwrap()).unwrap();
            let value = format!("{} {n} {}", workload.producer, "x".repeat(n * 37 % 300));
            let batch = if workload.is_idempotent {
                let sequence = sequences.entry(partition).or_default();
                let batch = records::sequenced(producer, *sequence, &[&value]);
                *sequence += 1;
                batch
            } else {
                records::batch(&[&value])
            };
            let place = self.send(partition, &value);
            let request = records::produce(-1, &topic, &[(partition, batch)]);
            let id = client.send(9, &request).await?;
            under_way.push((id, partition, place));
            if under_way.len() >= workload.pipeline {
                let (id, partition, place) = under_way.remove(0);
                let answer = client.answer::<ProduceRequest>(9, id).await?;
                let part = answer
                    .responses
                    .first()
                    .and_then(|topic| topic.partition_responses.first());
                let part = part.unwrap();
                if part.error_code != ErrorCode::NONE {
                    return Err(Hangup);
                }
                self.acknowledge(partition, place, part.base_offset.get());
            }
        }
        Ok(())
    }

    /// Reads everything back and compares. `context` goes into the messages.
    pub async fn check(&self, address: SocketAddr, topic: Topic, context: String) {
        let mut client = Client::connect(address).await;
        let sent = self.sent.borrow().clone();
        for (partition, sent) in sent {
            let found = read_all(&mut client, &topic, partition, &context).await;
            let at = format!("{context}, partition {partition}");
            let mut seen: BTreeMap<&str, i64> = BTreeMap::new();
            for ((offset, value), expected) in found.iter().zip(0..) {
                assert_eq!(*offset, expected, "{at}: offsets without gaps");
                assert!(
                    seen.insert(value, *offset).is_none(),
                    "{at}: twice {value:?}"
                );
            }
            let mut known: BTreeMap<&str, i64> = BTreeMap::new();
            let mut last: BTreeMap<&str, i64> = BTreeMap::new();
            for record in &sent {
                let value = record.value.as_str();
                let there = seen.get(value).copied();
                if record.offset.is_some() {
                    assert_eq!(there, record.offset, "{at}: acknowledged {value:?}");
                }
                if let Some(offset) = there {
                    known.insert(value, offset);
                    let producer = value.split(' ').next().unwrap();
                    let before = last.insert(producer, offset);
                    assert!(before < Some(offset), "{at}: order of {value:?}");
                }
            }
            assert_eq!(known.len(), found.len(), "{at}: records nobody sent");
        }
    }
}

async fn read_all(
    client: &mut Client,
    topic: &Topic,
    partition: i32,
    context: &str,
) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    loop {
        let next = i64::try_from(found.len()).unwrap();
        let request = records::fetch(topic, 0, 1, &[(partition, next)]);
        let answer = client.call(12, &request).await.unwrap();
        let data = answer
            .responses
            .into_iter()
            .next()
            .and_then(|topic| topic.partitions.into_iter().next())
            .unwrap();
        assert_eq!(data.error_code, ErrorCode::NONE, "{context}");
        let read = records::read(data.records);
        if read.is_empty() {
            assert_eq!(data.high_watermark.get(), next, "{context}");
            return found;
        }
        for (offset, value) in read {
            // A batch that begins before the offset asked for comes whole.
            if offset >= next {
                found.push((offset, String::from_utf8(value).unwrap()));
            }
        }
        engine_rt::sleep(Duration::from_micros(1)).await;
    }
}
