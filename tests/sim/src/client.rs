//! A client that speaks raw frames: what it sends is what a test says, right or wrong.

use bytes::{Bytes, BytesMut};
use core::net::SocketAddr;
use engine_rt::Stream;
use net_protocol::{Message, Reader, Request, ResponseHeader, Text, request_frame};

/// The broker closed the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hangup;

/// A connection to the broker.
pub struct Client {
    stream: Stream,
    buffer: BytesMut,
    next_id: i32,
}

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    /// Connects, if somebody listens.
    pub async fn try_connect(address: SocketAddr) -> Result<Self, Hangup> {
        let stream = Stream::connect(address).await.map_err(|_| Hangup)?;
        Ok(Self {
            stream,
            buffer: BytesMut::new(),
            next_id: 1,
        })
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&self, bytes: Vec<u8>) -> Result<(), Hangup> {
        self.stream
            .send(vec![Bytes::from(bytes)])
            .await
            .map_err(|_| Hangup)
    }

    /// Sends a request and returns its correlation id.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<i32, Hangup> {
        let id = self.next_id;
        self.next_id += 1;
        let name = Text::from_static("tests-sim");
        let frame = request_frame(version, id, Some(&name), request).unwrap();
        self.stream.send(frame).await.map_err(|_| Hangup)?;
        Ok(id)
    }

    /// The next frame the broker sends, without its length.
    pub async fn frame(&mut self) -> Result<Bytes, Hangup> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*head)).unwrap();
                if self.buffer.len() >= 4 + length {
                    let frame = self.buffer.split_to(4 + length).freeze();
                    return Ok(frame.slice(4..));
                }
            }
            let before = self.buffer.len();
            let buffer = core::mem::take(&mut self.buffer);
            self.buffer = self
                .stream
                .recv(buffer, 256 << 10)
                .await
                .map_err(|_| Hangup)?;
            if self.buffer.len() == before {
                return Err(Hangup);
            }
        }
    }

    /// The next answer, which must be to a request of `R` in `version` with this id, and must
    /// decode to its last byte.
    pub async fn answer<R: Request>(
        &mut self,
        version: i16,
        id: i32,
    ) -> Result<R::Response, Hangup> {
        let mut reader = Reader::new(self.frame().await?);
        let header = ResponseHeader::decode(R::KEY, version, &mut reader).unwrap();
        assert_eq!(header.correlation_id, id, "answers leave in request order");
        let response = R::Response::decode(version, &mut reader).unwrap();
        assert_eq!(reader.left(), 0, "bytes after a {:?} answer", R::KEY);
        Ok(response)
    }

    /// Sends a request and returns the answer.
    pub async fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, Hangup> {
        let id = self.send(version, request).await?;
        self.answer::<R>(version, id).await
    }

    /// Ends the connection.
    pub async fn close(self) {
        // It may be gone already.
        let _ = self.stream.shutdown().await;
    }
}
