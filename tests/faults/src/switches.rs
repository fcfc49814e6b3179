//! What makes a file system fail: the switches that a test holds while the broker works.
//!
//! Keeps: once the power is cut nothing changes the disk any more and everything is answered with
//! EIO; the moment is a number of operations, so that a cut meets any step of the broker.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// EIO: the disk failed.
pub const EIO: i32 = 5;

/// What a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Bytes of it are read.
    Read,
    /// Bytes of it are written.
    Write,
    /// What was written is to be durable.
    Flush,
    /// Room is reserved.
    Allocate,
    /// A name is made, changed or removed.
    Name,
}

/// An error for operations of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which operations.
    pub verb: Verb,
    /// Only on files whose path holds this; all, if empty.
    pub path_holds: String,
    /// How many of them go well before.
    pub skips: u64,
    /// How many of them fail then.
    pub times: u64,
    /// With what.
    pub errno: i32,
}

/// Countdown to a power cut.
#[derive(Clone, Copy, Debug)]
pub struct Countdown {
    /// Operations that go well before.
    pub operations: u64,
    /// Whether the last one takes effect although nobody hears of it.
    pub takes_effect: bool,
    /// Flushes among the last so many operations lie: nothing becomes durable.
    pub lies: u64,
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// It fails, nothing changes.
    Fails(i32),
    /// It takes effect and is answered with an error.
    DoneButFails(i32),
    /// It is answered well, nothing changes.
    Lies,
}

/// How often each thing happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Flushes that went well.
    pub flushes: u64,
    /// Errors answered by a [`Fault`].
    pub faults: u64,
}

#[derive(Debug, Default)]
struct State {
    is_off: bool,
    countdown: Option<Countdown>,
    faults: Vec<Fault>,
    counts: Counts,
}

/// The switches of one file system.
#[derive(Debug, Default)]
pub struct Switches {
    state: Mutex<State>,
    changed: Condvar,
}

impl Switches {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the switches")
    }

    /// Decides on one operation; called by the file system.
    pub fn decide(&self, verb: Verb, path: impl FnOnce() -> String) -> Verdict {
        let mut state = self.state();
        if state.is_off {
            return Verdict::Fails(EIO);
        }
        match verb {
            Verb::Read => state.counts.reads += 1,
            Verb::Write => state.counts.writes += 1,
            _ => {}
        }
        let mut lies = false;
        if let Some(countdown) = &mut state.countdown {
            if countdown.operations == 0 {
                let takes_effect = countdown.takes_effect;
                state.is_off = true;
                state.countdown = None;
                self.changed.notify_all();
                return if takes_effect {
                    Verdict::DoneButFails(EIO)
                } else {
                    Verdict::Fails(EIO)
                };
            }
            countdown.operations -= 1;
            lies = countdown.operations < countdown.lies;
        }
        if !state.faults.is_empty() {
            let path = path();
            let fault = state
                .faults
                .iter_mut()
                .find(|fault| fault.verb == verb && path.contains(&fault.path_holds));
            if let Some(fault) = fault {
                if fault.skips > 0 {
                    fault.skips -= 1;
                } else if fault.times > 0 {
                    fault.times -= 1;
                    let errno = fault.errno;
                    state.counts.faults += 1;
                    self.changed.notify_all();
                    return Verdict::Fails(errno);
                }
            }
        }
        if verb == Verb::Flush {
            state.counts.flushes += 1;
            if lies {
                return Verdict::Lies;
            }
        }
        Verdict::Done
    }

    /// Cuts the power now.
    pub fn cut(&self) {
        let mut state = self.state();
        state.is_off = true;
        state.countdown = None;
        self.changed.notify_all();
    }

    /// Cuts the power later.
    pub fn cut_after(&self, countdown: Countdown) {
        self.state().countdown = Some(countdown);
    }

    /// Whether the power is cut.
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// Waits until the power is cut; false if that took too long.
    pub fn wait_off(&self, patience: Duration) -> bool {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, patience, |state| !state.is_off);
        waited.expect("the switches").0.is_off
    }

    /// Waits until so many faults have hit; false if that took too long.
    pub fn wait_faults(&self, count: u64, patience: Duration) -> bool {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, patience, |state| state.counts.faults < count);
        waited.expect("the switches").0.counts.faults >= count
    }

    /// Power is back; no cut is due, no fault is set.
    pub fn restore(&self) {
        let mut state = self.state();
        state.is_off = false;
        state.countdown = None;
        state.faults.clear();
    }

    /// Sets a fault, beside those there are.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }
}
