//! What the parts of one connection, and the shard's sweeper, share about it.

use core::cell::Cell;
use core::net::SocketAddr;
use engine_model::Moment;

use crate::watched::Watched;

/// How far the end of a connection has come. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Requests are read and answered.
    Open,
    /// No more requests are read; those under way are answered.
    Draining,
    /// Nothing more is sent.
    Closed,
}

pub(crate) struct State {
    pub(crate) number: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    phase: Cell<Phase>,
    /// Bytes last came or went.
    active: Cell<Moment>,
    /// A frame has begun and not ended.
    in_frame: Cell<bool>,
    /// Requests whose handler has not ended.
    running: Cell<usize>,
    watched: Watched,
}

impl State {
    pub(crate) fn new(number: u64, peer: SocketAddr, local: SocketAddr, now: Moment) -> Self {
        Self {
            number,
            peer,
            local,
            phase: Cell::new(Phase::Open),
            active: Cell::new(now),
            in_frame: Cell::new(false),
            running: Cell::new(0),
            watched: Watched::default(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Moves on to `phase`, unless further already.
    pub(crate) fn advance(&self, phase: Phase) {
        if self.phase.get() < phase {
            self.phase.set(phase);
            self.watched.changed();
        }
    }

    /// Waits for `phase` or a later one. Cancel: safe.
    pub(crate) async fn reached(&self, phase: Phase) {
        self.watched
            .until(|| (self.phase.get() >= phase).then_some(()))
            .await;
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.phase.get() > Phase::Open
    }

    pub(crate) async fn gone(&self) {
        self.reached(Phase::Draining).await;
    }

    pub(crate) fn is_active_at(&self, now: Moment) {
        self.active.set(now);
    }

    pub(crate) fn active(&self) -> Moment {
        self.active.get()
    }

    pub(crate) fn set_in_frame(&self, in_frame: bool) {
        self.in_frame.set(in_frame);
    }

    pub(crate) fn in_frame(&self) -> bool {
        self.in_frame.get()
    }

    pub(crate) fn running(&self) -> usize {
        self.running.get()
    }

    pub(crate) fn set_running(&self, running: usize) {
        self.running.set(running);
    }
}
