//! Fetch: reads records from the shards that own them, waiting where there are too few.
//!
//! The wait belongs to the connection's shard. It asks the owners, who promise to signal the next
//! change of what had too little; then it watches, and looks again at what changed and at nothing
//! else. Nothing polls, and what was found too little is counted on, not read again.
//!
//! | session id | epoch | what it is                                                             |
//! |------------|-------|------------------------------------------------------------------------|
//! | any        | -1    | a fetch without a session; a session it names is closed                |
//! | any        | 0     | a fetch of all partitions named, which become a session if there is room; a session it names is closed |
//! | of one     | next  | partitions of the session; the answer has those with news              |
//! | any        | other | 70: no such session, 71: not its next epoch, 106: by ids and by names  |
//!
//! Keeps: at least one batch is returned if there is any, whatever the limits say; no record at or
//! above the high watermark (read_committed: the last stable offset) is.
//! Source: Kafka 4.3.1's answers; KIP-74, KIP-227, KIP-320, KIP-516.

mod answer;
mod round;

use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use engine_model::{ErrorCode, NodeId, TopicPartition};
use engine_shard::Waiter;
use net_protocol::fetch::{FetchRequest, FetchResponse};
use net_transport::Client;
use std::rc::Rc;

use crate::broker::Broker;
use crate::fetch_set::FetchSet;
use crate::question::Question;
use crate::sessions::Using;
use round::Round;

/// A session begins with epoch 0; -1 says that none is wanted.
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;
const READ_COMMITTED: i8 = 1;
/// From this version on topics are named by id alone.
const IDS_FROM: i16 = 13;
/// From this version on Kafka says who leads now.
const LEADERS_FROM: i16 = 16;

/// Reads what is there, or waits for it.
pub(crate) async fn fetch(
    broker: &Broker,
    version: i16,
    request: FetchRequest,
    client: &Client,
) -> FetchResponse {
    let limits = Limits::new(broker, version, &request);
    let mut scope = match open(broker, version, request).await {
        Ok(scope) => scope,
        Err(error_code) => {
            return FetchResponse {
                error_code,
                ..FetchResponse::default()
            };
        }
    };
    let is_session = !matches!(scope, Scope::Once(_));
    let mut round = Round::new(broker, limits, is_session, scope.set());
    let may_wait = !limits.wait_max.is_zero()
        && round.can_bring_more(scope.set())
        && !client.is_gone()
        && !engine_rt::stop_requested();
    round.read_first(may_wait).await;
    if may_wait && round.has_too_little() {
        wait(&mut round, scope.set(), client).await;
    }
    answer::respond(broker, round, scope)
}

/// Whose partitions a fetch reads.
enum Scope {
    /// Those of the request.
    Once(Box<FetchSet>),
    /// Those of the request, which may become a session.
    New(Box<FetchSet>),
    /// Those of a session.
    Session(Using),
}

impl Scope {
    fn set(&mut self) -> &mut FetchSet {
        match self {
            Self::Once(set) | Self::New(set) => set,
            Self::Session(using) => &mut using.set,
        }
    }
}

async fn open(broker: &Broker, version: i16, request: FetchRequest) -> Result<Scope, ErrorCode> {
    let uses_ids = version >= IDS_FROM;
    let (id, epoch) = (request.session_id, request.session_epoch);
    if matches!(epoch, INITIAL_EPOCH | FINAL_EPOCH) {
        if let Some(home) = broker.sessions().home(id) {
            // What became of it does not matter: it is not used any more.
            let _ = broker.ask(home, Question::CloseSession(id)).await;
        }
        let mut set = Box::new(FetchSet::new(uses_ids));
        set.want(request.topics);
        return Ok(if epoch == INITIAL_EPOCH {
            Scope::New(set)
        } else {
            Scope::Once(set)
        });
    }
    let now = engine_rt::now();
    let mut using = broker.sessions().begin(id, epoch, uses_ids, now)?;
    if let Some(waiter) = using.set.waiter() {
        using.set.changed(&waiter.take_woken());
    }
    using.set.want(request.topics);
    using.set.forget(&request.forgotten_topics_data);
    if using.set.len() == 0 {
        broker.sessions().close(id);
        return Ok(Scope::Once(using.set));
    }
    Ok(Scope::Session(using))
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    bytes_max: usize,
    bytes_min: usize,
    wait_max: Duration,
    read_committed: bool,
    /// There are no followers of this node yet.
    is_follower: bool,
    names_leaders: bool,
}

impl Limits {
    fn new(broker: &Broker, version: i16, request: &FetchRequest) -> Self {
        let bytes_max = size(request.max_bytes).min(broker.config().fetch_bytes_max);
        let is_follower = |id: NodeId| id.0 >= 0;
        Self {
            bytes_max,
            bytes_min: size(request.min_bytes).min(bytes_max),
            wait_max: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or_default()),
            read_committed: request.isolation_level == READ_COMMITTED,
            is_follower: is_follower(request.replica_id)
                || is_follower(request.replica_state.replica_id),
            names_leaders: version >= LEADERS_FROM,
        }
    }
}

fn size(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or_default()
}

/// Waits until there is enough, or something is wrong, or time is up, or nobody waits for the
/// answer any more; then reads what changed.
async fn wait(round: &mut Round<'_>, set: &mut FetchSet, client: &Client) {
    let waiter = match set.waiter() {
        Some(waiter) => waiter,
        // A full purgatory: the client has what there is, and comes again.
        None => match round.broker().watchers().waits().enter() {
            Ok(waiter) => Rc::new(waiter),
            Err(_) => return,
        },
    };
    if !round.watch(&waiter) {
        return;
    }
    loop {
        if !is_woken(&waiter, round, client).await {
            break;
        }
        let woken = waiter.take_woken();
        if woken.is_empty() {
            // All waiting has ended.
            break;
        }
        round.look_again(set, &woken).await;
        if !round.has_too_little() || !round.watch(&waiter) {
            break;
        }
    }
    round.read_what_is_stale().await;
}

/// Whether there is something to look at, and time to.
async fn is_woken(waiter: &Waiter<TopicPartition>, round: &Round<'_>, client: &Client) -> bool {
    let mut woken = pin!(waiter.woken(round.deadline()));
    let mut gone = pin!(client.gone());
    core::future::poll_fn(|context| {
        if gone.as_mut().poll(context).is_ready() {
            return Poll::Ready(false);
        }
        woken
            .as_mut()
            .poll(context)
            .map(|end| end == engine_shard::WaitEnd::Woken)
    })
    .await
}
