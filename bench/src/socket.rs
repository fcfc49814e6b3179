//! A socket that never blocks, with what is to be sent and what has come.
//!
//! Keeps: one read and one write a turn, however many requests and answers they carry; a frame is read
//! in place and grows the buffer only to the size it has.

use crate::error::BenchError;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;

/// Pieces that one write takes.
const PIECES_MAX: usize = 64;
/// Room for answers before the first large one, in bytes.
const INPUT_BYTES: usize = 256 << 10;
/// The largest answer that is taken, in bytes.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// See the module's own words.
pub struct Socket {
    address: String,
    stream: TcpStream,
    output: VecDeque<Bytes>,
    input: Vec<u8>,
    /// Where the bytes begin that are not used up.
    start: usize,
    /// Where they end.
    end: usize,
    /// Bytes sent so far.
    sent_bytes: u64,
    /// Bytes received so far.
    received_bytes: u64,
}

impl Socket {
    /// Takes over a connected stream.
    pub fn new(address: String, stream: TcpStream) -> Result<Self, BenchError> {
        stream
            .set_nonblocking(true)
            .map_err(|source| BenchError::Broken {
                address: address.clone(),
                source,
            })?;
        Ok(Self {
            address,
            stream,
            output: VecDeque::new(),
            input: vec![0; INPUT_BYTES],
            start: 0,
            end: 0,
            sent_bytes: 0,
            received_bytes: 0,
        })
    }

    /// Bytes that all of these have sent and received so far.
    pub fn traffic<'a>(sockets: impl Iterator<Item = &'a Self>) -> (u64, u64) {
        sockets.fold((0, 0), |(sent, received), socket| {
            (sent + socket.sent_bytes, received + socket.received_bytes)
        })
    }

    /// The stream, for a poller.
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Puts a piece behind what is to be sent.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.output.push_back(piece);
        }
    }

    /// Sends what the kernel takes; true when nothing is left.
    pub fn flush(&mut self) -> Result<bool, BenchError> {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.output) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            match (&self.stream).write_vectored(slices.get(..count).unwrap_or_default()) {
                Ok(0) => return Err(self.closed()),
                Ok(written) => {
                    self.sent_bytes += crate::number::wide(written);
                    self.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(true)
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(first) = self.output.front_mut() {
            if first.len() > written {
                bytes::Buf::advance(first, written);
                return;
            }
            written -= first.len();
            self.output.pop_front();
        }
    }

    /// Reads once; to be called when the socket is readable.
    pub fn fill(&mut self) -> Result<(), BenchError> {
        self.make_room();
        let room = self.input.get_mut(self.end..).unwrap_or_default();
        match (&self.stream).read(room) {
            Ok(0) => Err(self.closed()),
            Ok(count) => {
                self.end += count;
                self.received_bytes += crate::number::wide(count);
                Ok(())
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    /// Room for the whole of the frame that has begun, and to read on.
    fn make_room(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        let wanted = self.frame_bytes().unwrap_or(4).max(INPUT_BYTES / 2);
        if self.start + wanted > self.input.len() {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if wanted > self.input.len() {
            self.input.resize(wanted + INPUT_BYTES, 0);
        }
    }

    /// Size of the frame that has begun, with its prefix, if that much has come.
    fn frame_bytes(&self) -> Option<usize> {
        let begun = self.input.get(self.start..self.end)?;
        let size = u32::from_be_bytes(*begun.first_chunk()?);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        // A size that is none is caught where the frame is taken.
        Some(size.min(FRAME_BYTES_MAX) + 4)
    }

    /// The next whole frame without its size.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, BenchError> {
        let Some(length) = self.frame_bytes() else {
            return Ok(None);
        };
        if length > FRAME_BYTES_MAX {
            let what = io::Error::new(
                io::ErrorKind::InvalidData,
                "an answer larger than any can be; is this a Kafka broker?",
            );
            return Err(self.broken(what));
        }
        if self.end - self.start < length {
            return Ok(None);
        }
        let frame = self.start + 4..self.start + length;
        self.start += length;
        Ok(self.input.get(frame))
    }

    fn closed(&self) -> BenchError {
        BenchError::Closed {
            address: self.address.clone(),
        }
    }

    fn broken(&self, source: io::Error) -> BenchError {
        BenchError::Broken {
            address: self.address.clone(),
            source,
        }
    }
}
