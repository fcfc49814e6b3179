//! Cuts the bytes of a connection into frames: four bytes of length, then so many bytes.
//!
//! | what is known | what is received |
//! |---------------|------------------|
//! | nothing waits | a little, uncharged: most of many connections are idle |
//! | more waits, the system said so | as much as [`AHEAD_BYTES`], charged: several frames at once |
//! | a frame has begun | the rest of it, charged, straight to where it stays |
//!
//! Keeps:
//! - a frame is charged to the budget before its bytes are received, but for the first few;
//! - a length is a promise: the buffer holds at most twice what arrived, or `STEP_BYTES`, or what
//!   the last frame of this connection really held;
//! - a length below zero or above the limit ends the connection, as in Kafka;
//! - whoever waits for memory holds none that another frame could wait for, or goes before others.
//!
//! Does not: look inside a frame.

mod ahead;

use bytes::{Buf, Bytes};
use engine_rt::{AlignedBuf, Stream};
use std::rc::Rc;

use crate::budget::Budget;
use ahead::Ahead;

/// The buffer that waits for the next frame.
const QUIET_BYTES: usize = 4 << 10;
/// The same where more than that is known to wait.
const AHEAD_BYTES: usize = 64 << 10;
/// Frames up to this size get memory of their own: they may wait for long, and what they came with
/// is larger.
const COPIED_BYTES_MAX: usize = 4 << 10;
/// The first step of a frame larger than what has arrived of it.
const STEP_BYTES: usize = 16 << 10;
/// The first step of a frame on a connection that has sent one of this size, at most.
const PROVEN_BYTES_MAX: usize = 1 << 20;
const LENGTH_BYTES: usize = 4;

/// Why no further frame can be read. The connection is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length below zero or above the limit.
    #[error("a frame of {length} bytes is outside of 0..={max}")]
    Length {
        /// What the client sent.
        length: i32,
        /// The limit.
        max: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended {received} bytes into a frame")]
    Truncated {
        /// Bytes of it that had arrived.
        received: usize,
    },
    /// The socket failed.
    #[error(transparent)]
    Receive(#[from] engine_rt::Error),
}

/// What a reader does now, for whoever watches its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Waits for the first byte of the next frame.
    Between,
    /// Waits for bytes of a frame that has begun.
    Within,
    /// So many bytes arrived.
    Received(usize),
    /// Waits for memory: it is we who keep the client waiting.
    Charging,
}

/// One frame without its length, and what it has charged.
#[derive(Debug)]
pub struct Frame<C> {
    /// The bytes after the length.
    pub bytes: Bytes,
    /// Given back when dropped, with that of other frames in the same memory; keep it as long as
    /// `bytes`.
    pub charge: Rc<C>,
}

/// What was received behind the frames given out, and what its memory has charged. Only the first
/// [`QUIET_BYTES`] on a connection are not charged.
#[derive(Debug)]
struct Rest<C> {
    bytes: Bytes,
    charge: Option<Rc<C>>,
}

impl<C> Default for Rest<C> {
    fn default() -> Self {
        Self {
            bytes: Bytes::new(),
            charge: None,
        }
    }
}

/// Reads the frames of one connection.
pub struct FrameReader<B: Budget> {
    stream: Stream,
    budget: B,
    bytes_max: usize,
    rest: Rest<B::Charge>,
    /// The system said that more waits to be received.
    more: bool,
    /// What the last large frame held.
    proven: usize,
    ahead: Ahead,
}

impl<B: Budget> FrameReader<B> {
    /// Reads frames of at most `bytes_max` bytes off `stream`.
    pub fn new(stream: Stream, budget: B, bytes_max: usize) -> Self {
        Self {
            stream,
            budget,
            bytes_max,
            rest: Rest::default(),
            more: false,
            proven: 0,
            ahead: Ahead::default(),
        }
    }

    /// Resolves when the client has ended the stream, or it failed, as far as that can be seen
    /// without reading much. What it reads comes with the next frames. Cancel: safe.
    pub async fn ended(&mut self) {
        self.ahead.ended(&self.stream).await;
    }

    /// Reads the next frame; `None` where the stream ended between two. `progress` is told whatever
    /// changes.
    ///
    /// Cancel: not safe; a reader whose future was dropped is of no more use.
    pub async fn next(
        &mut self,
        mut progress: impl FnMut(Progress),
    ) -> Result<Option<Frame<B::Charge>>, FrameError> {
        progress(Progress::Between);
        loop {
            if let Some(expected) = self.expected()? {
                if self.rest.bytes.len() >= expected.saturating_add(LENGTH_BYTES) {
                    return Ok(Some(self.cut(expected, &mut progress).await));
                }
                if !self.take_ahead(&mut progress).await? {
                    return self.receive_rest(expected, progress).await.map(Some);
                }
            } else if !self.take_ahead(&mut progress).await? && !self.fill(&mut progress).await? {
                return match self.rest.bytes.len() {
                    0 => Ok(None),
                    received => Err(FrameError::Truncated { received }),
                };
            }
        }
    }

    /// The length of the next frame, as soon as it is here.
    fn expected(&self) -> Result<Option<usize>, FrameError> {
        let Some(length) = self.rest.bytes.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        match usize::try_from(length) {
            Ok(expected) if expected <= self.bytes_max => Ok(Some(expected)),
            _ => Err(FrameError::Length {
                length,
                max: self.bytes_max,
            }),
        }
    }

