//! The connections of one shard: how they come in, which are given up, how they stop.
//!
//! Keeps: a connection is charged to the memory budget before it is accepted, and comes in by the
//! door of the process. It is closed
//! - without traffic for `idle_max`;
//! - where its client stalls inside a frame: nothing for `stalled_max`, or hardly anything;
//! - where its client does not take its answers: nothing of one send for `unread_max`;
//! - sooner in these last two cases while the shard, or another, is short of memory.
//!
//! After `stop` all are answered and closed within twice `stop_grace`.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::Future;
use core::time::Duration;
use engine_model::{HashMap, Moment};
use engine_rt::{Listener, Stream};
use std::rc::Rc;

use crate::budget::Budget;
use crate::connection::{self, Phase, Service, State};
use crate::door::{Door, Guest};
use crate::watched::{self, Watched};

/// What a connection holds whatever it does: its tasks, its entries in lists, the buffer for its
/// next request. Charged to the budget; measured over 10,000 idle connections.
pub const CONNECTION_BYTES: usize = 8 << 10;
/// The rate in bytes a second that half-received frames must keep on average, after `stalled_max`.
const RATE_MIN: usize = 1 << 10;
/// So long may a client pause inside a frame while memory is short.
const STALLED_MAX_IF_SHORT: Duration = Duration::from_secs(2);
/// The rate that half-received frames must keep while memory is short.
const RATE_MIN_IF_SHORT: usize = 64 << 10;
/// So long may a client take none of its answers while memory is short.
const UNREAD_MAX_IF_SHORT: Duration = Duration::from_secs(10);
/// How often to look for connections to give up, at the longest.
const SWEEP_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long to wait after an accept that failed for want of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often failing accepts are told.
const ACCEPT_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Limits of a shard's connections.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// The largest request, in bytes.
    pub request_bytes_max: usize,
    /// Produces of one connection that may be under way at a time.
    pub produces_in_flight_max: usize,
    /// A connection may be without traffic for so long.
    pub idle_max: Duration,
    /// A client may pause inside of a request for so long.
    pub stalled_max: Duration,
    /// A client may take nothing of its answers for so long.
    pub unread_max: Duration,
    /// Requests under way have so long to end when the node stops.
    pub stop_grace: Duration,
}

impl Default for TransportOptions {
    /// Kafka's limits where it has them.
    fn default() -> Self {
        Self {
            request_bytes_max: engine_model::limits::REQUEST_BYTES_MAX,
            produces_in_flight_max: 32,
            idle_max: Duration::from_mins(10),
            stalled_max: Duration::from_secs(30),
            unread_max: Duration::from_mins(5),
            stop_grace: Duration::from_secs(10),
        }
    }
}

/// Serves the connections of one shard. Cheap to clone.
pub struct Connections<S, B> {
    inner: Rc<Inner<S, B>>,
}

struct Inner<S, B> {
    service: Rc<S>,
    budget: B,
    door: Door,
    options: Rc<TransportOptions>,
    open: RefCell<HashMap<u64, Rc<State>>>,
    next: Cell<u64>,
    stopping: Cell<bool>,
    watched: Watched,
}

impl<S, B> Clone for Connections<S, B> {
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
        }
    }
}

impl<S, B> fmt::Debug for Connections<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("open", &self.inner.open.borrow().len())
            .finish_non_exhaustive()
    }
}

impl<S: Service, B: Budget> Connections<S, B> {
    /// No connections yet; every request will go to `service`.
    pub fn new(service: Rc<S>, budget: B, door: Door, options: TransportOptions) -> Self {
        Self {
            inner: Rc::new(Inner {
                service,
                budget,
                door,
                options: Rc::new(options),
                open: RefCell::default(),
                next: Cell::new(0),
                stopping: Cell::new(false),
                watched: Watched::default(),
            }),
        }
    }

    /// Connections open now.
    pub fn count(&self) -> usize {
        self.inner.open.borrow().len()
    }

    /// Accepts and serves until `stop`. Cancel: safe; connections already accepted go on.
    pub async fn accept(&self, listener: &Listener) {
        let inner = &self.inner;
        let mut told: Option<Moment> = None;
        while let Some(charge) = self
            .unless_stopping(inner.budget.charge(CONNECTION_BYTES))
            .await
        {
            let Some(accepted) = self.unless_stopping(listener.accept()).await else {
                return;
            };
            match accepted {
                Ok(stream) => {
                    self.adopt(stream, charge);
                    let pause = inner.door.pause(engine_rt::now());
                    if !pause.is_zero()
                        && self
                            .unless_stopping(engine_rt::sleep(pause))
                            .await
                            .is_none()
                    {
                        return;
                    }
                    engine_rt::yield_if_due().await;
                }
                // The client gave up before we came to it.
                Err(error) if error.is_connection_closed() => engine_rt::yield_if_due().await,
                Err(error) => {
                    let now = engine_rt::now();
                    if told.is_none_or(|at| now.saturating_since(at) >= ACCEPT_TOLD_EVERY) {
                        told = Some(now);
                        tracing::warn!(%error, open = inner.door.open(), "accepting connections fails");
                    }
                    // Out of descriptors, mostly: this would spin until one is free.
                    if self
                        .unless_stopping(engine_rt::sleep(ACCEPT_PAUSE))
                        .await
                        .is_none()
                    {
                        return;
                    }
                }
            }
        }
    }

