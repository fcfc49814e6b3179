//! A blocking connection on which versions are agreed: for what happens before the load.
//!
//! Keeps: every wait has its end.

use crate::error::BenchError;
use bytes::Bytes;
use engine_model::NodeId;
use net_client::{ClientError, Connection, Event, Operation};
use net_protocol::{ApiKey, Text};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 << 10;
/// The shortest timeout a socket takes.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// See the module's own words.
pub struct Control {
    address: String,
    stream: TcpStream,
    connection: Connection,
    buffer: Vec<u8>,
    timeout: Duration,
}

impl Control {
    /// Connects to the first of the addresses that answers, and agrees on versions.
    pub fn connect(
        addresses: &[String],
        client_id: &Text,
        timeout: Duration,
    ) -> Result<Self, BenchError> {
        let mut last = BenchError::Options("no address of a broker was given");
        for address in addresses {
            match Self::connect_one(address, client_id, timeout) {
                Ok(control) => return Ok(control),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_one(address: &str, client_id: &Text, timeout: Duration) -> Result<Self, BenchError> {
        let failed = |source| BenchError::Connect {
            address: address.to_owned(),
            source,
        };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for socket_address in address.to_socket_addrs().map_err(failed)? {
            match TcpStream::connect_timeout(&socket_address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(failed)?;
                    let version = Text::from_static(env!("CARGO_PKG_VERSION"));
                    let mut control = Self {
                        address: address.to_owned(),
                        stream,
                        connection: Connection::new(client_id.clone(), version),
                        buffer: vec![0; READ_BYTES],
                        timeout,
                    };
                    control.agree()?;
                    return Ok(control);
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    fn agree(&mut self) -> Result<(), BenchError> {
        let deadline = Instant::now() + self.timeout;
        let hello = self.connection.handshake()?;
        self.write(&hello, deadline)?;
        loop {
            match self.read_event(deadline)? {
                Event::Ready => return Ok(()),
                Event::AskAgain(bytes) => self.write(&bytes, deadline)?,
                Event::Answer(..) => return Err(ClientError::NotReady.into()),
            }
        }
    }

    /// The highest version of an API that both sides have.
    pub fn version(&self, api: ApiKey) -> Result<i16, BenchError> {
        let versions = self.connection.versions().ok_or(ClientError::NotReady)?;
        Ok(versions.pick(api)?)
    }

    /// Carries one request.
    pub fn call<R: Operation>(&mut self, request: R) -> Result<R::Response, BenchError> {
        let call = request.into_call();
        let api = call.key();
        let deadline = Instant::now() + self.timeout;
        let (sent, bytes) = self.connection.send(call)?;
        self.write(&bytes, deadline)?;
        loop {
            if let Event::Answer(correlation_id, answer) = self.read_event(deadline)?
                && correlation_id == sent
            {
                let response = R::from_answer(answer);
                return response.ok_or(ClientError::Incomplete { api }.into());
            }
        }
    }

    /// Where the broker is, and the socket, which nothing is outstanding on.
    pub fn into_parts(self) -> (String, TcpStream) {
        (self.address, self.stream)
    }

    fn read_event(&mut self, deadline: Instant) -> Result<Event, BenchError> {
        loop {
            if let Some(event) = self.connection.next_event()? {
                return Ok(event);
            }
            let left = self.time_left(deadline)?;
            let read = self
                .stream
                .set_read_timeout(Some(left))
                .and_then(|()| self.stream.read(&mut self.buffer));
            match read {
                Ok(0) => return Err(self.lost()),
                Ok(count) => {
                    let bytes = self.buffer.get(..count).unwrap_or_default();
                    self.connection.receive(bytes);
                }
                Err(error) => self.may_go_on(error)?,
            }
        }
    }

    fn write(&mut self, chunks: &[Bytes], deadline: Instant) -> Result<(), BenchError> {
        let bytes = chunks.concat();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let left = self.time_left(deadline)?;
            let written = self
                .stream
                .set_write_timeout(Some(left))
                .and_then(|()| self.stream.write(rest));
            match written {
                Ok(0) => return Err(self.lost()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) => self.may_go_on(error)?,
            }
        }
        Ok(())
    }

    fn lost(&self) -> BenchError {
        BenchError::Closed {
            address: self.address.clone(),
        }
    }

    fn may_go_on(&self, error: io::Error) -> Result<(), BenchError> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Err(ClientError::TimedOut { last: None }.into())
            }
            _ => Err(BenchError::Broken {
                address: self.address.clone(),
                source: error,
            }),
        }
    }

    fn time_left(&self, deadline: Instant) -> Result<Duration, BenchError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left < TIMEOUT_MIN {
            return Err(BenchError::Silent {
                waited: self.timeout,
            });
        }
        Ok(left)
    }
}

/// An address in words; IPv6 needs brackets in front of a port.
pub fn address_of(host: &str, port: i32) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The error of a broker that metadata does not name.
pub fn unknown_broker(node: NodeId) -> BenchError {
    ClientError::ConnectionLost { node }.into()
}
