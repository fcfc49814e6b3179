//! A producer of a run: it sends batches until told to stop, and goes on after every mishap as a
//! real one would.
//!
//! Keeps: an idempotent one repeats what it has no answer to, with the same sequences and in the
//! same order, over any number of connections and lives of the node; where its next sequence is
//! refused it notes that and begins anew under another producer id. A plain one forgets what it
//! has no answer to, or sends it again as a new batch.

use super::caller::Caller;
use super::journal::{Journal, Phase, Target};
use super::plan::ProducerPlan;
use crate::chance::Chance;
use crate::checker::history::{Place, Refusal, Sent, Span};
use crate::client::Hangup;
use crate::payload;
use crate::records::{self, Topic};
use bytes::Bytes;
use core::net::SocketAddr;
use engine_codec::{BatchBuilder, BatchOptions, RecordData};
use engine_model::{ErrorCode, ProducerEpoch, ProducerId, Sequence, Timestamp};
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::produce::ProduceRequest;
use std::collections::{BTreeMap, VecDeque};

/// The version that speaks of topics by id.
const VERSION: i16 = 13;
/// Attempts at one batch where the broker answers and refuses.
const ATTEMPTS_MAX: u32 = 400;

/// One batch on its way.
#[derive(Clone)]
struct Batch {
    place: Place,
    topic: Topic,
    bytes: Bytes,
    first: u64,
    count: u64,
    order: u64,
    attempts: u32,
}

struct UnderWay {
    id: i32,
    batch: Batch,
    span: Span,
}

/// A producer at work.
pub struct Producer {
    plan: ProducerPlan,
    journal: Journal,
    chance: Chance,
    caller: Caller,
    id: ProducerId,
    /// Which stream of records this is: another for every producer id, and for every connection
    /// of a producer that has none.
    session: u64,
    sequences: BTreeMap<Place, (i32, u64)>,
    under_way: VecDeque<UnderWay>,
    /// To be sent again, in this order, before anything new.
    again: VecDeque<Batch>,
}

impl Producer {
    /// A producer that has not begun.
    pub fn new(plan: ProducerPlan, journal: Journal, address: SocketAddr) -> Self {
        Self {
            chance: Chance::new(plan.seed),
            caller: Caller::new(address, journal.clone()),
            session: plan.number << 32,
            plan,
            journal,
            id: ProducerId::NONE,
            sequences: BTreeMap::new(),
            under_way: VecDeque::new(),
            again: VecDeque::new(),
        }
    }

    /// Works until the run drains and everything sent is decided.
    pub async fn run(mut self) {
        loop {
            match self.journal.phase() {
                Phase::Over => break,
                Phase::Drain if self.under_way.is_empty() && self.again.is_empty() => break,
                Phase::Work | Phase::Drain => {}
            }
            if self.turn().await.is_err() {
                self.lost();
            }
        }
        self.journal.end_work();
    }

    /// The connection is gone, and with it the answers.
    fn lost(&mut self) {
        self.caller.hang_up();
        let lost: Vec<Batch> = self.under_way.drain(..).map(|it| it.batch).collect();
        if self.plan.is_idempotent || self.plan.resends {
            for batch in lost.into_iter().rev() {
                self.again.push_front(batch);
            }
        }
        if !self.plan.is_idempotent {
            self.renew();
        }
    }

    /// Begins another stream of records.
    fn renew(&mut self) {
        self.id = ProducerId::NONE;
        self.session += 1;
        self.sequences.clear();
    }

    async fn turn(&mut self) -> Result<(), Hangup> {
        if self.plan.is_idempotent && self.id == ProducerId::NONE {
            let request = InitProducerIdRequest {
                transactional_id: None,
                ..InitProducerIdRequest::default()
            };
            let answer = self.caller.call(4, &request).await?;
            if answer.error_code != ErrorCode::NONE {
                self.journal.error(answer.error_code.0);
                self.pause(2_000, 20_000).await;
                return Ok(());
            }
            self.id = answer.producer_id;
        }
        while self.under_way.len() < self.plan.pipeline {
            let Some(batch) = self.next_batch() else {
                break;
            };
            self.send(batch).await?;
            if self.chance.one_in(2) {
                self.pause(0, self.plan.think_us).await;
            }
        }
        if self.under_way.is_empty() {
            self.pause(500, 5_000).await;
            return Ok(());
        }
        self.await_answer().await
    }

    async fn pause(&mut self, low: u64, high: u64) {
        let pause = self.chance.micros(low, high);
        engine_rt::sleep(pause).await;
    }

    fn next_batch(&mut self) -> Option<Batch> {
        while let Some(batch) = self.again.pop_front() {
            if self.journal.is_going(batch.place.topic) || batch.attempts > ATTEMPTS_MAX {
                continue;
            }
            return Some(batch);
        }
        if self.journal.phase() != Phase::Work || self.plan.batches_left == 0 {
            return None;
        }
        let targets = self.journal.targets();
        if targets.is_empty() {
            return None;
        }
        let target = targets.get(self.chance.size(0, targets.len() - 1))?;
        self.plan.batches_left -= 1;
        Some(self.new_batch(target))
    }

