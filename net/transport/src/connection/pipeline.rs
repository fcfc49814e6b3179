//! The requests of one connection that are under way, in order, and what became of each.
//!
//! Keeps: a request gets its place when it begins and leaves it when its answer was sent; only
//! Produces share the pipeline, at most `produces_max` of them.

use bytes::Bytes;
use core::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::Reply;
use crate::watched::Watched;

/// Answers put into one send, in bytes; one answer may be larger.
const SEND_BYTES_MAX: usize = 1 << 20;

pub(super) struct Pipeline<C> {
    places: RefCell<VecDeque<Option<Answer<C>>>>,
    /// Number of the place at the front.
    first: Cell<u64>,
    produces_only: Cell<bool>,
    produces_max: usize,
    /// Requests whose handler has not ended.
    running: Cell<usize>,
    /// No more requests will begin.
    ended: Cell<bool>,
    watched: Watched,
}

/// What became of a request, and what its answer has charged until it is out.
struct Answer<C> {
    reply: Reply,
    _charge: Option<C>,
}

/// What the sender does next.
pub(super) enum Next {
    /// Sends pieces of `answers` answers, then calls `sent` with that number.
    Send { pieces: Vec<Bytes>, answers: usize },
    /// Closes: a request said so.
    Close,
    /// Everything is sent and nothing will follow.
    End,
}

impl<C> Pipeline<C> {
    pub(super) fn new(produces_max: usize) -> Self {
        Self {
            places: RefCell::default(),
            first: Cell::new(0),
            produces_only: Cell::new(true),
            produces_max: produces_max.max(1),
            running: Cell::new(0),
            ended: Cell::new(false),
            watched: Watched::default(),
        }
    }

    /// Waits until the next request may begin and gives it its place. Cancel: safe.
    pub(super) async fn admit(&self, is_produce: bool) -> u64 {
        self.watched
            .until(|| {
                let mut places = self.places.borrow_mut();
                let may_begin = places.is_empty()
                    || (is_produce && self.produces_only.get() && places.len() < self.produces_max);
                may_begin.then(|| {
                    self.produces_only.set(is_produce);
                    self.running.set(self.running.get().saturating_add(1));
                    let place = self.first.get().saturating_add(as_u64(places.len()));
                    places.push_back(None);
                    place
                })
            })
            .await
    }

    /// Says what became of the request at `place`; `charge` is held until the answer was sent.
    pub(super) fn answer(&self, place: u64, reply: Reply, charge: Option<C>) {
        self.running.set(self.running.get().saturating_sub(1));
        let index = usize::try_from(place.saturating_sub(self.first.get())).unwrap_or(usize::MAX);
        if let Some(place) = self.places.borrow_mut().get_mut(index) {
            *place = Some(Answer {
                reply,
                _charge: charge,
            });
        }
        self.watched.changed();
    }

    pub(super) fn end_requests(&self) {
        self.ended.set(true);
        self.watched.changed();
    }

    /// Waits until every request that began has ended. Cancel: safe.
    pub(super) async fn all_ended(&self) {
        self.watched
            .until(|| (self.running.get() == 0).then_some(()))
            .await;
    }

    /// Waits for answers whose turn it is. Cancel: not safe, the answers would be lost.
    pub(super) async fn next(&self) -> Next {
        self.watched.until(|| self.look()).await
    }

    fn look(&self) -> Option<Next> {
        let mut places = self.places.borrow_mut();
        let mut pieces = Vec::new();
        let mut bytes = 0_usize;
        let mut answers = 0_usize;
        for place in places.iter_mut() {
            match place.as_mut().map(|answer| &mut answer.reply) {
                Some(Reply::Send(frame)) if bytes == 0 || bytes < SEND_BYTES_MAX => {
                    bytes = frame
                        .iter()
                        .fold(bytes, |sum, piece| sum.saturating_add(piece.len()));
                    pieces.append(frame);
                }
                Some(Reply::Silent) => {}
                _ => break,
            }
            answers = answers.saturating_add(1);
        }
        if answers > 0 {
            return Some(Next::Send { pieces, answers });
        }
        match places.front() {
            Some(Some(Answer {
                reply: Reply::Close,
                ..
            })) => Some(Next::Close),
            None if self.ended.get() => Some(Next::End),
            _ => None,
        }
    }

    /// The first `answers` answers are out: their places are free.
    pub(super) fn sent(&self, answers: usize) {
        let mut places = self.places.borrow_mut();
        let count = answers.min(places.len());
        let sent: Vec<Option<Answer<C>>> = places.drain(..count).collect();
        self.first
            .set(self.first.get().saturating_add(as_u64(count)));
        drop(places);
        // Gives back what they charged, which may wake others.
        drop(sent);
        self.watched.changed();
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
