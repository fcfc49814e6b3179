//! Clients that go on through every error that clients retry, and what they were told.
//!
//! What must hold: an acknowledged record is there, once, at the offset that was told, unchanged
//! and in order; what else is there was sent; what a consumer once saw stays; nothing is refused
//! with an error that ends a client.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use engine_model::{ErrorCode, ProducerId};
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::produce::ProduceRequest;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use tests_sim::records::{self, Topic};
use tests_sim::{Client, Hangup};

/// How long clients wait before they repeat, as Kafka's do.
const BACKOFF: Duration = Duration::from_millis(100);

/// One record: what it says, and the offset it was acknowledged with.
#[derive(Clone, Debug)]
struct Sent {
    value: String,
    offset: Option<i64>,
}

/// See the module.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    inner: Rc<RefCell<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// By partition and producer, in the order of sending.
    sent: BTreeMap<(i32, usize), Vec<Sent>>,
    /// What the consumers saw, by partition and offset.
    seen: BTreeMap<(i32, i64), String>,
    /// Errors in answers, and how often.
    errors: BTreeMap<ErrorCode, u64>,
    violations: Vec<String>,
    acknowledged: usize,
    is_over: bool,
}

impl Ledger {
    pub(super) fn acknowledged(&self) -> usize {
        self.inner.borrow().acknowledged
    }

    /// How often an error was answered.
    pub(super) fn errors(&self, code: ErrorCode) -> u64 {
        self.inner.borrow().errors.get(&code).copied().unwrap_or(0)
    }

    /// Lets the clients end.
    pub(super) fn end(&self) {
        self.inner.borrow_mut().is_over = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.inner.borrow().is_over
    }

    fn refused(&self, what: &str, code: ErrorCode) {
        let mut inner = self.inner.borrow_mut();
        *inner.errors.entry(code).or_default() += 1;
        if !code.is_retriable() {
            inner.violations.push(format!("{what} answered {code:?}"));
        }
    }

    /// An idempotent producer of one partition that keeps up to `pipeline` requests under way and
    /// repeats what was refused, in order. Ends when told to, and begins anew as another producer
    /// when the broker hangs up.
    pub(super) async fn produce(
        self,
        address: SocketAddr,
        topic: Topic,
        partition: i32,
        producer: usize,
        pipeline: usize,
    ) {
        for life in 0.. {
            let number = producer * 1000 + life;
            if self
                .try_produce(address, &topic, partition, number, pipeline)
                .await
                .is_ok()
                || self.is_over()
            {
                return;
            }
            engine_rt::sleep(BACKOFF).await;
        }
    }

    async fn try_produce(
        &self,
        address: SocketAddr,
        topic: &Topic,
        partition: i32,
        producer: usize,
        pipeline: usize,
    ) -> Result<(), Hangup> {
        let mut client = Client::try_connect(address).await?;
        let id = self.producer_id(&mut client).await?;
        let mut next = 0;
        let mut again: VecDeque<usize> = VecDeque::new();
        let mut under_way: VecDeque<(i32, usize)> = VecDeque::new();
        loop {
            while under_way.len() < pipeline && !self.is_over() {
                let place = again.pop_front().unwrap_or_else(|| {
                    let size = (next * 37 + producer) % 900;
                    let value = format!("{producer} {next} {}", "x".repeat(size));
                    let mut inner = self.inner.borrow_mut();
                    let sent = inner.sent.entry((partition, producer)).or_default();
                    sent.push(Sent {
                        value,
                        offset: None,
                    });
                    next += 1;
                    next - 1
                });
                let value = self.inner.borrow().sent[&(partition, producer)][place]
                    .value
                    .clone();
                let sequence = i32::try_from(place).unwrap();
                let batch = records::sequenced(id, sequence, &[value]);
                let request = records::produce(-1, topic, &[(partition, batch)]);
                under_way.push_back((client.send(9, &request).await?, place));
            }
            let Some((id, place)) = under_way.pop_front() else {
                return Ok(());
            };
            if self
                .take_answer(&mut client, id, partition, producer, place)
                .await?
            {
                engine_rt::sleep(Duration::from_micros(300)).await;
                continue;
            }
            // Those behind it come back too, in order, before anything new.
            let mut failed = vec![place];
            while let Some((id, place)) = under_way.pop_front() {
                if !self
                    .take_answer(&mut client, id, partition, producer, place)
                    .await?
                {
                    failed.push(place);
                }
            }
            failed.extend(again.drain(..));
            again = failed.into();
            engine_rt::sleep(BACKOFF).await;
            if self.is_over() {
                return Ok(());
            }
        }
    }

