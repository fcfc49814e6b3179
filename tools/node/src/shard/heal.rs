//! Lifting fences: what shard 0 does while the node serves.
//!
//! ```text
//! serving --fenced--> fenced --probe went well--> suspended --recovered, loaded--> serving
//!                     ^    |                              |
//!                     |    probe failed: wait             something failed: wait, probe again
//!                     +---------------------------------- +
//! ```
//!
//! While the directory is fenced its stores still stand: reads go on, everything else is answered
//! with an error that clients retry. Between suspension and service reads are too. Connections, the
//! mesh and the image stay all the time.
//!
//! Keeps: a store is never started beside another of its shard; what stores had acknowledged when
//! they stopped holds until a recovery has been measured by it; a request to stop is heard at every
//! wait.
//! Does not: decide what a recovery accepts (`engine_log`), or end the node because it cannot heal.

use core::future::Future;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use engine_log::{Directory, StableEnds};
use engine_model::{Moment, ShardId};
use replication_runtime::controller_shard;

use crate::error::NodeError;
use crate::orders::{Follower, Order, Report};

use super::Running;
use super::lead::{heard, lead_cluster, send};

/// The wait after the first failed attempt; each that follows is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest wait: a disk that works again is noticed that soon.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// After so long without a fence the next one is met as if it were the first.
const QUIET: Duration = Duration::from_secs(30);

/// Serves until a stop is requested, and lifts every fence until then.
pub(super) async fn serve(
    running: &Running,
    followers: &mut [Follower],
    directory: &mut Directory,
) {
    let mut pause = PAUSE_MIN;
    let mut healed_at = engine_rt::now();
    while let Some(cause) = unless_stopped(running.until_fenced()).await {
        let fenced_at = engine_rt::now();
        if fenced_at.saturating_since(healed_at) >= QUIET {
            pause = PAUSE_MIN;
        }
        tracing::warn!(%cause, "nothing is written until the disk works again; reads go on");
        if !heal(running, followers, directory, &mut pause).await {
            return;
        }
        healed_at = engine_rt::now();
        told_healed(fenced_at, healed_at);
    }
}

fn told_healed(fenced_at: Moment, healed_at: Moment) {
    let seconds = healed_at.saturating_since(fenced_at).as_secs_f64();
    tracing::info!(
        seconds,
        "the data directory was recovered and takes changes again"
    );
}

/// Tries until the node serves again; false if it is to stop.
async fn heal(
    running: &Running,
    followers: &mut [Follower],
    directory: &mut Directory,
    pause: &mut Duration,
) -> bool {
    let mut told = String::new();
    loop {
        // A disk that fails at once again and again is met less and less often.
        if unless_stopped(engine_rt::sleep(*pause)).await.is_none() {
            return false;
        }
        *pause = pause.saturating_mul(2).min(PAUSE_MAX);
        let result = match unless_stopped(directory.probe()).await {
            None => return false,
            Some(Err(error)) => Err(NodeError::Storage(error)),
            Some(Ok(())) => reopen(running, followers, directory).await,
        };
        match result {
            Ok(()) => return true,
            Err(_) if engine_rt::stop_requested() => return false,
            Err(error) => {
                let error = error.to_string();
                if error != told {
                    tracing::warn!(%error, "the data directory stays fenced");
                    told = error;
                }
            }
        }
    }
}

/// Stops every store, recovers the directory, starts stores and controller again.
async fn reopen(
    running: &Running,
    followers: &mut [Follower],
    directory: &mut Directory,
) -> Result<(), NodeError> {
    let shards = followers.len().saturating_add(1);
    recall(running, followers, controller_shard(shards)).await?;
    for follower in &*followers {
        send(follower, Order::Suspend).await;
    }
    let mut ends = vec![running.suspend().await];
    for follower in &mut *followers {
        ends.push(suspended(follower).await?);
    }
    // Given up for a stop, it is like a crash there: the next start begins it anew.
    let unfenced = match unless_stopped(directory.unfence(ends)).await {
        None => return Err(NodeError::ShardEnded { shard: 0 }),
        Some(unfenced) => unfenced.map_err(NodeError::Open)?,
    };
    tracing::info!(
        run = unfenced.run,
        logs = unfenced.report.logs,
        frames = unfenced.report.frames,
        lost = unfenced.lost.len(),
        "data directory recovered"
    );
    let mut seeds = unfenced.seeds.into_iter();
    let own = seeds.next();
    for (follower, seed) in followers.iter().zip(seeds) {
        let seed = Box::new(seed);
        send(follower, Order::Resume { seed }).await;
    }
    let mut result = match own {
        Some(seed) => running.resume(seed).await,
        None => Err(NodeError::ShardEnded { shard: 0 }),
    };
    for follower in &mut *followers {
        result = result.and(heard(follower).await);
    }
    result?;
    // Not clean, as after a crash.
    lead_cluster(running, followers, shards, directory.id(), false).await
}

async fn recall(
    running: &Running,
    followers: &mut [Follower],
    shard: ShardId,
) -> Result<(), NodeError> {
    if shard == ShardId(0) {
        running.recall().await;
        return Ok(());
    }
    let follower = followers
        .iter_mut()
        .find(|follower| follower.shard == shard)
        .ok_or(NodeError::ShardEnded { shard: shard.0 })?;
    send(follower, Order::Recall).await;
    heard(follower).await
}

async fn suspended(follower: &mut Follower) -> Result<StableEnds, NodeError> {
    match follower.reports.recv().await {
        Some(Report::Suspended(ends)) => Ok(ends),
        Some(Report::Failed(error)) => Err(error),
        Some(Report::Done | Report::Stored { .. }) | None => Err(NodeError::ShardEnded {
            shard: follower.shard.0,
        }),
    }
}

/// Runs `future` to its end; `None` if a stop is requested first, and the future is dropped then.
async fn unless_stopped<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut stopped = pin!(engine_rt::stopped());
    let mut future = pin!(future);
    core::future::poll_fn(|context| {
        if stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(context).map(Some)
    })
    .await
}
