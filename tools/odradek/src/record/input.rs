//! What is produced: input cut into pieces at a delimiter, read by a thread of its own.
//!
//! Keeps: pieces hold any bytes but the delimiter, in order; the last one needs none behind it. The
//! thread is ahead by a bounded number of chunks; whoever reads knows whether a piece would make
//! it wait.

use crate::failure::{Failure, Kind};
use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How much of the input is read at once, in bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// How many chunks are read ahead.
const CHUNKS_MAX: usize = 8;
/// The longest piece, in bytes: no setting lets a broker take a larger batch.
const PIECE_BYTES_MAX: usize = engine_model::limits::BATCH_BYTES_MAX;

/// What there is of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A piece without its delimiter.
    Piece(Bytes),
    /// Nothing yet.
    Pending,
    /// Nothing more.
    End,
}

/// Input that is being read.
pub struct Input {
    chunks: Receiver<io::Result<Bytes>>,
    delimiter: Vec<u8>,
    buffer: BytesMut,
    /// No delimiter begins before this place of the buffer.
    searched: usize,
    is_over: bool,
    number: u64,
}

/// Opens a file.
pub fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        Failure::new(kind, format!("cannot open {}: {error}", path.display()))
    })
}

impl Input {
    /// The pieces of a file, or of stdin.
    pub fn new(path: Option<&Path>, delimiter: &[u8]) -> Result<Self, Failure> {
        match path {
            Some(path) => Self::of(open(path)?, delimiter),
            None => Self::of(io::stdin(), delimiter),
        }
    }

    fn of(input: impl Read + Send + 'static, delimiter: &[u8]) -> Result<Self, Failure> {
        let (sender, chunks) = sync_channel(CHUNKS_MAX);
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || read(input, &sender))
            .map_err(|error| Failure::new(Kind::Failed, format!("cannot read: {error}")))?;
        Ok(Self {
            chunks,
            delimiter: delimiter.to_vec(),
            buffer: BytesMut::new(),
            searched: 0,
            is_over: false,
            number: 0,
        })
    }

    /// The number of the piece last read, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The next piece; waits for it as long as `wait` says, without end for `None`.
    pub fn next(&mut self, wait: Option<Duration>) -> Result<Next, Failure> {
        loop {
            if let Some(piece) = self.cut() {
                return self.piece(piece);
            }
            if self.buffer.len() > PIECE_BYTES_MAX {
                let piece = self.buffer.split().freeze();
                return self.piece(piece);
            }
            if self.is_over {
                let last = self.buffer.split().freeze();
                return if last.is_empty() {
                    Ok(Next::End)
                } else {
                    self.piece(last)
                };
            }
            let chunk = match wait {
                None => self
                    .chunks
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => self.chunks.recv_timeout(wait),
            };
            match chunk {
                Ok(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(Err(error)) => {
                    let what = format!("cannot read the input: {error}");
                    return Err(Failure::new(Kind::Failed, what));
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Next::Pending),
                Err(RecvTimeoutError::Disconnected) => self.is_over = true,
            }
        }
    }

    /// Cuts the first piece off the buffer, if its end is there.
    fn cut(&mut self) -> Option<Bytes> {
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(place) = find(fresh, &self.delimiter) else {
            let back = self.delimiter.len().saturating_sub(1);
            self.searched = self.buffer.len().saturating_sub(back).max(self.searched);
            return None;
        };
        let end = self.searched.saturating_add(place);
        let mut piece = self
            .buffer
            .split_to(end.saturating_add(self.delimiter.len()));
        piece.truncate(end);
        self.searched = 0;
        Some(piece.freeze())
    }

    fn piece(&mut self, piece: Bytes) -> Result<Next, Failure> {
        self.number = self.number.saturating_add(1);
        if piece.len() > PIECE_BYTES_MAX {
            let what = format!(
                "line {} is longer than {PIECE_BYTES_MAX} bytes",
                self.number
            );
            return Err(Failure::new(Kind::Failed, what));
        }
        Ok(Next::Piece(piece))
    }
}

fn read(mut input: impl Read, sender: &SyncSender<io::Result<Bytes>>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let chunk = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(Bytes::copy_from_slice(
                buffer.get(..count).unwrap_or_default(),
            )),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_over = chunk.is_err();
        // Nobody wants more of it once the other end is gone.
        if sender.send(chunk).is_err() || is_over {
            return;
        }
    }
}

/// The first place of `delimiter`, which has at least one byte.
pub fn find(bytes: &[u8], delimiter: &[u8]) -> Option<usize> {
    match delimiter {
        [only] => bytes.iter().position(|byte| byte == only),
        _ => bytes
            .windows(delimiter.len().max(1))
            .position(|window| window == delimiter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out its parts one a read.
    struct Parts(Vec<Vec<u8>>);

    impl Read for Parts {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let part = self.0.remove(0);
            buffer[..part.len()].copy_from_slice(&part);
            Ok(part.len())
        }
    }

    fn pieces(parts: &[&[u8]], delimiter: &[u8]) -> Vec<Vec<u8>> {
        let parts = Parts(parts.iter().map(|part| part.to_vec()).collect());
        let mut input = Input::of(parts, delimiter).unwrap();
        let mut pieces = Vec::new();
        while let Next::Piece(piece) = input.next(None).unwrap() {
            pieces.push(piece.to_vec());
        }
        assert_eq!(input.number(), u64::try_from(pieces.len()).unwrap());
        pieces
    }

    #[test]
    fn pieces_keep_their_bytes_and_the_last_needs_no_delimiter() {
        for (input, delimiter, expected) in [
            (
                &b"a\r\n\n\xff\0b\nlast"[..],
                &b"\n"[..],
                &[&b"a\r"[..], b"", b"\xff\0b", b"last"][..],
            ),
            (b"1ab2abab3ab4a", b"ab", &[b"1", b"2", b"", b"3", b"4a"]),
            (b"aab", b"ab", &[b"a"]),
            (b"a\0b\0", b"\0", &[b"a", b"b"]),
            (b"", b"\n", &[]),
            (b"\n", b"\n", &[b""]),
            (b"xyxyz-xyz", b"xyz", &[b"xy", b"-"]),
        ] {
            assert_eq!(pieces(&[input], delimiter), expected);
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(pieces(&bytes, delimiter), expected, "a byte at a time");
        }
    }

    #[test]
    fn a_piece_too_long_is_refused_with_its_number() {
        let long = vec![b'x'; CHUNK_BYTES];
        let count = PIECE_BYTES_MAX / CHUNK_BYTES;
        let mut parts = vec![b"ok\n".to_vec()];
        parts.extend(std::iter::repeat_n(long, count));
        parts.push(b"\n".to_vec());
        let mut input = Input::of(Parts(parts.clone()), b"\n").unwrap();
        input.next(None).unwrap();
        let Next::Piece(piece) = input.next(None).unwrap() else {
            panic!("just not too long");
        };
        assert_eq!(piece.len(), count * CHUNK_BYTES);
        parts.insert(1, vec![b'x'; PIECE_BYTES_MAX % CHUNK_BYTES + 1]);
        let mut input = Input::of(Parts(parts), b"\n").unwrap();
        input.next(None).unwrap();
        assert!(input.next(None).is_err());
        assert_eq!(input.number(), 2);
    }
}
