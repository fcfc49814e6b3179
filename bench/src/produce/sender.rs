//! One connection that produces.
//!
//! Keeps: answers are matched with requests in order; a batch the broker refuses ends the run.

use crate::answer;
use crate::error::BenchError;
use crate::latency::Durations;
use crate::number::wide;
use crate::payload::Payload;
use crate::socket::Socket;
use crate::template::{Template, Writer};
use bytes::BytesMut;
use engine_model::PartitionIndex;
use net_protocol::ApiKey;
use std::collections::VecDeque;

/// New bytes of requests are written into pieces of memory of this size.
const ARENA_BYTES: usize = 64 << 10;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    correlation_id: i32,
    /// When it left, or was meant to, in nanoseconds of the run's clock.
    since: u64,
    /// Batches in it.
    batches: u64,
}

/// Requests and batches that are done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Requests.
    pub requests: u64,
    /// Batches in them.
    pub batches: u64,
}

/// A group of partitions that one request writes to.
pub struct Group {
    /// The request.
    pub template: Template,
    /// The places of its partitions in the target.
    pub places: Vec<usize>,
    /// The next sequence of each partition.
    pub sequences: Vec<i32>,
}

/// See the module's own words.
pub struct Sender {
    /// The connection.
    pub socket: Socket,
    groups: Vec<Group>,
    next_group: usize,
    writer: Option<Writer>,
    correlation_id: i32,
    in_flight: VecDeque<InFlight>,
    /// Requests of an open loop that wait for room in the window, by when they were meant to leave.
    pub backlog: VecDeque<u64>,
    arena: BytesMut,
    version: i16,
    records_per_batch: i32,
}

impl Sender {
    /// A sender to these groups of partitions in turn.
    pub fn new(
        socket: Socket,
        groups: Vec<Group>,
        writer: Option<Writer>,
        version: i16,
        payload: &Payload,
    ) -> Self {
        Self {
            socket,
            groups,
            next_group: 0,
            writer,
            correlation_id: 0,
            in_flight: VecDeque::new(),
            backlog: VecDeque::new(),
            arena: BytesMut::with_capacity(ARENA_BYTES),
            version,
            records_per_batch: i32::try_from(payload.records).unwrap_or(i32::MAX),
        }
    }

    /// Requests that wait for their answers.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Puts the next request into the socket's queue; says to which partitions, by their places.
    pub fn issue(&mut self, since: u64) -> Result<&[usize], BenchError> {
        let groups = self.groups.len();
        let Some(group) = self.groups.get_mut(self.next_group) else {
            return Err(BenchError::Options("a connection has no partition"));
        };
        self.next_group = (self.next_group + 1) % groups;
        if self.arena.capacity() < ARENA_BYTES / 2 {
            self.arena.reserve(ARENA_BYTES);
        }
        let Group {
            template,
            places,
            sequences,
        } = group;
        let batches = wide(sequences.len());
        let records = self.records_per_batch;
        let next = |place: usize| {
            let Some(sequence) = sequences.get_mut(place) else {
                return 0;
            };
            let this = *sequence;
            // After the largest sequence comes zero.
            *sequence =
                i32::try_from((i64::from(this) + i64::from(records)) % (i64::from(i32::MAX) + 1))
                    .unwrap_or(0);
            this
        };
        let socket = &mut self.socket;
        let id = self.correlation_id;
        template.send(id, self.writer, next, &mut self.arena, |piece| {
            socket.push(piece);
        })?;
        self.correlation_id = id.checked_add(1).unwrap_or(0);
        self.in_flight.push_back(InFlight {
            correlation_id: id,
            since,
            batches,
        });
        Ok(places)
    }

    /// Takes the answers that have come.
    pub fn take_answers(&mut self, now: u64, latency: &mut Durations) -> Result<Done, BenchError> {
        let mut done = Done::default();
        while let Some(frame) = self.socket.next_frame()? {
            let Some(request) = self.in_flight.pop_front() else {
                return Err(BenchError::BadAnswer {
                    api: ApiKey::Produce,
                    what: "nothing was asked",
                });
            };
            answer::produce(
                self.version,
                request.correlation_id,
                frame,
                |partition: PartitionIndex, code, _| {
                    done.batches += 1;
                    if code.is_error() {
                        return Err(BenchError::Refused {
                            api: ApiKey::Produce,
                            partition,
                            code,
                        });
                    }
                    Ok(())
                },
            )?;
            done.requests += 1;
            latency.record(now.saturating_sub(request.since));
        }
        Ok(done)
    }

    /// With acks 0: what the kernel has taken is done.
    pub fn take_sent(&mut self, now: u64, latency: &mut Durations) -> Done {
        let mut done = Done::default();
        for request in self.in_flight.drain(..) {
            done.requests += 1;
            done.batches += request.batches;
            latency.record(now.saturating_sub(request.since));
        }
        done
    }
}
