//! A consumer of a run: it reads from random places and follows tails, and notes whatever it is
//! told. Also the last look, which reads everything.

use super::caller::Caller;
use super::journal::{Journal, Phase, Target, found};
use crate::chance::Chance;
use crate::checker::history::{Bound, Found, LastState, Place, Read, Span};
use crate::client::Hangup;
use crate::records::{self, Topic};
use core::net::SocketAddr;
use engine_model::{ErrorCode, NodeId, PartitionIndex, Timestamp};
use net_protocol::fetch::{FetchRequest, PartitionData};
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use std::collections::BTreeMap;

const VERSION: i16 = 13;
/// ListOffsets: asks by name, so a topic created again may answer for its predecessor.
const OFFSETS_VERSION: i16 = 7;
const LATEST: Timestamp = Timestamp(-1);
const EARLIEST: Timestamp = Timestamp(-2);
/// Fetches of one place in the last look.
const LAST_FETCHES_MAX: usize = 5_000;
/// Attempts of the last look at an answer without an error.
const LAST_ATTEMPTS_MAX: usize = 300;

/// A consumer at work.
pub struct Consumer {
    number: u64,
    journal: Journal,
    chance: Chance,
    caller: Caller,
    think_us: u64,
    /// Where it goes on at each place.
    positions: BTreeMap<Place, i64>,
    uses_sessions: bool,
    session: Session,
}

/// A fetch session as its client counts it.
#[derive(Debug, Default)]
struct Session {
    id: i32,
    epoch: i32,
    /// From where the broker was last asked for each place.
    wanted: BTreeMap<Place, i64>,
}

impl Consumer {
    /// A consumer that has not begun.
    pub fn new(number: u64, seed: u64, think_us: u64, journal: Journal, at: SocketAddr) -> Self {
        Self {
            number,
            chance: Chance::new(seed),
            caller: Caller::new(at, journal.clone()),
            journal,
            think_us,
            positions: BTreeMap::new(),
            uses_sessions: seed.is_multiple_of(3),
            session: Session::default(),
        }
    }

