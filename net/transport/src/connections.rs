//! The connections of one shard: how many there may be, which are idle, how they stop.
//!
//! Keeps: at most `connections_max` connections, at most `connections_per_ip_max` of one address;
//! a connection without traffic and without work for `idle_max`, or stuck inside a frame for
//! `stalled_max`, is closed; after `stop` all are answered and closed within twice
//! `stop_grace`.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use engine_model::HashMap;
use engine_rt::{Listener, Stream};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::budget::Budget;
use crate::connection::{self, Phase, Service, State};
use crate::watched::Watched;

/// Limits of a shard's connections.
#[derive(Clone, Debug)]
pub struct TransportOptions {
    /// The largest request, in bytes.
    pub request_bytes_max: usize,
    /// Produces of one connection that may be under way at a time.
    pub produces_in_flight_max: usize,
    /// Connections of this shard.
    pub connections_max: usize,
    /// Connections of one address to this shard.
    pub connections_per_ip_max: usize,
    /// A connection may be without traffic for so long.
    pub idle_max: Duration,
    /// A client may pause inside of a request for so long.
    pub stalled_max: Duration,
    /// Requests under way have so long to end when the node stops.
    pub stop_grace: Duration,
}

impl Default for TransportOptions {
    /// Kafka's limits where it has them.
    fn default() -> Self {
        Self {
            request_bytes_max: engine_model::limits::REQUEST_BYTES_MAX,
            produces_in_flight_max: 32,
            connections_max: 10_000,
            connections_per_ip_max: usize::MAX,
            idle_max: Duration::from_mins(10),
            stalled_max: Duration::from_secs(30),
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
    options: Rc<TransportOptions>,
    open: RefCell<HashMap<u64, Rc<State>>>,
    per_ip: RefCell<BTreeMap<IpAddr, usize>>,
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
    pub fn new(service: Rc<S>, budget: B, options: TransportOptions) -> Self {
        Self {
            inner: Rc::new(Inner {
                service,
                budget,
                options: Rc::new(options),
                open: RefCell::default(),
                per_ip: RefCell::default(),
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
        let mut stopping = core::pin::pin!(self.stopping());
        loop {
            let mut accept = core::pin::pin!(listener.accept());
            let accepted = core::future::poll_fn(|context| {
                if stopping.as_mut().poll(context).is_ready() {
                    return core::task::Poll::Ready(None);
                }
                accept.as_mut().poll(context).map(Some)
            })
            .await;
            match accepted {
                None => return,
                Some(Ok(stream)) => self.adopt(stream),
                Some(Err(error)) => {
                    // Out of descriptors, mostly: pause, or this would spin until one is free.
                    tracing::warn!(%error, "accepting a connection failed");
                    engine_rt::sleep(Duration::from_millis(100)).await;
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

    /// Serves one connection in a task of its own, or closes it at once where there are too many.
    pub fn adopt(&self, stream: Stream) {
        let inner = &self.inner;
        let peer = stream.peer_addr();
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let of_this_ip = inner.per_ip.borrow().get(&peer.ip()).copied().unwrap_or(0);
        let open = inner.open.borrow().len();
        if inner.stopping.get()
            || open >= inner.options.connections_max
            || of_this_ip >= inner.options.connections_per_ip_max
        {
            tracing::debug!(%peer, open, of_this_ip, "refusing a connection: too many");
            return;
        }
        let number = inner.next.get();
        inner.next.set(number.wrapping_add(1));
        let state = Rc::new(State::new(number, peer, local, engine_rt::now()));
        inner.open.borrow_mut().insert(number, Rc::clone(&state));
        inner
            .per_ip
            .borrow_mut()
            .insert(peer.ip(), of_this_ip.saturating_add(1));
        let connections = self.clone();
        // Owned by `open`: `stop` waits until it is empty.
        engine_rt::spawn(async move {
            let _entry = Entry {
                connections: connections.clone(),
                state: Rc::clone(&state),
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

    /// Closes connections that are idle or stuck, now and again, until `stop`.
    pub async fn sweep(&self) {
        let options = &self.inner.options;
        let pause = (options.idle_max.min(options.stalled_max) / 4)
            .clamp(Duration::from_millis(10), Duration::from_secs(30));
        while !self.inner.stopping.get() {
            let mut sleep = core::pin::pin!(engine_rt::sleep(pause));
            let mut stopping = core::pin::pin!(self.stopping());
            core::future::poll_fn(|context| {
                if stopping.as_mut().poll(context).is_ready() {
                    return core::task::Poll::Ready(());
                }
                sleep.as_mut().poll(context)
            })
            .await;
            self.sweep_once();
        }
    }

    fn sweep_once(&self) {
        let options = &self.inner.options;
        let now = engine_rt::now();
        let open: Vec<Rc<State>> = self.inner.open.borrow().values().cloned().collect();
        for state in open {
            let quiet = now.saturating_since(state.active());
            // A request under way is work, however long its client waits for it.
            let is_stuck = state.running() == 0
                && (quiet >= options.idle_max
                    || (state.in_frame() && quiet >= options.stalled_max));
            if is_stuck {
                tracing::debug!(peer = %state.peer, ?quiet, "closing an idle connection");
                state.advance(Phase::Closed);
            }
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
struct Entry<S, B> {
    connections: Connections<S, B>,
    state: Rc<State>,
}

impl<S, B> Drop for Entry<S, B> {
    fn drop(&mut self) {
        let inner = &self.connections.inner;
        inner.open.borrow_mut().remove(&self.state.number);
        let ip = self.state.peer.ip();
        let mut per_ip = inner.per_ip.borrow_mut();
        match per_ip.get_mut(&ip) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => {
                per_ip.remove(&ip);
            }
        }
        drop(per_ip);
        inner.watched.changed();
    }
}
