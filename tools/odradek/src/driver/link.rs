//! One blocking connection to one broker.

use bytes::Bytes;
use engine_model::NodeId;
use net_client::{Answer, Call, ClientError, Connection, Event};
use net_protocol::Text;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 << 10;
/// The shortest timeout a socket takes.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// Why there is no connection.
#[derive(Debug)]
pub enum LinkError {
    /// The name means no address.
    Resolve(io::Error),
    /// No address answered; the error of the last.
    Connect(io::Error),
    /// The broker and we do not understand each other.
    Handshake(ClientError),
}

impl LinkError {
    /// Whether it was a matter of time.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Connect(error) => error.kind() == io::ErrorKind::TimedOut,
            Self::Handshake(error) => matches!(error, ClientError::TimedOut { .. }),
            Self::Resolve(_) => false,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(f, "no such address ({error})"),
            Self::Connect(error) => write!(f, "{error}"),
            Self::Handshake(error) => write!(f, "connected, but {error}"),
        }
    }
}

/// A connection on which versions are agreed.
pub struct Link {
    stream: TcpStream,
    connection: Connection,
    buffer: Vec<u8>,
}

impl Link {
    /// Connects and agrees on versions, all within `timeout`.
    pub fn connect(address: &str, client_id: &Text, timeout: Duration) -> Result<Self, LinkError> {
        let deadline = Instant::now() + timeout;
        let stream = connect(address, deadline)?;
        let version = Text::from_static(env!("CARGO_PKG_VERSION"));
        let mut link = Self {
            stream,
            connection: Connection::new(client_id.clone(), version),
            buffer: vec![0; READ_BYTES],
        };
        link.agree(deadline).map_err(LinkError::Handshake)?;
        Ok(link)
    }

    fn agree(&mut self, deadline: Instant) -> Result<(), ClientError> {
        let hello = self.connection.handshake()?;
        self.write(&hello, deadline)?;
        loop {
            match self.read_event(deadline)? {
                Event::Ready => return Ok(()),
                Event::AskAgain(bytes) => self.write(&bytes, deadline)?,
                Event::Answer(..) => return Err(ClientError::NotReady),
            }
        }
    }

    /// Sends a request; returns the number its answer will have.
    pub fn send(&mut self, call: Call, timeout: Duration) -> Result<i32, ClientError> {
        let deadline = Instant::now() + timeout;
        let (sent, bytes) = self.connection.send(call)?;
        self.write(&bytes, deadline)?;
        Ok(sent)
    }

    /// The next answer and its number, if it comes within `wait`; without it, only one that is
    /// there already.
    pub fn receive(
        &mut self,
        wait: Option<Duration>,
    ) -> Result<Option<(i32, Answer)>, ClientError> {
        let deadline = wait.map(|wait| Instant::now() + wait);
        loop {
            if let Some(event) = self.connection.next_event()? {
                if let Event::Answer(correlation_id, answer) = event {
                    return Ok(Some((correlation_id, answer)));
                }
                continue;
            }
            let read = match deadline.map(time_left) {
                None | Some(Err(_)) => self.read_what_is_there(),
                Some(Ok(left)) => self
                    .stream
                    .set_read_timeout(Some(left))
                    .and_then(|()| self.stream.read(&mut self.buffer)),
            };
            match read {
                Ok(0) => return Err(ClientError::ConnectionLost { node: NodeId::NONE }),
                Ok(count) => self
                    .connection
                    .receive(self.buffer.get(..count).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Ok(None),
                    _ => return Err(broken(&error)),
                },
            }
        }
    }

    fn read_what_is_there(&mut self) -> io::Result<usize> {
        self.stream.set_nonblocking(true)?;
        let read = self.stream.read(&mut self.buffer);
        self.stream.set_nonblocking(false)?;
        read
    }

    /// Sends a request and waits for its answer; `None` for one that has none.
    pub fn exchange(
        &mut self,
        call: Call,
        timeout: Duration,
    ) -> Result<Option<Answer>, ClientError> {
        let deadline = Instant::now() + timeout;
        let is_answered = call.is_answered();
        let (sent, bytes) = self.connection.send(call)?;
        self.write(&bytes, deadline)?;
        if !is_answered {
            return Ok(None);
        }
        loop {
            if let Event::Answer(correlation_id, answer) = self.read_event(deadline)?
                && correlation_id == sent
            {
                return Ok(Some(answer));
            }
        }
    }

    fn read_event(&mut self, deadline: Instant) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.connection.next_event()? {
                return Ok(event);
            }
            let left = time_left(deadline)?;
            self.stream
                .set_read_timeout(Some(left))
                .map_err(|error| broken(&error))?;
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err(ClientError::ConnectionLost { node: NodeId::NONE }),
                Ok(count) => {
                    self.connection
                        .receive(self.buffer.get(..count).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    fn write(&mut self, chunks: &[Bytes], deadline: Instant) -> Result<(), ClientError> {
        let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let left = time_left(deadline)?;
            self.stream
                .set_write_timeout(Some(left))
                .map_err(|error| broken(&error))?;
            match self.stream.write_vectored(rest) {
                Ok(0) => return Err(ClientError::ConnectionLost { node: NodeId::NONE }),
                Ok(count) => IoSlice::advance_slices(&mut rest, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }
}

fn connect(address: &str, deadline: Instant) -> Result<TcpStream, LinkError> {
    let addresses = address.to_socket_addrs().map_err(LinkError::Resolve)?;
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        let Ok(left) = time_left(deadline) else {
            return Err(LinkError::Connect(io::ErrorKind::TimedOut.into()));
        };
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(LinkError::Connect)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(LinkError::Connect(last))
}

fn time_left(deadline: Instant) -> Result<Duration, ClientError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left < TIMEOUT_MIN {
        return Err(ClientError::TimedOut { last: None });
    }
    Ok(left)
}

fn broken(error: &io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::TimedOut { last: None },
        _ => ClientError::ConnectionLost { node: NodeId::NONE },
    }
}
