//! Giving way: long work looks at the clock and lets others run.

use std::future::poll_fn;
use std::task::Poll;

use crate::shard;

/// Lets every other runnable task run once.
///
/// Cancel: safe.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(move |cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// This task has run for about 500 microseconds since it was last polled and should yield.
pub fn is_yield_due() -> bool {
    shard::with_current(|shard| {
        let now = shard.backend.now();
        now.saturating_since(shard.streak_start()) >= shard.backend.quantum()
    })
}

/// Yields if it is due; cheap enough for every round of a loop.
///
/// Cancel: safe.
pub async fn yield_if_due() {
    if is_yield_due() {
        yield_now().await;
    }
}
