//! The operations under way of one shard, and the future that waits for one of them.
//!
//! | state | event | next |
//! |-------|-------|------|
//! | (room) | submit | Waiting |
//! | Waiting | completion | Finished, waker called |
//! | Waiting | completion with `more` | Lingering, with a copy of the operation handed over |
//! | Waiting | future dropped | Orphan, cancelled if it waits for a peer |
//! | Finished | future polled or dropped | (room) |
//! | Lingering | last completion | Finished or (room) |
//! | Orphan | last completion | (room), descriptors that came back are closed |
//!
//! Keeps: at most [`PEER_OPERATIONS_MAX`] that wait for peers and [`LOCAL_OPERATIONS_MAX`] others
//! at a time, later ones wait their turn, so that idle connections never keep files from being
//! served; closes and shutdowns are let in always. Nothing is dropped while the table is borrowed,
//! because dropping a descriptor submits its close.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Completion, Operation};
use crate::shard::Shard;
use crate::sync::wait_list::{Place, WaitList};

/// Operations of one shard that wait for peers, under way at once: two for each connection that
/// sends and receives.
pub(crate) const PEER_OPERATIONS_MAX: usize = 128 * 1024;
/// Other operations of one shard under way at once.
pub(crate) const LOCAL_OPERATIONS_MAX: usize = 16 * 1024;

/// Names an operation from submission to its last completion; never equal to another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OpId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl OpId {
    /// As one number, for a ring's user data.
    pub(crate) fn to_u64(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.slot)
    }

    pub(crate) fn from_u64(raw: u64) -> Self {
        let low = raw & u64::from(u32::MAX);
        Self {
            slot: u32::try_from(low).unwrap_or(u32::MAX),
            generation: u32::try_from(raw >> 32).unwrap_or(u32::MAX),
        }
    }
}

#[derive(Debug)]
enum State {
    Free,
    Waiting {
        operation: Operation,
        waker: Option<Waker>,
    },
    Orphan {
        operation: Operation,
    },
    /// The result is known, and so is (unless `handed` was taken) a copy of the operation; the
    /// original is still in the kernel's hands.
    Lingering {
        operation: Operation,
        result: i32,
        waits: bool,
    },
    Finished {
        operation: Operation,
        result: i32,
    },
}

/// Which bound an operation counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Peer,
    Local,
    /// Gives something back: never put off.
    Free,
}

impl Kind {
    fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Close { .. } | Operation::Shutdown { .. } => Self::Free,
            _ if operation.waits_for_peer() => Self::Peer,
            _ => Self::Local,
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Peer => PEER_OPERATIONS_MAX,
            Self::Local => LOCAL_OPERATIONS_MAX,
            Self::Free => usize::MAX,
        }
    }
}

/// Operations of one kind.
#[derive(Debug, Default)]
struct Lane {
    under_way: usize,
    /// Tasks that wait for room, first come, first served.
    room: WaitList<()>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    kind: Kind,
    state: State,
}

/// See the module's comment.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    peer: Lane,
    local: Lane,
    given_back: Lane,
}

/// What remains to be done after a change, once the table is no longer borrowed.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct After {
    waker: Option<Waker>,
    dropped: Option<Operation>,
    room: Option<Waker>,
    /// A waker nobody needs any more.
    spent: Option<Waker>,
    /// A descriptor nobody will take.
    stray: Option<i32>,
}

impl Table {
    /// Operations between submission and last completion.
    pub(crate) fn under_way(&self) -> usize {
        [&self.peer, &self.local, &self.given_back]
            .into_iter()
            .map(|lane| lane.under_way)
            .fold(0, usize::saturating_add)
    }

    fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Peer => &mut self.peer,
            Kind::Local => &mut self.local,
            Kind::Free => &mut self.given_back,
        }
    }

    fn has_room(&mut self, kind: Kind) -> bool {
        self.lane(kind).under_way < kind.limit()
    }

    /// Sets a slot aside.
    fn reserve(&mut self, kind: Kind) -> OpId {
        let lane = self.lane(kind);
        lane.under_way = lane.under_way.saturating_add(1);
        if let Some(slot) = self.free.pop()
            && let Some(entry) = usize::try_from(slot)
                .ok()
                .and_then(|i| self.slots.get_mut(i))
        {
            entry.generation = entry.generation.wrapping_add(1);
            entry.kind = kind;
            return OpId {
                slot,
                generation: entry.generation,
            };
        }
        // Bounded by both maxima and the closes of as many descriptors as the process may have
        // open, which is far below u32::MAX.
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot {
            generation: 0,
            kind,
            state: State::Free,
        });
        OpId {
            slot,
            generation: 0,
        }
    }

    fn slot(&mut self, id: OpId) -> Option<&mut Slot> {
        self.slots
            .get_mut(usize::try_from(id.slot).ok()?)
            .filter(|slot| slot.generation == id.generation)
    }

    fn release(&mut self, id: OpId, after: &mut After) {
        let Some(kind) = self.slot(id).map(|slot| slot.kind) else {
            return;
        };
        self.free.push(id.slot);
        let lane = self.lane(kind);
        lane.under_way = lane.under_way.saturating_sub(1);
        after.room = lane.room.pop().map(|waiter| waiter.waker);
    }

    /// The operation while it is under way.
    pub(crate) fn operation(&mut self, id: OpId) -> Option<&mut Operation> {
        match &mut self.slot(id)?.state {
            State::Waiting { operation, .. }
            | State::Orphan { operation }
            | State::Lingering { operation, .. } => Some(operation),
            State::Free | State::Finished { .. } => None,
        }
    }

    /// Takes in one completion.
    pub(crate) fn complete(&mut self, id: OpId, completion: Completion) -> After {
        let Completion { result, more } = completion;
        let mut after = After::default();
        let Some(slot) = self.slot(id) else {
            return after;
        };
        let mut released = false;
        slot.state = match std::mem::replace(&mut slot.state, State::Free) {
            State::Waiting { operation, waker } => {
                after.waker = waker;
                if more {
                    State::Lingering {
                        operation,
                        result,
                        waits: true,
                    }
                } else {
                    State::Finished { operation, result }
                }
            }
            State::Orphan { operation } if more => State::Orphan { operation },
            State::Orphan { operation } => {
                if operation.yields_descriptor() && result >= 0 {
                    after.stray = Some(result);
                }
                after.dropped = Some(operation);
                released = true;
                State::Free
            }
            // The last completion of a lingering operation carries no result of its own.
            State::Lingering {
                operation,
                result,
                waits,
            } if more => State::Lingering {
                operation,
                result,
                waits,
            },
            State::Lingering {
                operation,
                result,
                waits: true,
            } => State::Finished { operation, result },
            State::Lingering {
                operation,
                waits: false,
                ..
            } => {
                after.dropped = Some(operation);
                released = true;
                State::Free
            }
            same @ (State::Free | State::Finished { .. }) => same,
        };
        if released {
            self.release(id, &mut after);
        }
        after
    }

    /// Takes every operation out, as they are; for a shard that has ended.
    pub(crate) fn take_all(&mut self) -> Vec<Operation> {
        let slots = std::mem::take(&mut self.slots);
        self.free.clear();
        self.peer.under_way = 0;
        self.local.under_way = 0;
        self.given_back.under_way = 0;
        slots
            .into_iter()
            .filter_map(|slot| match slot.state {
                State::Free => None,
                State::Waiting { operation, .. }
                | State::Orphan { operation }
                | State::Lingering { operation, .. }
                | State::Finished { operation, .. } => Some(operation),
            })
            .collect()
    }

    /// Ids of the operations under way, in the order of their slots.
    pub(crate) fn ids(&self) -> Vec<OpId> {
        (0_u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| !matches!(slot.state, State::Free | State::Finished { .. }))
            .map(|(index, slot)| OpId {
                slot: index,
                generation: slot.generation,
            })
            .collect()
    }
}

impl Shard {
    /// Takes in one completion of operation `id`; unknown ids are ignored.
    pub(crate) fn complete(&self, id: OpId, completion: Completion) {
        let after = self.operations.borrow_mut().complete(id, completion);
        self.settle(after);
    }

    /// Changes an operation under way, to fill in what it brings back.
    pub(crate) fn with_operation<R>(
        &self,
        id: OpId,
        change: impl FnOnce(&mut Operation) -> R,
    ) -> Option<R> {
        self.operations.borrow_mut().operation(id).map(change)
    }

    /// Operations between submission and last completion.
    pub(crate) fn operations_under_way(&self) -> usize {
        self.operations.borrow().under_way()
    }

    fn settle(&self, after: After) {
        let After {
            waker,
            dropped,
            room,
            spent,
            stray,
        } = after;
        if let Some(raw) = stray {
            self.close(raw);
        }
        drop((dropped, spent));
        if let Some(waker) = waker {
            waker.wake();
        }
        if let Some(waker) = room {
            waker.wake();
        }
    }

    fn start(&self, mut operation: Operation, state: impl FnOnce(Operation) -> State) -> OpId {
        let id = self.operations.borrow_mut().reserve(Kind::of(&operation));
        self.backend.submit(id, &mut operation);
        if let Some(slot) = self.operations.borrow_mut().slot(id) {
            slot.state = state(operation);
        }
        id
    }

    /// Closes a descriptor: through the backend's queue, or at once when the shard has ended.
    pub(crate) fn close(&self, raw: i32) {
        if self.has_ended() {
            self.backend.close_now(raw);
        } else {
            self.start(Operation::Close { raw }, |operation| State::Orphan {
                operation,
            });
        }
    }
}

/// Waits for one operation; submits it when first polled.
///
/// Result and operation come back together. Cancel: the operation goes on without its future and
/// is cleaned up when it completes; one that waits for a peer is cancelled.
#[derive(Debug)]
#[must_use = "does nothing unless awaited"]
pub(crate) struct Submitted {
    shard: Rc<Shard>,
    step: Step,
}

