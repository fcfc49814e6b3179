//! Reading ahead of the frames, to see that a client has gone while its requests wait for each other.
//!
//! Keeps: bytes come in order and none is lost, whichever future was dropped; little is held.

use bytes::BytesMut;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::Poll;
use engine_rt::Stream;

/// The most that is held. The end of a stream behind more than this is not seen.
const AHEAD_BYTES_MAX: usize = 4 << 10;

type Receiving = Pin<Box<dyn Future<Output = engine_rt::Result<BytesMut>>>>;

#[derive(Default)]
pub(super) struct Ahead {
    received: BytesMut,
    /// What comes after `received`.
    receiving: Option<Receiving>,
    end: Option<engine_rt::Result<()>>,
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ahead")
            .field("received", &self.received.len())
            .finish_non_exhaustive()
    }
}

impl Ahead {
    /// Waits for the end of the stream, reading a little. Cancel: safe.
    pub(super) async fn ended(&mut self, stream: &Stream) {
        while self.end.is_none() {
            let room = AHEAD_BYTES_MAX.saturating_sub(self.received.len());
            if room == 0 && self.receiving.is_none() {
                return core::future::pending().await;
            }
            self.receiving.get_or_insert_with(|| {
                let stream = stream.clone();
                Box::pin(async move { stream.recv(BytesMut::new(), room).await })
            });
            self.complete().await;
        }
    }

    /// What was read ahead, waiting for it if that is under way; empty at the end of the stream,
    /// `None` where nothing was. Cancel: safe.
    pub(super) async fn take(&mut self) -> engine_rt::Result<Option<BytesMut>> {
        if self.received.is_empty() && self.end.is_none() {
            if self.receiving.is_none() {
                return Ok(None);
            }
            self.complete().await;
        }
        if self.received.is_empty() {
            return match self.end.clone() {
                Some(Err(error)) => Err(error),
                _ => Ok(Some(BytesMut::new())),
            };
        }
        Ok(Some(core::mem::take(&mut self.received)))
    }

    /// Waits for what is under way.
    async fn complete(&mut self) {
        let result = core::future::poll_fn(|context| match self.receiving.as_mut() {
            Some(receiving) => receiving.as_mut().poll(context),
            None => Poll::Ready(Ok(BytesMut::new())),
        })
        .await;
        self.receiving = None;
        match result {
            Ok(bytes) if bytes.is_empty() => self.end = Some(Ok(())),
            Ok(bytes) => self.received.unsplit(bytes),
            Err(error) => self.end = Some(Err(error)),
        }
    }
}
