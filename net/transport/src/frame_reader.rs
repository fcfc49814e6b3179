//! Cuts the bytes of a connection into frames: four bytes of length, then so many bytes.
//!
//! Keeps:
//! - a frame is charged to the budget before its bytes are received;
//! - a length is a promise: the buffer holds at most twice what arrived, or `STEP_BYTES`;
//! - a length below zero or above the limit ends the connection, as in Kafka.
//!
//! Does not: look inside a frame.

mod ahead;

use bytes::{Buf, Bytes, BytesMut};
use engine_rt::Stream;

use crate::budget::Budget;
use ahead::Ahead;

/// The buffer that waits for the next frame on a connection whose last one came in full.
const IDLE_BYTES: usize = 8 << 10;
/// The same on one that sends little at a time: most of many connections are such.
const QUIET_BYTES: usize = 2 << 10;
/// The first step of a frame larger than what has arrived of it.
const STEP_BYTES: usize = 16 << 10;
/// The most one receive asks for.
const RECEIVE_BYTES_MAX: usize = 256 << 10;
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
    /// Given back when dropped; keep it as long as `bytes`.
    pub charge: C,
}

/// Reads the frames of one connection.
pub struct FrameReader<B> {
    stream: Stream,
    budget: B,
    bytes_max: usize,
    buffer: BytesMut,
    idle_bytes: usize,
    ahead: Ahead,
}

impl<B: Budget> FrameReader<B> {
    /// Reads frames of at most `bytes_max` bytes off `stream`.
    pub fn new(stream: Stream, budget: B, bytes_max: usize) -> Self {
        Self {
            stream,
            budget,
            bytes_max,
            buffer: BytesMut::new(),
            idle_bytes: QUIET_BYTES,
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
        while self.buffer.len() < LENGTH_BYTES {
            if !self.buffer.is_empty() {
                progress(Progress::Within);
            }
            let room = self.idle_bytes;
            match self.receive(room).await? {
                0 => {
                    return match self.buffer.len() {
                        0 => Ok(None),
                        received => Err(FrameError::Truncated { received }),
                    };
                }
                received => {
                    progress(Progress::Received(received));
                    self.idle_bytes = if received >= room {
                        IDLE_BYTES
                    } else {
                        QUIET_BYTES
                    };
                }
            }
        }
        let length = self.buffer.get_i32();
        let expected = match usize::try_from(length) {
            Ok(expected) if expected <= self.bytes_max => expected,
            _ => {
                return Err(FrameError::Length {
                    length,
                    max: self.bytes_max,
                });
            }
        };
        let mut charged = expected.min(step(self.buffer.len()));
        let mut charge = if let Some(charge) = self.budget.try_charge(charged) {
            charge
        } else {
            progress(Progress::Charging);
            self.budget.charge(charged).await
        };
        while self.buffer.len() < expected {
            let received = self.buffer.len();
            if received >= charged {
                let more = expected.min(step(received)).saturating_sub(charged);
                progress(Progress::Charging);
                self.budget.grow(&mut charge, more).await;
                charged = charged.saturating_add(more);
            }
            let room = charged.saturating_sub(received);
            // One allocation a step: without this each receive would grow the buffer by itself.
            self.buffer.reserve(room);
            progress(Progress::Within);
            match self.receive(room.min(RECEIVE_BYTES_MAX)).await? {
                0 => return Err(FrameError::Truncated { received }),
                more => progress(Progress::Received(more)),
            }
        }
        let bytes = self.buffer.split_to(expected).freeze();
        if self.buffer.is_empty() {
            // A frame would else share its memory with whatever comes next, for as long as that
            // lives.
            self.buffer = BytesMut::new();
        }
        Ok(Some(Frame { bytes, charge }))
    }

    async fn receive(&mut self, max: usize) -> Result<usize, FrameError> {
        if let Some(received) = self.ahead.take().await? {
            let count = received.len();
            if self.buffer.is_empty() {
                self.buffer = received;
            } else {
                self.buffer.extend_from_slice(&received);
            }
            return Ok(count);
        }
        let before = self.buffer.len();
        self.buffer = self
            .stream
            .recv(core::mem::take(&mut self.buffer), max)
            .await?;
        Ok(self.buffer.len().saturating_sub(before))
    }
}

/// How large the buffer of a frame may be with `received` bytes of it here.
fn step(received: usize) -> usize {
    received.saturating_mul(2).max(STEP_BYTES)
}

#[cfg(test)]
mod tests;