#[derive(Debug)]
enum Step {
    New(Operation),
    /// Waits for room among its kind.
    Queued(Operation, Place),
    UnderWay(OpId),
    Done,
}

impl Submitted {
    pub(crate) fn new(shard: Rc<Shard>, operation: Operation) -> Self {
        Self {
            shard,
            step: Step::New(operation),
        }
    }

    fn begin(&mut self, operation: Operation, cx: &Context<'_>) -> Poll<(i32, Operation)> {
        if self.shard.has_ended() {
            return Poll::Ready((-libc::ECANCELED, operation));
        }
        let waker = cx.waker().clone();
        let kind = Kind::of(&operation);
        let has_room = self.shard.operations.borrow_mut().has_room(kind);
        self.step = if has_room {
            let waker = Some(waker);
            let state = |operation| State::Waiting { operation, waker };
            Step::UnderWay(self.shard.start(operation, state))
        } else {
            let place = self
                .shard
                .operations
                .borrow_mut()
                .lane(kind)
                .room
                .push(waker, ());
            Step::Queued(operation, place)
        };
        Poll::Pending
    }
}

impl Future for Submitted {
    type Output = (i32, Operation);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match std::mem::replace(&mut this.step, Step::Done) {
            Step::New(operation) => this.begin(operation, cx),
            Step::Queued(operation, place) => {
                let waits = {
                    let mut table = this.shard.operations.borrow_mut();
                    table
                        .lane(Kind::of(&operation))
                        .room
                        .renew(place, cx.waker())
                };
                if waits && !this.shard.has_ended() {
                    this.step = Step::Queued(operation, place);
                    return Poll::Pending;
                }
                this.begin(operation, cx)
            }
            Step::UnderWay(id) => {
                let (after, ready) = this.shard.operations.borrow_mut().poll(id, cx.waker());
                this.shard.settle(after);
                if ready.is_pending() {
                    this.step = Step::UnderWay(id);
                }
                ready
            }
            // Polled after its end, or the shard was torn down under it: never ready again.
            Step::Done => Poll::Pending,
        }
    }
}

impl Table {
    fn poll(&mut self, id: OpId, waker: &Waker) -> (After, Poll<(i32, Operation)>) {
        let mut after = After::default();
        let Some(slot) = self.slot(id) else {
            return (after, Poll::Pending);
        };
        let mut released = false;
        let mut ready = Poll::Pending;
        slot.state = match std::mem::replace(&mut slot.state, State::Free) {
            State::Waiting {
                operation,
                waker: mut known,
            } => {
                match &mut known {
                    Some(known) => known.clone_from(waker),
                    None => known = Some(waker.clone()),
                }
                State::Waiting {
                    operation,
                    waker: known,
                }
            }
            State::Finished { operation, result } => {
                ready = Poll::Ready((result, operation));
                released = true;
                State::Free
            }
            State::Lingering {
                operation,
                result,
                waits: true,
            } => match operation.copy() {
                Some(copy) => {
                    ready = Poll::Ready((result, copy));
                    State::Lingering {
                        operation,
                        result,
                        waits: false,
                    }
                }
                None => State::Lingering {
                    operation,
                    result,
                    waits: true,
                },
            },
            same @ (State::Free | State::Orphan { .. } | State::Lingering { .. }) => same,
        };
        if released {
            self.release(id, &mut after);
        }
        (after, ready)
    }

    /// The future of `id` is gone. Returns whether it is still under way and waits for a peer.
    fn orphan(&mut self, id: OpId) -> (After, bool) {
        let mut after = After::default();
        let Some(slot) = self.slot(id) else {
            return (after, false);
        };
        let mut released = false;
        let mut cancel = false;
        slot.state = match std::mem::replace(&mut slot.state, State::Free) {
            State::Waiting { operation, waker } => {
                cancel = operation.waits_for_peer();
                after.spent = waker;
                State::Orphan { operation }
            }
            State::Lingering { operation, .. } => State::Orphan { operation },
            State::Finished { operation, result } => {
                if operation.yields_descriptor() && result >= 0 {
                    after.stray = Some(result);
                }
                after.dropped = Some(operation);
                released = true;
                State::Free
            }
            same @ (State::Free | State::Orphan { .. }) => same,
        };
        if released {
            self.release(id, &mut after);
        }
        (after, cancel)
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.step, Step::Done) {
            Step::New(_) | Step::Done => {}
            Step::Queued(operation, place) => {
                let next = {
                    let mut table = self.shard.operations.borrow_mut();
                    let room = &mut table.lane(Kind::of(&operation)).room;
                    // Its turn had come: the next one takes it.
                    if room.remove(place) { None } else { room.pop() }
                };
                if let Some(next) = next {
                    next.waker.wake();
                }
            }
            Step::UnderWay(id) => {
                let (after, cancel) = self.shard.operations.borrow_mut().orphan(id);
                if cancel {
                    self.shard.backend.cancel(id);
                }
                self.shard.settle(after);
            }
        }
    }
}

#[cfg(test)]
mod tests;
