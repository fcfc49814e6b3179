//! A thread that notices a shard which no longer turns: a task that never yields, a system call
//! that never returns, a lost wake-up.
//!
//! A sleeping shard turns at every heartbeat, so silence means trouble. The watchdog logs it, and
//! in the last resort ends the process. Time in which the watchdog itself did not run (the
//! machine was suspended, the process stopped) counts for nobody.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::engine::Pulse;

/// What the watchdog knows of one shard.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    turns: u64,
    silent: Duration,
    logged: bool,
}

/// What one look at a shard says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Stuck,
    Recovered,
    Hopeless,
}

impl Seen {
    /// One look, `passed` after the last.
    fn look(
        &mut self,
        turns: u64,
        passed: Duration,
        warn_after: Duration,
        abort_after: Option<Duration>,
    ) -> Verdict {
        if turns != self.turns {
            self.turns = turns;
            self.silent = Duration::ZERO;
            return if std::mem::take(&mut self.logged) {
                Verdict::Recovered
            } else {
                Verdict::Fine
            };
        }
        self.silent = self.silent.saturating_add(passed);
        if abort_after.is_some_and(|limit| self.silent >= limit) {
            return Verdict::Hopeless;
        }
        if self.silent >= warn_after && !self.logged {
            self.logged = true;
            return Verdict::Stuck;
        }
        Verdict::Fine
    }
}

/// Watches until `ended` says that the run is over.
pub(super) fn watch(
    pulses: &[Arc<Pulse>],
    warn_after: Duration,
    abort_after: Option<Duration>,
    ended: &Receiver<()>,
) {
    let interval = (warn_after / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
    let mut seen = vec![Seen::default(); pulses.len()];
    loop {
        let before = Instant::now();
        if ended.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let passed = before.elapsed();
        if passed > interval * 4 {
            // We were not running either.
            continue;
        }
        for (shard, (pulse, seen)) in pulses.iter().zip(&mut seen).enumerate() {
            if pulse.ended.load(Ordering::Relaxed) {
                continue;
            }
            let turns = pulse.turns.load(Ordering::Relaxed);
            let operations = pulse.operations.load(Ordering::Relaxed);
            let tasks = pulse.tasks.load(Ordering::Relaxed);
            let silent_ms = seen.silent.as_millis();
            match seen.look(turns, passed, warn_after, abort_after) {
                Verdict::Fine => {}
                Verdict::Stuck => {
                    tracing::error!(
                        shard,
                        turns,
                        operations,
                        tasks,
                        "a shard has stopped turning"
                    );
                }
                Verdict::Recovered => tracing::warn!(shard, silent_ms, "the shard turns again"),
                Verdict::Hopeless => {
                    tracing::error!(
                        shard,
                        turns,
                        operations,
                        tasks,
                        silent_ms,
                        "a shard is stuck for good; ending the process"
                    );
                    std::process::abort();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_logged_once_then_ends_the_process_unless_it_ends_first() {
        let second = Duration::from_secs(1);
        let (warn, abort) = (2 * second, Some(4 * second));
        let mut seen = Seen::default();
        let looks = [
            (1, Verdict::Fine),
            (1, Verdict::Fine),
            (1, Verdict::Stuck),
            (1, Verdict::Fine),
            (2, Verdict::Recovered),
            (2, Verdict::Fine),
            (2, Verdict::Stuck),
            (2, Verdict::Fine),
            (2, Verdict::Hopeless),
        ];
        for (step, (turns, expected)) in looks.into_iter().enumerate() {
            assert_eq!(
                seen.look(turns, second, warn, abort),
                expected,
                "look {step}"
            );
        }
        let mut seen = Seen::default();
        for _ in 0..100 {
            assert_ne!(seen.look(0, second, warn, None), Verdict::Hopeless);
        }
    }
}