    fn new_batch(&mut self, target: &Target) -> Batch {
        let most = u64::try_from(target.partitions)
            .unwrap_or(1)
            .saturating_sub(1);
        let partition = i32::try_from(self.chance.between(0, most)).unwrap_or(0);
        let place = Place {
            topic: target.number,
            partition,
        };
        let (sequence, order) = self.sequences.get(&place).copied().unwrap_or_default();
        let options = BatchOptions {
            compression: self.plan.compression,
            producer_id: self.id,
            producer_epoch: if self.plan.is_idempotent {
                ProducerEpoch::ZERO
            } else {
                ProducerEpoch::NONE
            },
            base_sequence: if self.plan.is_idempotent {
                Sequence::new(sequence)
            } else {
                Sequence::NONE
            },
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        let first = self.journal.next_number();
        let wanted = self.chance.between(1, self.plan.records_max);
        let mut count = 0;
        for n in 0..wanted {
            let bytes = self
                .chance
                .size(payload::BYTES_MIN, self.plan.value_bytes_max);
            let value = payload::value(first + n, bytes);
            let key = target.is_compacted.then(|| self.chance.below(8));
            let name = key.map(u64::to_be_bytes);
            let record = RecordData {
                timestamp: Timestamp(engine_rt::wall_clock().0),
                key: name.as_ref().map(<[u8; 8]>::as_slice),
                value: Some(&value),
                ..RecordData::default()
            };
            if !builder.append(&record).unwrap() {
                break;
            }
            self.journal.sends(Sent {
                place,
                session: self.session,
                order: order + n,
                checksum: payload::checksum(&value),
                key,
                times: 0,
                is_idempotent: self.plan.is_idempotent,
                is_refused: false,
                acknowledged: None,
            });
            count += 1;
        }
        let step = i32::try_from(count).unwrap_or(0);
        self.sequences
            .insert(place, (sequence + step, order + count));
        Batch {
            place,
            topic: target.topic.clone(),
            bytes: builder.build().unwrap(),
            first,
            count,
            order,
            attempts: 0,
        }
    }

    async fn send(&mut self, mut batch: Batch) -> Result<(), Hangup> {
        // What is not sent for want of a connection has not happened.
        if self.caller.client().await.is_err() {
            if self.plan.is_idempotent {
                self.again.push_front(batch);
            }
            return Err(Hangup);
        }
        batch.attempts += 1;
        if batch.attempts > 1 {
            self.journal.count(|figures| figures.resent += 1);
        }
        for number in batch.first..batch.first + batch.count {
            self.journal.sent(number, |sent| sent.times += 1);
        }
        let parts = [(batch.place.partition, batch.bytes.clone())];
        let request = records::produce(self.plan.acks, &batch.topic, &parts);
        let span = self.journal.asked();
        let sent = self.caller.send(VERSION, &request).await;
        if self.plan.acks == 0 {
            return sent.map(|_| ());
        }
        let id = *sent.as_ref().unwrap_or(&0);
        self.under_way.push_back(UnderWay { id, batch, span });
        sent.map(|_| ())
    }

    async fn await_answer(&mut self) -> Result<(), Hangup> {
        let Some(id) = self.under_way.front().map(|it| it.id) else {
            return Ok(());
        };
        let answer = self.caller.answer::<ProduceRequest>(VERSION, id).await?;
        let Some(UnderWay {
            batch, mut span, ..
        }) = self.under_way.pop_front()
        else {
            return Ok(());
        };
        span.returned = engine_rt::now().0;
        let part = answer
            .responses
            .first()
            .and_then(|topic| topic.partition_responses.first())
            .expect("an answer names what was asked");
        assert_eq!(part.index.get(), batch.place.partition);
        let code = part.error_code;
        match code {
            ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                let offset = part.base_offset.get();
                let offset = (code == ErrorCode::NONE && offset >= 0).then_some(offset);
                let acks = self.plan.acks;
                self.journal
                    .acknowledge(batch.first, batch.count, offset, acks, span);
            }
            _ => {
                self.journal.error(code.0);
                self.refused(batch, code, span).await;
            }
        }
        Ok(())
    }

    async fn refused(&mut self, batch: Batch, code: ErrorCode, span: Span) {
        let is_certain = matches!(
            code,
            ErrorCode::MESSAGE_TOO_LARGE
                | ErrorCode::INVALID_RECORD
                | ErrorCode::INVALID_TIMESTAMP
                | ErrorCode::CORRUPT_MESSAGE
        );
        if is_certain {
            for number in batch.first..batch.first + batch.count {
                self.journal.sent(number, |sent| sent.is_refused = true);
            }
        }
        if !self.plan.is_idempotent {
            if self.plan.resends && !is_certain && batch.attempts < 3 {
                self.again.push_back(batch);
            }
            return;
        }
        let is_first = !self.again.iter().any(|it| it.place == batch.place);
        let is_out_of_order = matches!(
            code,
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID
        );
        if is_out_of_order && is_first {
            self.journal.refused(Refusal {
                place: batch.place,
                session: self.session,
                order: batch.order,
                code: code.0,
                span,
            });
        }
        if (is_out_of_order && is_first) || is_certain {
            // Nobody will ever know of the rest; what is left of it may be there.
            while let Some(it) = self.under_way.front().map(|it| it.id) {
                if self
                    .caller
                    .answer::<ProduceRequest>(VERSION, it)
                    .await
                    .is_err()
                {
                    break;
                }
                self.under_way.pop_front();
            }
            self.under_way.clear();
            self.again.clear();
            self.renew();
            return;
        }
        self.again.push_back(batch);
        // Everything behind it comes back too; then all of it goes out again in order.
        while !self.under_way.is_empty() {
            if Box::pin(self.await_answer()).await.is_err() {
                self.lost();
                self.sort_again();
                return;
            }
        }
        self.sort_again();
        self.pause(1_000, 20_000).await;
    }

    fn sort_again(&mut self) {
        self.again
            .make_contiguous()
            .sort_by_key(|batch| batch.first);
    }
}