    async fn stopping(&self) {
        self.inner
            .watched
            .until(|| self.inner.stopping.get().then_some(()))
            .await;
    }

    /// Drives `future` until `stop`, which gives `None`.
    async fn unless_stopping<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        watched::until(self.stopping(), future).await
    }

    /// Serves one connection in a task of its own, or closes it at once where there are too many.
    fn adopt(&self, stream: Stream, charge: B::Charge) {
        let inner = &self.inner;
        let peer = stream.peer_addr();
        let Ok(local) = stream.local_addr() else {
            return;
        };
        if inner.stopping.get() {
            return;
        }
        let guest = match inner.door.enter(peer.ip()) {
            Ok(guest) => guest,
            Err(reason) => {
                tracing::debug!(%peer, %reason, "refusing a connection");
                return;
            }
        };
        let number = inner.next.get();
        inner.next.set(number.wrapping_add(1));
        let state = Rc::new(State::new(number, peer, local, engine_rt::now()));
        let is_first = inner.open.borrow().is_empty();
        inner.open.borrow_mut().insert(number, Rc::clone(&state));
        if is_first {
            // The sweeper rests while there is nothing to sweep.
            inner.watched.changed();
        }
        let connections = self.clone();
        // Owned by `open`: `stop` waits until it is empty.
        engine_rt::spawn(async move {
            let _entry = Entry {
                connections: connections.clone(),
                state: Rc::clone(&state),
                _guest: guest,
                _charge: charge,
            };
            let inner = &connections.inner;
            connection::serve(
                stream,
                state,
                Rc::clone(&inner.service),
                inner.budget.clone(),
                Rc::clone(&inner.options),
            )
            .await;
        })
        .detach();
    }

    /// Closes connections whose clients keep us waiting for too long, until `stop`.
    pub async fn sweep(&self) {
        let options = &self.inner.options;
        let shortest = options
            .idle_max
            .min(options.stalled_max)
            .min(options.unread_max);
        let pause = (shortest / 4).clamp(Duration::from_millis(10), SWEEP_PAUSE_MAX);
        loop {
            let inner = &self.inner;
            let some = inner
                .watched
                .until(|| (!inner.open.borrow().is_empty()).then_some(()));
            let rest = async {
                some.await;
                engine_rt::sleep(pause).await;
            };
            if self.unless_stopping(rest).await.is_none() {
                return;
            }
            self.sweep_once();
        }
    }

    fn sweep_once(&self) {
        let options = &self.inner.options;
        let now = engine_rt::now();
        let (stalled_max, rate_min, unread_max) = if self.inner.budget.is_short() {
            (
                options.stalled_max.min(STALLED_MAX_IF_SHORT),
                RATE_MIN_IF_SHORT,
                options.unread_max.min(UNREAD_MAX_IF_SHORT),
            )
        } else {
            (options.stalled_max, RATE_MIN, options.unread_max)
        };
        let open: Vec<Rc<State>> = self.inner.open.borrow().values().cloned().collect();
        for state in open {
            let quiet = now.saturating_since(state.active());
            let unread = state.sending().map(|since| now.saturating_since(since));
            let reason = if unread.is_some_and(|unread| unread >= unread_max) {
                "its client does not read"
            } else if state.is_stalled(now, stalled_max, rate_min) {
                "its client stalls inside a request"
            // As in Kafka also where a request of it waits: its client may be long gone.
            } else if unread.is_none() && quiet >= options.idle_max {
                "it is idle"
            } else {
                continue;
            };
            tracing::debug!(peer = %state.peer, ?quiet, reason, "closing a connection");
            state.advance(Phase::Closed);
        }
    }

    /// Accepts no more, lets requests under way end, and returns when every connection is closed.
    /// Cancel: safe, call it again.
    pub async fn stop(&self) {
        let inner = &self.inner;
        inner.stopping.set(true);
        inner.watched.changed();
        self.advance_all(Phase::Draining);
        let all_closed = inner
            .watched
            .until(|| inner.open.borrow().is_empty().then_some(()));
        if engine_rt::timeout(inner.options.stop_grace, all_closed)
            .await
            .is_err()
        {
            tracing::warn!(open = self.count(), "closing connections that do not end");
            self.advance_all(Phase::Closed);
            let all_closed = inner
                .watched
                .until(|| inner.open.borrow().is_empty().then_some(()));
            if engine_rt::timeout(inner.options.stop_grace, all_closed)
                .await
                .is_err()
            {
                tracing::error!(open = self.count(), "requests do not end; leaving them");
            }
        }
    }

    fn advance_all(&self, phase: Phase) {
        let open: Vec<Rc<State>> = self.inner.open.borrow().values().cloned().collect();
        for state in open {
            state.advance(phase);
        }
    }
}

/// A connection's entry in the lists, which leaves with it, however it ends.
struct Entry<S, B: Budget> {
    connections: Connections<S, B>,
    state: Rc<State>,
    _guest: Guest,
    _charge: B::Charge,
}

impl<S, B: Budget> Drop for Entry<S, B> {
    fn drop(&mut self) {
        let inner = &self.connections.inner;
        inner.open.borrow_mut().remove(&self.state.number);
        if inner.open.borrow().is_empty() {
            inner.watched.changed();
        }
    }
}
