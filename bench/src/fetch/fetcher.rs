//! One connection that fetches.
//!
//! Keeps: one request in flight, as Kafka's consumer has on a connection; what was received is counted
//! batch by batch from their headers, and opened only when asked to.

use super::Received;
use crate::answer::{self, FetchedPartition};
use crate::control::Control;
use crate::deal::deal;
use crate::error::BenchError;
use crate::options::{Common, FetchLimits};
use crate::socket::Socket;
use crate::target::{Target, TargetPartition};
use bytes::Bytes;
use engine_codec::{Batch, BatchHeader, DeepLimits, validate_deep};
use engine_model::{NodeId, Offset, PartitionIndex, TopicId};
use net_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use net_protocol::{ApiKey, Text, request_frame};

/// From this version on there are fetch sessions.
const SESSIONS_FROM: i16 = 7;
/// The most bytes of a compressed batch that is opened.
const OPENED_BYTES_MAX: usize = 256 << 20;

/// Where one partition is read.
#[derive(Clone, Debug)]
struct Position {
    /// Its place in the target.
    place: usize,
    index: PartitionIndex,
    /// Where reading begins, and begins again at the end.
    start: i64,
    /// Where it begins again.
    end: i64,
    /// What is read next.
    next: i64,
    /// Whether the session knows another position.
    has_moved: bool,
}

/// See the module's own words.
pub struct Fetcher {
    /// The connection.
    pub socket: Socket,
    positions: Vec<Position>,
    /// All but its topics, which are written each time.
    request: FetchRequest,
    partition_max_bytes: i32,
    topic: Text,
    topic_id: TopicId,
    client_id: Text,
    version: i16,
    has_session: bool,
    is_checked: bool,
    correlation_id: i32,
    /// When the request in flight left, in nanoseconds of the run's clock.
    since: Option<u64>,
}

impl Fetcher {
    /// At least so many connections to the leaders of all partitions, and the version they speak.
    pub fn connect(
        common: &Common,
        limits: &FetchLimits,
        target: &Target,
        connections: usize,
    ) -> Result<(Vec<Self>, i16), BenchError> {
        let mut fetchers = Vec::new();
        let mut version = 0;
        for hand in deal(target, connections) {
            let control = Control::connect(&[hand.address], &common.client_id, common.timeout)?;
            version = control.version(ApiKey::Fetch)?;
            let (address, stream) = control.into_parts();
            let socket = Socket::new(address, stream)?;
            let partitions = &hand.partitions;
            fetchers.push(Self::new(
                socket, common, limits, target.id, partitions, version,
            ));
        }
        Ok((fetchers, version))
    }

