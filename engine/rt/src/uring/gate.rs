//! When background tasks may run: freely while nobody else wants to, else for a small share.
//!
//! | since the last turn | background |
//! |---------------------|------------|
//! | no foreground task ran | one poll, then the driver looks at ring and timers again |
//! | some did | one poll as soon as its credit allows: one part of [`SHARE`] of the time that passed |
//!
//! Keeps: one poll a turn, so I/O and timers wait for one quantum of background work at most;
//! first come, first served. A poll that runs over is paid back before the next.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use engine_model::Moment;

/// Background work gets one part in this many while the foreground is busy.
const SHARE: u64 = 10;

/// Where a background task stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Out,
    Queued,
    Admitted,
}

/// One background task's pass.
#[derive(Debug, Default)]
pub(super) struct Pass(Cell<Standing>);

/// See the module's comment.
pub(super) struct Gate {
    waiting: RefCell<VecDeque<(Waker, Rc<Pass>)>>,
    /// Nanoseconds that background tasks may run while others want to; negative: overdrawn.
    credit: Cell<i64>,
    quantum: i64,
    counted_to: Cell<Moment>,
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Gate {
    pub(super) fn new(quantum: Duration) -> Self {
        Self {
            waiting: RefCell::default(),
            credit: Cell::new(0),
            quantum: nanos(quantum),
            counted_to: Cell::new(Moment(0)),
        }
    }

    /// Asks for a poll. `false`: it queues, and is woken when its turn comes.
    pub(super) fn admit(&self, pass: &Rc<Pass>, waker: &Waker) -> bool {
        match pass.0.get() {
            Standing::Admitted => {
                pass.0.set(Standing::Out);
                true
            }
            Standing::Queued => false,
            Standing::Out => {
                pass.0.set(Standing::Queued);
                self.waiting
                    .borrow_mut()
                    .push_back((waker.clone(), Rc::clone(pass)));
                false
            }
        }
    }

    /// A background poll took this long.
    pub(super) fn charge(&self, took: Duration) {
        // Overdrawn by ten quanta at most: one very long poll does not shut the gate for ever.
        let floor = self.quantum.saturating_mul(-10);
        self.credit
            .set(self.credit.get().saturating_sub(nanos(took)).max(floor));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Once a turn: lets the next one in if it is its turn. `busy`: foreground tasks ran since the
    /// last turn. Returns whether one was let in.
    pub(super) fn open(&self, now: Moment, busy: bool) -> bool {
        let passed = now.saturating_since(self.counted_to.replace(now));
        let share = nanos(passed) / i64::try_from(SHARE).unwrap_or(i64::MAX);
        self.credit
            .set(self.credit.get().saturating_add(share).min(self.quantum));
        if busy && self.credit.get() <= 0 {
            return false;
        }
        let next = self.waiting.borrow_mut().pop_front();
        match next {
            Some((waker, pass)) => {
                pass.0.set(Standing::Admitted);
                waker.wake();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_idle_shard_lets_one_in_each_turn_in_order() {
        let gate = Gate::new(Duration::from_micros(500));
        let (first, second) = (Rc::<Pass>::default(), Rc::<Pass>::default());
        let waker = Waker::from(Arc::<Count>::default());
        assert!(!gate.admit(&first, &waker));
        assert!(!gate.admit(&second, &waker));
        assert!(!gate.admit(&first, &waker), "queued once");
        assert!(gate.open(Moment(1), false));
        assert!(!gate.admit(&second, &waker));
        assert!(gate.admit(&first, &waker));
        assert!(gate.open(Moment(2), false));
        assert!(gate.admit(&second, &waker));
        assert!(gate.is_empty());
        assert!(!gate.open(Moment(3), false));
    }

    #[test]
    fn a_busy_shard_gives_one_part_in_ten() {
        let quantum = Duration::from_micros(500);
        let gate = Gate::new(quantum);
        let pass = Rc::<Pass>::default();
        let waker = Waker::from(Arc::<Count>::default());
        let mut ran = 0;
        // Turns of 100 us for one second, background polls of one quantum.
        for turn in 1..=10_000_u64 {
            gate.admit(&pass, &waker);
            if gate.open(Moment(turn * 100_000), true) {
                assert!(gate.admit(&pass, &waker));
                gate.charge(quantum);
                ran += 1;
            }
        }
        // A tenth of a second in quanta of 500 us is 200, plus what the first credit allows.
        assert!((199..=202).contains(&ran), "{ran}");
    }
}
