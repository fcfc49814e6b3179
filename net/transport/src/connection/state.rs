//! What the parts of one connection, and the shard's sweeper, share about it.

use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;
use engine_model::Moment;

use crate::frame_reader::Progress;

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
    hung_up: Cell<bool>,
    /// Bytes last came or went.
    active: Cell<Moment>,
    /// The frame that has begun and not ended, as far as its client is concerned.
    frame: Cell<FrameClock>,
    /// A send that the client has not taken yet began then.
    sending: Cell<Option<Moment>>,
    watched: Watched,
}

impl State {
    pub(crate) fn new(number: u64, peer: SocketAddr, local: SocketAddr, now: Moment) -> Self {
        Self {
            number,
            peer,
            local,
            phase: Cell::new(Phase::Open),
            hung_up: Cell::new(false),
            active: Cell::new(now),
            frame: Cell::default(),
            sending: Cell::new(None),
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

    /// The client has ended the stream, although not all it sent before has been read.
    pub(crate) fn has_hung_up(&self) {
        self.hung_up.set(true);
        self.watched.changed();
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.hung_up.get() || self.phase.get() > Phase::Open
    }

    pub(crate) async fn gone(&self) {
        self.watched.until(|| self.is_gone().then_some(())).await;
    }

    pub(crate) fn is_active_at(&self, now: Moment) {
        self.active.set(now);
    }

    pub(crate) fn active(&self) -> Moment {
        self.active.get()
    }

    /// Follows the reader.
    pub(crate) fn reads(&self, progress: Progress, now: Moment) {
        let mut frame = self.frame.get();
        match progress {
            Progress::Between => {
                frame = FrameClock::default();
                self.active.set(now);
            }
            Progress::Within => frame.asked = frame.asked.or(Some(now)),
            Progress::Received(bytes) => {
                frame.pause(now);
                frame.received = frame.received.saturating_add(bytes);
                self.active.set(now);
            }
            Progress::Charging => frame.pause(now),
        }
        self.frame.set(frame);
    }

    /// The reader has its frame.
    pub(crate) fn has_read(&self) {
        self.frame.set(FrameClock::default());
    }

    /// Whether the client of a half-received frame has sent nothing for `pause`, or less than
    /// `rate` bytes a second on top of that.
    pub(crate) fn is_stalled(&self, now: Moment, pause: Duration, rate: usize) -> bool {
        let frame = self.frame.get();
        let Some(asked) = frame.asked else {
            return false;
        };
        let quiet = now.saturating_since(asked);
        let earned = frame.received.checked_div(rate).unwrap_or_default();
        let earned = Duration::from_secs(u64::try_from(earned).unwrap_or(u64::MAX));
        quiet >= pause || frame.waited.saturating_add(quiet) >= pause.saturating_add(earned)
    }

    /// A send begins, or has ended.
    pub(crate) fn sends(&self, since: Option<Moment>) {
        self.sending.set(since);
    }

    /// Since when the client does not take what is sent.
    pub(crate) fn sending(&self) -> Option<Moment> {
        self.sending.get()
    }
}

/// How long the client of a frame has kept us waiting, which our own waits are no part of.
#[derive(Clone, Copy, Debug, Default)]
struct FrameClock {
    /// Since when we wait for its bytes.
    asked: Option<Moment>,
    /// How long we waited before that.
    waited: Duration,
    /// What came of it.
    received: usize,
}

impl FrameClock {
    fn pause(&mut self, now: Moment) {
        if let Some(asked) = self.asked.take() {
            self.waited = self.waited.saturating_add(now.saturating_since(asked));
        }
    }
}