    /// A connection that reads these partitions, each from its start to its end and again.
    fn new(
        socket: Socket,
        common: &Common,
        limits: &FetchLimits,
        topic_id: TopicId,
        partitions: &[(usize, TargetPartition)],
        version: i16,
    ) -> Self {
        let positions = partitions
            .iter()
            .map(|(place, partition)| Position {
                place: *place,
                index: partition.index,
                start: partition.start.get(),
                end: partition.end.get(),
                next: partition.start.get(),
                has_moved: true,
            })
            .collect();
        let has_session = limits.has_sessions && version >= SESSIONS_FROM;
        let request = FetchRequest {
            replica_id: NodeId::NONE,
            max_wait_ms: i32::try_from(limits.max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: limits.min_bytes,
            max_bytes: limits.max_bytes,
            session_epoch: if has_session { 0 } else { -1 },
            ..FetchRequest::default()
        };
        Self {
            socket,
            positions,
            request,
            partition_max_bytes: limits.partition_max_bytes,
            topic: common.topic.clone(),
            topic_id,
            client_id: common.client_id.clone(),
            version,
            has_session,
            is_checked: limits.is_checked,
            correlation_id: 0,
            since: None,
        }
    }

    /// Whether a request waits for its answer.
    pub const fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// Puts the next request into the socket's queue.
    pub fn issue(&mut self, now: u64) -> Result<(), BenchError> {
        let names_all = self.request.session_epoch <= 0;
        let mut partitions = Vec::with_capacity(self.positions.len());
        for position in &mut self.positions {
            if names_all || position.has_moved {
                position.has_moved = false;
                partitions.push(FetchPartition {
                    partition: position.index,
                    fetch_offset: Offset::new(position.next),
                    partition_max_bytes: self.partition_max_bytes,
                    ..FetchPartition::default()
                });
            }
        }
        self.request.topics.clear();
        if !partitions.is_empty() {
            self.request.topics.push(FetchTopic {
                topic: self.topic.clone(),
                topic_id: self.topic_id,
                partitions,
            });
        }
        for piece in self.frame()? {
            self.socket.push(piece);
        }
        // The partition that was named last is named first next time, so that all have their turn.
        if !self.has_session && !self.positions.is_empty() {
            self.positions.rotate_left(1);
        }
        self.since = Some(now);
        Ok(())
    }

    fn frame(&self) -> Result<Vec<Bytes>, BenchError> {
        let (id, client) = (self.correlation_id, Some(&self.client_id));
        Ok(request_frame(self.version, id, client, &self.request)?)
    }

    /// Takes the answers that have come; tells each batch to `received`, and how long it took.
    pub fn take_answers(
        &mut self,
        now: u64,
        received: &mut impl Received,
    ) -> Result<(), BenchError> {
        let Self {
            socket,
            positions,
            since,
            ..
        } = self;
        while let Some(frame) = socket.next_frame()? {
            let Some(asked) = since.take() else {
                return Err(BenchError::BadAnswer {
                    api: ApiKey::Fetch,
                    what: "nothing was asked",
                });
            };
            received.answer(now.saturating_sub(asked));
            let is_checked = self.is_checked;
            let top = answer::fetch(self.version, self.correlation_id, frame, |partition| {
                take(positions, &partition, is_checked, received)
            })?;
            if top.code.is_error() {
                return Err(net_client::ClientError::Broker {
                    api: ApiKey::Fetch,
                    code: top.code,
                }
                .into());
            }
            self.correlation_id = self.correlation_id.checked_add(1).unwrap_or(0);
            if self.has_session {
                self.request.session_id = top.session_id;
                // A broker that has no room for a session says 0, and is asked for one again.
                let epoch = self.request.session_epoch;
                self.request.session_epoch = match top.session_id {
                    0 => 0,
                    _ => epoch.checked_add(1).unwrap_or(1),
                };
            }
        }
        Ok(())
    }
}

/// Takes what an answer says of one partition.
fn take(
    positions: &mut [Position],
    fetched: &FetchedPartition<'_>,
    is_checked: bool,
    received: &mut impl Received,
) -> Result<(), BenchError> {
    let partition = fetched.index;
    if fetched.code.is_error() {
        return Err(BenchError::Refused {
            api: ApiKey::Fetch,
            partition,
            code: fetched.code,
        });
    }
    let mut found = positions.iter_mut().filter(|p| p.index == partition);
    let Some(position) = found.next() else {
        return Err(BenchError::BadAnswer {
            api: ApiKey::Fetch,
            what: "it has a partition that was not asked for",
        });
    };
    let bad = |offset, what| BenchError::BadRecords {
        partition,
        offset,
        what,
    };
    let mut rest = fetched.records;
    while !rest.is_empty() {
        // The last batch of an answer may be cut off; then nothing of it counts.
        let Ok(header) = BatchHeader::parse(rest) else {
            let is_cut = rest.len() < engine_codec::HEADER_BYTES;
            if is_cut {
                break;
            }
            return Err(bad(position.next, "no batch is there"));
        };
        let Some((batch, behind)) = rest.split_at_checked(header.total_bytes()) else {
            break;
        };
        rest = behind;
        let base = header.base_offset.get();
        let last = header.last_offset().get();
        if last < position.next {
            return Err(bad(base, "a batch below what was asked for"));
        }
        // The first batch may begin below what was asked for; after it there is no gap without
        // compaction, which makes no sense in a topic that is measured.
        if base > position.next {
            return Err(bad(position.next, "records are missing"));
        }
        if is_checked {
            check(batch).map_err(|what| bad(base, what))?;
        }
        let count = u64::try_from(header.record_count).unwrap_or(0);
        received.batch(position.place, base, count, batch.len())?;
        position.next = last.saturating_add(1);
        position.has_moved = true;
        if position.next >= position.end {
            position.next = position.start;
            // What else the answer has was written after the run began.
            break;
        }
    }
    Ok(())
}

/// Opens a batch and looks at every record.
fn check(batch: &[u8]) -> Result<(), &'static str> {
    let bytes = Bytes::copy_from_slice(batch);
    let batch = Batch::parse(&bytes).map_err(|_| "a batch that is none")?;
    batch.check_crc().map_err(|_| "a wrong checksum")?;
    validate_deep(&batch, &DeepLimits::new(OPENED_BYTES_MAX))
        .map_err(|_| "a record that is none")?;
    Ok(())
}
