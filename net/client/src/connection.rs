//! One connection to one broker: frames out, answers in, versions agreed on first.
//!
//! | state     | event                         | next     | out                         |
//! |-----------|-------------------------------|----------|-----------------------------|
//! | New       | handshake                     | Asking   | ApiVersions, our highest    |
//! | Asking    | answer: error 35, their range | Asking   | ApiVersions, their highest  |
//! | Asking    | answer: ranges                | Ready    |                             |
//! | Ready     | send                          | Ready    | the request                 |
//! | any       | error                         | of no more use                         |
//!
//! Keeps: answers come in the order of requests, or the connection is given up; no more is buffered
//! than one answer of at most `RESPONSE_BYTES_MAX`, growing with what arrives.
//! Source: KIP-35, KIP-511.

use crate::call::{Answer, Call};
use crate::error::ClientError;
use crate::versions::Versions;
use bytes::{Buf, Bytes, BytesMut};
use engine_model::ErrorCode;
use net_protocol::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use net_protocol::{ApiKey, Message, Reader, ResponseHeader, Text};
use std::collections::VecDeque;

/// The largest answer that is taken, in bytes.
pub const RESPONSE_BYTES_MAX: usize = 128 << 20;

/// The most requests of one connection that wait for answers.
const IN_FLIGHT_MAX: usize = 64;

/// How many times versions are asked for before giving up.
const ASKS_MAX: u8 = 3;

/// What came of the bytes received.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Versions are agreed on; requests can be sent.
    Ready,
    /// The broker wants to be asked in another version: these bytes are to be sent.
    AskAgain(Vec<Bytes>),
    /// The answer to the request with this correlation id.
    Answer(i32, Answer),
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    correlation_id: i32,
    key: ApiKey,
    version: i16,
}

/// See the module's own words.
#[derive(Debug)]
pub struct Connection {
    client_id: Text,
    software_version: Text,
    versions: Option<Versions>,
    asks_left: u8,
    correlation_id: i32,
    in_flight: VecDeque<InFlight>,
    input: BytesMut,
}

impl Connection {
    /// A connection that has sent nothing yet. `software_version` is told to the broker.
    pub fn new(client_id: Text, software_version: Text) -> Self {
        Self {
            client_id,
            software_version,
            versions: None,
            asks_left: ASKS_MAX,
            correlation_id: 0,
            in_flight: VecDeque::new(),
            input: BytesMut::new(),
        }
    }

    /// The first bytes to send.
    pub fn handshake(&mut self) -> Result<Vec<Bytes>, ClientError> {
        self.ask(*ApiKey::ApiVersions.versions().end())
    }

    fn ask(&mut self, version: i16) -> Result<Vec<Bytes>, ClientError> {
        self.asks_left = self
            .asks_left
            .checked_sub(1)
            .ok_or(ClientError::UnknownApi {
                api: ApiKey::ApiVersions,
            })?;
        let request = ApiVersionsRequest {
            client_software_name: Text::from_static("odradek"),
            client_software_version: self.software_version.clone(),
        };
        self.push(&Call::ApiVersions(request), version)
            .map(|(_, bytes)| bytes)
    }

    /// What the broker speaks, once it has said so.
    pub fn versions(&self) -> Option<&Versions> {
        self.versions.as_ref()
    }

    /// The bytes of a request and its correlation id, which its answer will carry.
    ///
    /// Errors: `NotReady` before `Event::Ready`; `TooManyInFlight`; what `Versions::pick` gives; after
    /// these the connection can go on.
    pub fn send(&mut self, call: Call) -> Result<(i32, Vec<Bytes>), ClientError> {
        let versions = self.versions.as_ref().ok_or(ClientError::NotReady)?;
        let version = versions.pick(call.key())?;
        self.push(&call.adapted(version), version)
    }

    fn push(&mut self, call: &Call, version: i16) -> Result<(i32, Vec<Bytes>), ClientError> {
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            return Err(ClientError::TooManyInFlight { max: IN_FLIGHT_MAX });
        }
        let correlation_id = self.correlation_id;
        let frame = call.frame(version, correlation_id, &self.client_id)?;
        self.correlation_id = correlation_id.checked_add(1).unwrap_or(0);
        if call.is_answered() {
            self.in_flight.push_back(InFlight {
                correlation_id,
                key: call.key(),
                version,
            });
        }
        Ok((correlation_id, frame))
    }

    /// Takes bytes off the wire.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// What the bytes received so far amount to; `None` when more are needed. To be called until then.
    ///
    /// Errors: all mean that the connection is of no more use.
    pub fn next_event(&mut self) -> Result<Option<Event>, ClientError> {
        let Some(frame) = self.frame()? else {
            return Ok(None);
        };
        let mut reader = Reader::new(frame);
        let Some(InFlight {
            correlation_id: expected,
            key,
            version,
        }) = self.in_flight.pop_front()
        else {
            let found = reader.i32()?;
            return Err(ClientError::OutOfOrder {
                expected: None,
                found,
            });
        };
        let found = ResponseHeader::decode(key, version, &mut reader)?.correlation_id;
        if found != expected {
            return Err(ClientError::OutOfOrder {
                expected: Some(expected),
                found,
            });
        }
        if self.versions.is_none() {
            return self.agree(version, reader).map(Some);
        }
        let answer = Answer::decode(key, version, &mut reader)?;
        Ok(Some(Event::Answer(found, answer)))
    }

    /// One whole frame without its size, if there is one.
    fn frame(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Some(size) = self.input.first_chunk().copied().map(i32::from_be_bytes) else {
            return Ok(None);
        };
        let length = usize::try_from(size)
            .ok()
            .filter(|length| (4..=RESPONSE_BYTES_MAX).contains(length))
            .ok_or(ClientError::AnswerSize {
                size,
                max: RESPONSE_BYTES_MAX,
            })?;
        if self.input.len().saturating_sub(4) < length {
            return Ok(None);
        }
        self.input.advance(4);
        Ok(Some(self.input.split_to(length).freeze()))
    }

    /// Takes the answer to ApiVersions. One to a version the broker lacks comes in version 0, with
    /// error 35 and, from all but the oldest brokers, the range it has.
    fn agree(&mut self, version: i16, mut reader: Reader) -> Result<Event, ClientError> {
        let body = reader.take(reader.left())?;
        let code = ErrorCode(Reader::new(body.clone()).i16()?);
        let version_of_answer = match code {
            ErrorCode::UNSUPPORTED_VERSION => 0,
            _ => version,
        };
        let response = ApiVersionsResponse::decode(version_of_answer, &mut Reader::new(body))?;
        if code == ErrorCode::UNSUPPORTED_VERSION {
            let offered = Versions::new(&response).pick(ApiKey::ApiVersions);
            let next = offered.unwrap_or(0).min(version.saturating_sub(1)).max(0);
            return self.ask(next).map(Event::AskAgain);
        }
        if code.is_error() {
            return Err(ClientError::Broker {
                api: ApiKey::ApiVersions,
                code,
            });
        }
        self.versions = Some(Versions::new(&response));
        Ok(Event::Ready)
    }
}