    /// Reads until the run drains.
    pub async fn run(mut self) {
        while self.journal.phase() == Phase::Work {
            let pause = self.chance.micros(0, self.think_us);
            engine_rt::sleep(pause).await;
            if self.turn().await.is_err() {
                self.caller.hang_up();
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Hangup> {
        let targets = self.journal.targets();
        if targets.is_empty() {
            return Ok(());
        }
        if self.uses_sessions {
            return self.session_turn(&targets).await;
        }
        let target = targets[self.chance.size(0, targets.len() - 1)].clone();
        let place = self.draw_place(&target);
        if self.chance.one_in(6) {
            let is_end = self.chance.one_in(2);
            return self.ask_bound(&target, place, is_end).await;
        }
        let from = self.draw_position(place);
        let wait_ms = self.chance.pick(&[0, 0, 5, 40]);
        let mut request = records::fetch(&target.topic, wait_ms, 1, &[(place.partition, from)]);
        if self.chance.one_in(3) {
            // One batch at a time.
            request.max_bytes = 1;
        }
        if let Ok(read) = self.fetch(&request, place, from).await? {
            self.note(read);
        } else {
            // Below the start, past the end, or gone: begin again.
            self.positions.insert(place, 0);
            let is_end = self.chance.one_in(2);
            if self.ask_bound(&target, place, false).await.is_ok() && is_end {
                self.ask_bound(&target, place, true).await?;
            }
        }
        Ok(())
    }

    fn draw_place(&mut self, target: &Target) -> Place {
        let most = u64::try_from(target.partitions)
            .unwrap_or(1)
            .saturating_sub(1);
        Place {
            topic: target.number,
            partition: i32::try_from(self.chance.between(0, most)).unwrap_or(0),
        }
    }

    /// Where it goes on, or now and then anywhere before that.
    fn draw_position(&mut self, place: Place) -> i64 {
        let known = self.positions.get(&place).copied().unwrap_or(0);
        match self.chance.below(4) {
            0 => i64::try_from(self.chance.below(known.unsigned_abs() + 1)).unwrap_or(0),
            _ => known,
        }
    }

    fn note(&mut self, read: Read) {
        self.positions.insert(read.place, read.next);
        self.journal.read(read);
    }

    /// Fetches within a session: all places at first, then those whose position has changed.
    async fn session_turn(&mut self, targets: &[Target]) -> Result<(), Hangup> {
        if !self.caller.is_connected() || self.chance.one_in(40) {
            self.session = Session::default();
        }
        let mut request = records::fetch(&Topic::unknown(), 0, 1, &[]);
        request.max_wait_ms = self.chance.pick(&[0, 5, 40]);
        request.session_id = self.session.id;
        request.session_epoch = self.session.epoch;
        request.topics = Vec::new();
        for target in targets {
            let mut changed = Vec::new();
            for partition in 0..target.partitions {
                let place = Place {
                    topic: target.number,
                    partition,
                };
                let position = self.positions.get(&place).copied().unwrap_or(0);
                if self.session.wanted.insert(place, position) != Some(position) {
                    changed.push((partition, position));
                }
            }
            if !changed.is_empty() {
                let asked = records::fetch(&target.topic, 0, 1, &changed);
                request.topics.extend(asked.topics);
            }
        }
        // Whoever waits for a connection may have it in another life of the node.
        self.caller.client().await?;
        let mut span = self.journal.asked();
        let answer = self.caller.call(VERSION, &request).await?;
        span.returned = engine_rt::now().0;
        if answer.error_code != ErrorCode::NONE {
            self.journal.error(answer.error_code.0);
            self.session = Session::default();
            return Ok(());
        }
        self.session.id = answer.session_id;
        self.session.epoch = if answer.session_id == 0 {
            // No session was to be had: every fetch is a full one.
            self.session.wanted.clear();
            0
        } else {
            self.session.epoch + 1
        };
        for topic in answer.responses {
            let target = self.journal.target_of(topic.topic_id);
            for data in topic.partitions {
                let place = Place {
                    topic: target.as_ref().map_or(usize::MAX, |target| target.number),
                    partition: data.partition_index.get(),
                };
                let asked = self.session.wanted.get(&place).copied();
                let from = asked.or(self.positions.get(&place).copied()).unwrap_or(0);
                match self.read_of(data, place, from, span) {
                    Ok(read) => self.note(read),
                    Err(_) => {
                        if let Some(target) = &target {
                            self.positions.insert(place, 0);
                            self.ask_bound(target, place, false).await?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    async fn fetch(
        &mut self,
        request: &FetchRequest,
        place: Place,
        from: i64,
    ) -> Result<Result<Read, ErrorCode>, Hangup> {
        // Whoever waits for a connection may have it in another life of the node.
        self.caller.client().await?;
        let mut span = self.journal.asked();
        let answer = self.caller.call(VERSION, request).await?;
        span.returned = engine_rt::now().0;
        let data = answer
            .responses
            .into_iter()
            .next()
            .and_then(|topic| topic.partitions.into_iter().next())
            .expect("an answer names what was asked");
        assert_eq!(data.partition_index.get(), place.partition);
        Ok(self.read_of(data, place, from, span))
    }

    /// What an answer says of a place, or its error.
    fn read_of(
        &self,
        data: PartitionData,
        place: Place,
        from: i64,
        span: Span,
    ) -> Result<Read, ErrorCode> {
        if data.error_code != ErrorCode::NONE {
            self.journal.error(data.error_code.0);
            return Err(data.error_code);
        }
        let next = records::next_offset(data.records.as_ref()).unwrap_or(from);
        let found: Vec<Found> = records::read(data.records)
            .into_iter()
            .filter(|(offset, _)| *offset >= from)
            .map(|(offset, value)| found(offset, &value))
            .collect();
        Ok(Read {
            client: self.number,
            place,
            from,
            next,
            span,
            high_watermark: data.high_watermark.get(),
            log_start: data.log_start_offset.get(),
            found,
        })
    }

    async fn ask_bound(
        &mut self,
        target: &Target,
        place: Place,
        is_end: bool,
    ) -> Result<(), Hangup> {
        // Whoever waits for a connection may have it in another life of the node.
        self.caller.client().await?;
        let mut span = self.journal.asked();
        let answer = self.list_offset(&target.topic, place, is_end).await?;
        span.returned = engine_rt::now().0;
        // By name: an answer says which topic it is about only if that was there all the time.
        let is_same = !self.journal.is_going(place.topic);
        match answer {
            Ok(offset) if is_same => {
                if !is_end {
                    self.positions.entry(place).or_insert(offset);
                    let position = self.positions.get(&place).copied().unwrap_or(0);
                    self.positions.insert(place, position.max(offset));
                }
                self.journal.bound(Bound {
                    place,
                    span,
                    is_end,
                    offset,
                });
            }
            Ok(_) => {}
            Err(code) => self.journal.error(code.0),
        }
        Ok(())
    }

    async fn list_offset(
        &mut self,
        topic: &Topic,
        place: Place,
        is_end: bool,
    ) -> Result<Result<i64, ErrorCode>, Hangup> {
        let request = ListOffsetsRequest {
            replica_id: NodeId::NONE,
            topics: vec![ListOffsetsTopic {
                name: topic.name.as_str().into(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: PartitionIndex::new(place.partition),
                    timestamp: if is_end { LATEST } else { EARLIEST },
                    ..ListOffsetsPartition::default()
                }],
            }],
            ..ListOffsetsRequest::default()
        };
        let answer = self.caller.call(OFFSETS_VERSION, &request).await?;
        let part = answer
            .topics
            .first()
            .and_then(|topic| topic.partitions.first())
            .expect("an answer names what was asked");
        Ok(if part.error_code == ErrorCode::NONE {
            Ok(part.offset.get())
        } else {
            Err(part.error_code)
        })
    }

    /// Reads a whole place, from its start to its end; the error if it cannot be read.
    pub async fn read_whole(&mut self, topic: &Topic, place: Place) -> Result<LastState, i16> {
        let mut attempts = 0;
        let mut whole = LastState::default();
        let mut next = None;
        for _ in 0..LAST_FETCHES_MAX {
            let step = self.read_on(topic, place, next).await;
            match step {
                Ok(Ok(Step::Start(start))) => {
                    whole.log_start = start;
                    next = Some(start);
                }
                Ok(Ok(Step::Read(read))) => {
                    whole.end = read.high_watermark;
                    if read.next == read.from {
                        return Ok(whole);
                    }
                    next = Some(read.next);
                    whole.found.extend(read.found);
                }
                Ok(Err(code)) => {
                    attempts += 1;
                    let is_moved = code == ErrorCode::OFFSET_OUT_OF_RANGE;
                    if attempts > LAST_ATTEMPTS_MAX || !(code.is_retriable() || is_moved) {
                        return Err(code.0);
                    }
                    if is_moved {
                        // The start has moved past the place: begin again.
                        whole = LastState::default();
                        next = None;
                    }
                    engine_rt::sleep(super::caller::PATIENCE / 400).await;
                }
                Err(Hangup) => {
                    attempts += 1;
                    if attempts > LAST_ATTEMPTS_MAX {
                        return Err(ErrorCode::REQUEST_TIMED_OUT.0);
                    }
                }
            }
        }
        Err(ErrorCode::REQUEST_TIMED_OUT.0)
    }

    async fn read_on(
        &mut self,
        topic: &Topic,
        place: Place,
        next: Option<i64>,
    ) -> Result<Result<Step, ErrorCode>, Hangup> {
        let Some(from) = next else {
            let start = self.list_offset(topic, place, false).await?;
            return Ok(start.map(Step::Start));
        };
        let request = records::fetch(topic, 0, 1, &[(place.partition, from)]);
        let read = self.fetch(&request, place, from).await?;
        Ok(read.map(Step::Read))
    }
}

enum Step {
    Start(i64),
    Read(Read),
}
