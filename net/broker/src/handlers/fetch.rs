//! Fetch: reads records from the shards that own them, waiting where there are too few.
//!
//! The wait belongs to the connection's shard: it parks on all partitions, *then* asks the owners
//! (who promise to signal their next change if they have too little), and looks again when
//! signalled. Nothing polls.
//!
//! Keeps: at least one batch is returned if there is any, whatever the limits say; no record at or
//! above the high watermark (read_committed: the last stable offset) is.
//! Does not: keep fetch sessions. Every answer says session 0, which tells a client to name its
//! partitions each time. Source: Kafka 4.3.1's answers; KIP-74, KIP-227, KIP-320, KIP-516.

mod layout;

use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use engine_model::{ErrorCode, NodeId, ShardId};
use engine_shard::{Wait, join_all};
use net_protocol::fetch::{FetchRequest, FetchResponse};
use net_transport::Client;
use std::collections::BTreeMap;

use crate::broker::Broker;
use crate::question::{Answer, FetchAnswer, FetchQuestion, Question};
use layout::{Layout, Slot};

/// A session begins with epoch 0; -1 says that none is wanted.
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;
const READ_COMMITTED: i8 = 1;

/// Reads what is there, or waits for it.
pub(crate) async fn fetch(
    broker: &Broker,
    version: i16,
    request: FetchRequest,
    client: &Client,
) -> FetchResponse {
    if !matches!(request.session_epoch, INITIAL_EPOCH | FINAL_EPOCH) {
        return FetchResponse {
            error_code: ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
            ..FetchResponse::default()
        };
    }
    let limits = Limits::new(broker, &request);
    let deadline = engine_rt::now().saturating_add(limits.wait_max);
    let mut layout = Layout::new(&broker.image(), version, request);
    loop {
        let wait = if limits.wait_max.is_zero() || layout.partitions().is_empty() {
            None
        } else {
            broker
                .watchers()
                .waits()
                .park(layout.partitions(), deadline)
                .ok()
        };
        let may_wait = wait.is_some() && !client.is_gone() && !engine_rt::stop_requested();
        read(broker, &mut layout, &limits, may_wait).await;
        let is_due = engine_rt::now() >= deadline;
        match wait {
            Some(wait)
                if may_wait
                    && !is_due
                    && layout.bytes() < limits.bytes_min
                    && !layout.has_errors() =>
            {
                // What was read is given back: it may be long until it is sent.
                layout.forget_records();
                park(wait, client).await;
            }
            _ => break,
        }
    }
    layout.into_response(limits.bytes_max)
}

struct Limits {
    bytes_max: usize,
    bytes_min: usize,
    wait_max: Duration,
    read_committed: bool,
}

impl Limits {
    fn new(broker: &Broker, request: &FetchRequest) -> Self {
        let bytes_max = size(request.max_bytes).min(broker.config().fetch_bytes_max);
        Self {
            bytes_max,
            bytes_min: size(request.min_bytes).min(bytes_max),
            wait_max: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or_default()),
            read_committed: request.isolation_level == READ_COMMITTED,
        }
    }
}

fn size(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or_default()
}

/// Reads every partition once, all owners at the same time.
async fn read(broker: &Broker, layout: &mut Layout, limits: &Limits, may_wait: bool) {
    let mut by_owner: BTreeMap<ShardId, Vec<(usize, Slot)>> = BTreeMap::new();
    for (place, slot) in layout.slots() {
        let owner = broker.owner(slot.fetch.partition);
        by_owner.entry(owner).or_default().push((place, slot));
    }
    let mut places = Vec::with_capacity(by_owner.len());
    let mut calls = Vec::with_capacity(by_owner.len());
    for (owner, slots) in by_owner {
        let question = FetchQuestion {
            partitions: slots.iter().map(|(_, slot)| slot.fetch).collect(),
            bytes_max: limits.bytes_max,
            at_least_one: true,
            read_committed: limits.read_committed,
            watch_below: if may_wait { limits.bytes_min } else { 0 },
        };
        places.push(slots);
        calls.push(broker.ask(owner, Question::Fetch(question)));
    }
    for (slots, answered) in places.into_iter().zip(join_all(calls).await) {
        let answers = match answered {
            Ok(Answer::Fetch(answers)) => answers,
            // The owner is going down with the node.
            _ => vec![FetchAnswer::refused(ErrorCode::NOT_LEADER_OR_FOLLOWER); slots.len()],
        };
        for ((place, _), answer) in slots.into_iter().zip(answers) {
            layout.set(place, answer);
        }
    }
}

/// Waits until a partition changed, time is up, or nobody waits for the answer any more.
async fn park(wait: Wait<engine_model::TopicPartition>, client: &Client) {
    let mut wait = pin!(wait);
    let mut gone = pin!(client.gone());
    core::future::poll_fn(|context| {
        if gone.as_mut().poll(context).is_ready() || wait.as_mut().poll(context).is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Whether a request comes from a consumer; there are no followers of this node yet.
fn is_consumer(replica: NodeId) -> bool {
    replica.0 < 0
}
