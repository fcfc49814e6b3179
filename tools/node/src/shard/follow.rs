//! The main of every shard but the first: does what shard 0 says, until the end.

use crate::error::NodeError;
use crate::orders::{Leader, Order, Report};

use super::{Running, ShardParts};

pub(crate) async fn follow(parts: ShardParts, mut leader: Leader) {
    let Some(Order::Start { seed }) = leader.orders.recv().await else {
        return;
    };
    let running = match Running::start(parts, *seed).await {
        Ok(running) => running,
        Err(error) => {
            report(&leader, Report::Failed(error)).await;
            return;
        }
    };
    report(&leader, Report::Done).await;
    loop {
        let answer = match leader.orders.recv().await {
            Some(Order::Lead {
                directory,
                was_clean,
            }) => done(running.lead_cluster(directory, was_clean).await),
            Some(Order::Listen { addresses }) => done(running.listen(&addresses)),
            Some(Order::Recall) => {
                running.recall().await;
                Report::Done
            }
            Some(Order::Suspend) => Report::Suspended(running.suspend().await),
            Some(Order::Resume { seed }) => done(running.resume(*seed).await),
            // Shard 0 saw the request to stop and says when; or it is gone.
            Some(Order::Start { .. } | Order::Quiet | Order::Store) | None => break,
        };
        report(&leader, answer).await;
    }
    running.quiet().await;
    report(&leader, Report::Done).await;
    // Anything else than an order to go on means that shard 0 is gone: end as well.
    let _ = leader.orders.recv().await;
    let clean = running.store_away().await;
    report(&leader, Report::Stored { clean }).await;
}

fn done(result: Result<(), NodeError>) -> Report {
    match result {
        Ok(()) => Report::Done,
        Err(error) => Report::Failed(error),
    }
}

async fn report(leader: &Leader, report: Report) {
    // Shard 0 is gone: nobody wants to know.
    let _ = leader.reports.send(report).await;
}
