//! One connection to the broker, byte by byte.

use bytes::Bytes;
use engine_model::{ErrorCode, TopicId};
use net_protocol::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use net_protocol::{Message, Reader, Request, ResponseHeader, request_frame};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::seeds::TOPIC_ID_PLACE;

/// Longer than any honest answer takes, on a busy machine too.
const HONEST: Duration = Duration::from_secs(30);

/// What came of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A frame, without its length.
    Answer(Vec<u8>),
    /// The broker closed the connection.
    Closed,
    /// Neither within the patience given.
    Nothing,
}

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    next_id: i32,
}

impl Wire {
    /// Connects, if somebody accepts.
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, HONEST)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(HONEST))?;
        stream.set_read_timeout(Some(HONEST))?;
        Ok(Self { stream, next_id: 1 })
    }

    /// Sends bytes as they are; `false` where the broker has closed.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The next frame.
    pub fn receive(&mut self, patience: Duration) -> Outcome {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut head = [0; 4];
        match self.fill(&mut head) {
            Outcome::Answer(_) => {}
            other => return other,
        }
        let length = usize::try_from(u32::from_be_bytes(head)).unwrap();
        assert!(length <= 1 << 30, "an answer of {length} bytes");
        let mut body = vec![0; length];
        self.stream.set_read_timeout(Some(HONEST)).unwrap();
        match self.fill(&mut body) {
            Outcome::Answer(_) => Outcome::Answer(body),
            other => other,
        }
    }

    fn fill(&mut self, room: &mut [u8]) -> Outcome {
        match self.stream.read_exact(room) {
            Ok(()) => Outcome::Answer(Vec::new()),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Outcome::Nothing,
                _ => Outcome::Closed,
            },
        }
    }

    /// Sends a request and decodes the answer, which must come; `Err` where the broker closes.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response, Outcome> {
        let id = self.next_id;
        self.next_id += 1;
        let frame = request_frame(version, id, None, request).unwrap().concat();
        if !self.send(&frame) {
            return Err(Outcome::Closed);
        }
        let body = match self.receive(HONEST) {
            Outcome::Answer(body) => body,
            other => return Err(other),
        };
        let mut reader = Reader::new(Bytes::from(body));
        let header = ResponseHeader::decode(R::KEY, version, &mut reader).unwrap();
        assert_eq!(header.correlation_id, id, "answers leave in request order");
        Ok(R::Response::decode(version, &mut reader).unwrap())
    }
}

/// Makes a topic of two partitions.
pub fn create_topic(address: SocketAddr, name: &str, configs: &[(&str, &str)]) -> TopicId {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.into(),
            num_partitions: 2,
            replication_factor: 1,
            configs: configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig {
                    name: (*name).into(),
                    value: Some((*value).into()),
                })
                .collect(),
            ..CreatableTopic::default()
        }],
        ..CreateTopicsRequest::default()
    };
    let mut wire = Wire::connect(address).unwrap();
    let answer = wire.call(7, &request).unwrap();
    assert_eq!(answer.topics[0].error_code, ErrorCode::NONE, "{answer:?}");
    answer.topics[0].topic_id
}

/// The frame with the topic's id in its place.
pub fn with_topic_id(mut frame: Vec<u8>, id: TopicId) -> Vec<u8> {
    let mut at = 0;
    while let Some(found) = frame
        .get(at..)
        .and_then(|rest| rest.windows(16).position(|window| window == TOPIC_ID_PLACE))
    {
        frame[at + found..at + found + 16].copy_from_slice(&id.to_bytes());
        at += found + 16;
    }
    frame
}
