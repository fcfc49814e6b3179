//! Clocks, sleeping and deadlines.
//!
//! The steady clock of a run starts near 0 and never goes back; under `sim` both clocks are
//! virtual.

mod wheel;

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use engine_model::{Moment, Timestamp};

pub(crate) use wheel::{TimerId, Wheel};

use crate::shard::{self, Shard};

/// The steady clock: nanoseconds since the run began.
pub fn now() -> Moment {
    shard::with_current(|shard| shard.backend.now())
}

/// The wall clock, which may jump.
pub fn wall_clock() -> Timestamp {
    shard::with_current(|shard| shard.backend.wall_clock())
}

/// Waits at least `duration`. Cancel: safe.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now().saturating_add(duration))
}

/// Waits until the steady clock shows at least `moment`. Cancel: safe.
pub fn sleep_until(moment: Moment) -> Sleep {
    Sleep {
        moment,
        armed: None,
    }
}

/// Waits for a moment; see [`sleep`].
#[must_use = "does nothing unless awaited"]
pub struct Sleep {
    moment: Moment,
    armed: Option<(Rc<Shard>, TimerId)>,
}

impl Sleep {
    /// When it ends.
    pub fn moment(&self) -> Moment {
        self.moment
    }

    fn disarm(&mut self) {
        if let Some((shard, timer)) = self.armed.take() {
            let waker = shard.timers.borrow_mut().remove(timer);
            drop(waker);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((shard, timer)) = &self.armed
            && shard.timers.borrow_mut().renew(*timer, cx.waker())
        {
            return Poll::Pending;
        }
        // Not armed yet, or fired: the clock decides.
        self.armed = None;
        let shard = shard::current();
        if shard.backend.now() >= self.moment {
            return Poll::Ready(());
        }
        let timer = shard
            .timers
            .borrow_mut()
            .insert(self.moment, cx.waker().clone());
        self.armed = Some((shard, timer));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("moment", &self.moment)
            .finish_non_exhaustive()
    }
}

/// The deadline came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deadline came first")]
pub struct Elapsed;

/// Runs `future` for at most `duration`; past it the future is dropped.
///
/// Cancel: as the future itself.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    timeout_at(now().saturating_add(duration), future).await
}

/// Runs `future` until `deadline` at most; past it the future is dropped.
///
/// Cancel: as the future itself.
pub async fn timeout_at<F: Future>(deadline: Moment, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = pin!(sleep_until(deadline));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        sleep.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}