    async fn producer_id(&self, client: &mut Client) -> Result<ProducerId, Hangup> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            ..InitProducerIdRequest::default()
        };
        loop {
            let answer = client.call(4, &request).await?;
            if answer.error_code == ErrorCode::NONE {
                return Ok(answer.producer_id);
            }
            self.refused("InitProducerId", answer.error_code);
            if self.is_over() {
                return Err(Hangup);
            }
            engine_rt::sleep(BACKOFF).await;
        }
    }

    /// Whether it was acknowledged.
    async fn take_answer(
        &self,
        client: &mut Client,
        id: i32,
        partition: i32,
        producer: usize,
        place: usize,
    ) -> Result<bool, Hangup> {
        let answer = client.answer::<ProduceRequest>(9, id).await?;
        let part = &answer.responses[0].partition_responses[0];
        match part.error_code {
            ErrorCode::NONE => {
                let mut inner = self.inner.borrow_mut();
                inner.acknowledged += 1;
                let sent = inner.sent.get_mut(&(partition, producer)).unwrap();
                sent[place].offset = Some(part.base_offset.get());
                Ok(true)
            }
            // What stood before it in the pipeline was refused; it is repeated with that.
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => Ok(false),
            code => {
                self.refused("Produce", code);
                Ok(false)
            }
        }
    }

    /// Follows one partition from its start until told to end, over hang-ups too.
    pub(super) async fn consume(self, address: SocketAddr, topic: Topic, partition: i32) {
        let mut next = 0;
        while !self.is_over() {
            let _ = self
                .try_consume(address, &topic, partition, &mut next)
                .await;
            engine_rt::sleep(BACKOFF).await;
        }
    }

    async fn try_consume(
        &self,
        address: SocketAddr,
        topic: &Topic,
        partition: i32,
        next: &mut i64,
    ) -> Result<(), Hangup> {
        let mut client = Client::try_connect(address).await?;
        while !self.is_over() {
            let request = records::fetch(topic, 200, 1, &[(partition, *next)]);
            let answer = client.call(12, &request).await?;
            let data = answer.responses[0].partitions[0].clone();
            if data.error_code != ErrorCode::NONE {
                self.refused("Fetch", data.error_code);
                engine_rt::sleep(BACKOFF).await;
                continue;
            }
            let end = data.high_watermark.get();
            for (offset, value) in records::read(data.records) {
                if offset < *next {
                    continue;
                }
                let value = String::from_utf8(value).unwrap();
                let mut inner = self.inner.borrow_mut();
                if offset != *next || offset >= end {
                    let at =
                        format!("{offset} of partition {partition}, {next} was next, end {end}");
                    inner.violations.push(format!("a consumer was given {at}"));
                }
                inner.seen.insert((partition, offset), value);
                *next = offset + 1;
            }
            engine_rt::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Reads everything back and compares; `context` goes into the messages.
    pub(super) async fn check(
        self,
        address: SocketAddr,
        topic: Topic,
        partitions: i32,
        context: String,
    ) {
        let violations = core::mem::take(&mut self.inner.borrow_mut().violations);
        assert!(violations.is_empty(), "{context}: {violations:#?}");
        let mut client = Client::connect(address).await;
        for partition in 0..partitions {
            let found = read_all(&mut client, &topic, partition, &context).await;
            self.compare(
                partition,
                &found,
                &format!("{context}, partition {partition}"),
            );
        }
    }

    fn compare(&self, partition: i32, found: &[String], at: &str) {
        let inner = self.inner.borrow();
        let mut places: BTreeMap<&str, i64> = BTreeMap::new();
        for (offset, value) in (0..).zip(found) {
            let before = places.insert(value, offset);
            assert_eq!(before, None, "{at}: twice, again at {offset}: {value:.40}");
        }
        let mut known = 0;
        for ((_, _), sent) in inner.sent.iter().filter(|((p, _), _)| *p == partition) {
            let mut last = None;
            for record in sent {
                let there = places.get(record.value.as_str()).copied();
                if record.offset.is_some() {
                    assert_eq!(
                        there, record.offset,
                        "{at}: acknowledged {:.40}",
                        record.value
                    );
                }
                if there.is_some() {
                    assert!(last < there, "{at}: order of {:.40}", record.value);
                    last = there;
                    known += 1;
                }
            }
        }
        assert_eq!(known, found.len(), "{at}: records nobody sent");
        for ((_, offset), value) in inner.seen.iter().filter(|((p, _), _)| *p == partition) {
            let there = usize::try_from(*offset).ok().and_then(|at| found.get(at));
            assert_eq!(there, Some(value), "{at}: seen at {offset}");
        }
    }
}

async fn read_all(
    client: &mut Client,
    topic: &Topic,
    partition: i32,
    context: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let next = i64::try_from(found.len()).unwrap();
        let request = records::fetch(topic, 0, 1, &[(partition, next)]);
        let answer = client.call(12, &request).await.unwrap();
        let data = answer.responses[0].partitions[0].clone();
        assert_eq!(data.error_code, ErrorCode::NONE, "{context}");
        let read = records::read(data.records);
        if read.is_empty() {
            assert_eq!(data.high_watermark.get(), next, "{context}");
            return found;
        }
        for (offset, value) in read.into_iter().filter(|(offset, _)| *offset >= next) {
            assert_eq!(
                offset,
                i64::try_from(found.len()).unwrap(),
                "{context}: a gap"
            );
            found.push(String::from_utf8(value).unwrap());
        }
        engine_rt::sleep(Duration::from_micros(1)).await;
    }
}