    /// The next frame, all of which is here.
    async fn cut(
        &mut self,
        expected: usize,
        progress: &mut impl FnMut(Progress),
    ) -> Frame<B::Charge> {
        self.rest.bytes.advance(LENGTH_BYTES);
        let bytes = self.rest.bytes.split_to(expected);
        let frame = match &self.rest.charge {
            Some(shared) => {
                let own = if expected <= COPIED_BYTES_MAX {
                    self.budget.try_charge(expected)
                } else {
                    None
                };
                match own {
                    Some(own) => Frame {
                        bytes: Bytes::copy_from_slice(&bytes),
                        charge: Rc::new(own),
                    },
                    None => Frame {
                        bytes,
                        charge: Rc::clone(shared),
                    },
                }
            }
            None => Frame {
                bytes: Bytes::copy_from_slice(&bytes),
                charge: Rc::new(self.charge(expected, progress).await),
            },
        };
        if self.rest.bytes.is_empty() {
            self.rest = Rest::default();
        }
        frame
    }

    async fn charge(&self, bytes: usize, progress: &mut impl FnMut(Progress)) -> B::Charge {
        if let Some(charge) = self.budget.try_charge(bytes) {
            return charge;
        }
        progress(Progress::Charging);
        self.budget.charge(bytes).await
    }

    /// Adds to what is here whatever comes first; `false` at the end of the stream.
    async fn fill(&mut self, progress: &mut impl FnMut(Progress)) -> Result<bool, FrameError> {
        let had = self.rest.bytes.len();
        if had > 0 {
            progress(Progress::Within);
        }
        let charge = if self.more {
            self.budget.try_charge(AHEAD_BYTES)
        } else {
            None
        };
        let room = charge.as_ref().map_or(QUIET_BYTES, |_| AHEAD_BYTES);
        let mut buffer = AlignedBuf::with_capacity(room);
        // Less than a length, so there is room behind it.
        buffer.extend_from_slice(&self.rest.bytes);
        self.rest = Rest::default();
        let (buffer, more) = self
            .stream
            .recv_into(buffer, room.saturating_sub(had))
            .await?;
        let received = buffer.len().saturating_sub(had);
        self.more = more;
        self.rest = Rest {
            bytes: buffer.freeze(),
            charge: charge.map(Rc::new),
        };
        if received > 0 {
            progress(Progress::Received(received));
        }
        Ok(received > 0)
    }

    /// Adds what was read to see the end of the stream; whether there was anything.
    async fn take_ahead(
        &mut self,
        progress: &mut impl FnMut(Progress),
    ) -> Result<bool, FrameError> {
        let Some(received) = self.ahead.take().await? else {
            return Ok(false);
        };
        if received.is_empty() {
            return Ok(false);
        }
        progress(Progress::Received(received.len()));
        self.more = true;
        // A part of a frame and a little more: copied, with the charge it has.
        let mut bytes = Vec::with_capacity(self.rest.bytes.len().saturating_add(received.len()));
        bytes.extend_from_slice(&self.rest.bytes);
        bytes.extend_from_slice(&received);
        self.rest.bytes = Bytes::from(bytes);
        Ok(true)
    }

    /// The frame that has begun, whose length is `expected`, with the rest of it.
    async fn receive_rest(
        &mut self,
        expected: usize,
        mut progress: impl FnMut(Progress),
    ) -> Result<Frame<B::Charge>, FrameError> {
        self.rest.bytes.advance(LENGTH_BYTES);
        let Rest {
            bytes: begun,
            charge,
        } = core::mem::take(&mut self.rest);
        let mut charged = expected.min(self.step(begun.len()));
        let mut own = if charge.is_none() {
            self.charge(charged, &mut progress).await
        } else if let Some(own) = self.budget.try_charge(charged) {
            own
        } else {
            // What is held may be what others wait for, and they hold what this one waits for. So
            // it asks as one that is half way.
            charged = begun.len();
            self.budget.charge_now(charged)
        };
        let mut buffer = AlignedBuf::with_capacity(charged);
        buffer.extend_from_slice(&begun);
        drop((begun, charge));
        while buffer.len() < expected {
            let received = buffer.len();
            if received >= charged {
                let more = expected.min(self.step(received)).saturating_sub(charged);
                progress(Progress::Charging);
                self.budget.grow(&mut own, more).await;
                charged = charged.saturating_add(more);
                let mut larger = AlignedBuf::with_capacity(charged);
                larger.extend_from_slice(buffer.as_slice());
                buffer = larger;
            }
            progress(Progress::Within);
            let room = charged.saturating_sub(received);
            (buffer, self.more) = self.stream.recv_into(buffer, room).await?;
            match buffer.len().saturating_sub(received) {
                0 => return Err(FrameError::Truncated { received }),
                more => progress(Progress::Received(more)),
            }
        }
        self.proven = expected.min(PROVEN_BYTES_MAX);
        let bytes = if expected <= COPIED_BYTES_MAX {
            Bytes::copy_from_slice(buffer.as_slice())
        } else {
            buffer.freeze()
        };
        Ok(Frame {
            bytes,
            charge: Rc::new(own),
        })
    }

    /// How large the buffer of a frame may be with `received` bytes of it here.
    fn step(&self, received: usize) -> usize {
        received.saturating_mul(2).max(STEP_BYTES).max(self.proven)
    }
}

#[cfg(test)]
mod tests;
