//! One connection of a client: requests out, answers in, in order.
//!
//! Keeps: whatever the broker does, every wait ends.

use bytes::Bytes;
use net_protocol::{Message, Reader, Request, ResponseHeader, request_frame};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any honest answer takes, on a busy machine too.
const ANSWER_DURATION_MAX: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: u32 = 256 << 20;

/// A connection. An error ends it.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    next_id: i32,
    next_answer: i32,
}

impl Wire {
    /// Connects, if somebody accepts.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_DURATION_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(ANSWER_DURATION_MAX))?;
        stream.set_read_timeout(Some(ANSWER_DURATION_MAX))?;
        Ok(Self {
            stream,
            next_id: 1,
            next_answer: 1,
        })
    }

    /// Sends a request without waiting for its answer.
    pub fn ask<R: Request>(&mut self, version: i16, request: &R) -> Result<()> {
        let id = self.next_id;
        self.next_id += 1;
        let frame =
            request_frame(version, id, None, request).expect("a request that can be written");
        self.stream.write_all(&frame.concat())
    }

    /// The answer to the oldest request that has none yet.
    pub fn answer<R: Request>(&mut self, version: i16) -> Result<R::Response> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head);
        assert!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes");
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut body)?;
        let mut reader = Reader::new(Bytes::from(body));
        let bad = |text: String| Error::new(ErrorKind::InvalidData, text);
        let header = ResponseHeader::decode(R::KEY, version, &mut reader);
        let header = header.map_err(|error| bad(error.to_string()))?;
        assert_eq!(header.correlation_id, self.next_answer, "answers in order");
        self.next_answer += 1;
        R::Response::decode(version, &mut reader).map_err(|error| bad(error.to_string()))
    }

    /// Sends a request and waits for its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.ask(version, request)?;
        self.answer::<R>(version)
    }
}
