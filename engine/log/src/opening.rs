//! How much of a shard's time goes into opening batches of clients.
//!
//! A few kilobytes may decompress to megabytes, and a request may hold thousands of such batches:
//! they are opened in the turn in which they arrive, since later batches of the same log must not
//! overtake them.
//!
//! Keeps: of each window at most `SPENT_MAX`, and what one batch takes, is spent on this. Whoever
//! comes later is refused with an error that clients retry.

use core::cell::Cell;
use core::time::Duration;
use engine_model::Moment;

const WINDOW: Duration = Duration::from_secs(1);
const SPENT_MAX: Duration = Duration::from_millis(500);

/// The time spent in the window that began last.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    window: Cell<(Moment, Duration)>,
}

impl Opening {
    /// Begins to open a batch; `None` where too much of the shard's time went into that already.
    pub(crate) fn begin(&self) -> Option<Work<'_>> {
        let now = engine_rt::now();
        let (began, spent) = self.window.get();
        if now.saturating_since(began) >= WINDOW {
            self.window.set((now, Duration::ZERO));
        } else if spent >= SPENT_MAX {
            return None;
        }
        Some(Work {
            opening: self,
            since: now,
        })
    }

    fn spend(&self, time: Duration) {
        let (began, spent) = self.window.get();
        self.window.set((began, spent.saturating_add(time)));
    }
}

/// A batch is being opened, until this is dropped.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    opening: &'a Opening,
    since: Moment,
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.opening
            .spend(engine_rt::now().saturating_since(self.since));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_rt::sim::Simulation;

    #[test]
    fn work_beyond_its_share_is_refused_until_the_next_window() {
        let mut simulation = Simulation::new(1);
        let node = simulation.add_node(1);
        simulation
            .block_on(node, Duration::from_mins(1), || async {
                let opening = Opening::default();
                engine_rt::sleep(Duration::from_secs(5)).await;
                let one = opening.begin().unwrap();
                engine_rt::sleep(Duration::from_millis(300)).await;
                drop(one);
                let two = opening.begin().unwrap();
                engine_rt::sleep(Duration::from_millis(300)).await;
                drop(two);
                assert!(opening.begin().is_none());
                engine_rt::sleep(Duration::from_millis(300)).await;
                assert!(opening.begin().is_none());
                engine_rt::sleep(Duration::from_millis(200)).await;
                assert!(opening.begin().is_some());
            })
            .unwrap();
    }
}
