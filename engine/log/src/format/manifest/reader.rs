//! Reading a manifest piece by piece: memory is bounded by one piece and one row.

use super::row::{LogImage, ManifestHead, Row, WHAT};
use super::{ManifestPlace, PieceHeader};
use crate::format::wire::{Fields, size};
use crate::format::{FormatError, MANIFEST_ROW_BYTES_MAX};

/// A manifest being read.
///
/// Hand `piece` the bytes from the position it last asked for; a slice that ends inside a piece is
/// `Short` and says how many bytes are needed. The manifest counts only once `finish` says so:
/// rows handed out before are provisional.
#[derive(Debug)]
pub struct ManifestReader {
    place: ManifestPlace,
    number: Option<u64>,
    next_index: u32,
    head: Option<ManifestHead>,
    logs: u32,
    last_seen: bool,
    /// A row whose end has not come yet.
    partial: Vec<u8>,
}

impl ManifestReader {
    /// Begins to read the slot at `place`.
    pub const fn new(place: ManifestPlace) -> Self {
        Self {
            place,
            number: None,
            next_index: 0,
            head: None,
            logs: 0,
            last_seen: false,
            partial: Vec::new(),
        }
    }

    /// Reads the piece at the start of `bytes`, adds the logs that end in it to `logs`, and
    /// returns the piece's bytes: the next one follows them.
    ///
    /// Errors: `Short` if the piece goes on behind `bytes` (pieces have at most
    /// `MANIFEST_PIECE_BYTES`); any other: the slot holds no whole manifest.
    pub fn piece(&mut self, bytes: &[u8], logs: &mut Vec<LogImage>) -> Result<usize, FormatError> {
        let (header, payload) = PieceHeader::decode(bytes, &self.place)?;
        let number = *self.number.get_or_insert(header.number);
        if header.number != number {
            return Err(FormatError::Foreign {
                what: "manifest piece",
                field: "number",
            });
        }
        if header.index != self.next_index || self.last_seen {
            return Err(FormatError::Field {
                what: "manifest piece",
                field: "index",
                value: u64::from(header.index),
            });
        }
        self.next_index = self.next_index.saturating_add(1);
        self.last_seen = header.last;
        self.partial.extend_from_slice(payload);
        let taken = self.rows(logs)?;
        self.partial.drain(..taken);
        Ok(header.piece_bytes())
    }

    /// Reads the whole rows of `partial`; returns their bytes.
    fn rows(&mut self, logs: &mut Vec<LogImage>) -> Result<usize, FormatError> {
        let stream = std::mem::take(&mut self.partial);
        let mut fields = Fields::new(WHAT, &stream);
        let mut taken = 0;
        while fields.remaining() >= 4 {
            let length = size(fields.u32()?);
            if length > MANIFEST_ROW_BYTES_MAX {
                return Err(fields.field("length", u64::try_from(length).unwrap_or(u64::MAX)));
            }
            if fields.remaining() < length {
                break;
            }
            match (Row::decode(fields.take(length)?)?, self.head) {
                (Row::Head(head), None) => self.head = Some(head),
                (Row::Log(log), Some(head)) if self.logs < head.logs => {
                    self.logs = self.logs.saturating_add(1);
                    logs.push(log);
                }
                (Row::Head(_), _) => return Err(fields.field("kind", 1)),
                (Row::Log(_), _) => return Err(fields.field("kind", 2)),
            }
            taken = stream.len().saturating_sub(fields.remaining());
        }
        self.partial = stream;
        Ok(taken)
    }

    /// The number of the manifest, once its first piece was read.
    pub const fn number(&self) -> Option<u64> {
        self.number
    }

    /// Whether the last piece was read: `piece` has no more to do.
    pub const fn is_complete(&self) -> bool {
        self.last_seen
    }

    /// The manifest's number and head, if it is whole.
    pub fn finish(self) -> Result<(u64, ManifestHead), FormatError> {
        let incomplete = |field, value| FormatError::Field {
            what: "manifest",
            field,
            value,
        };
        if !self.last_seen || !self.partial.is_empty() {
            return Err(incomplete("piece count", u64::from(self.next_index)));
        }
        match (self.number, self.head) {
            (Some(number), Some(head)) if head.logs == self.logs => Ok((number, head)),
            _ => Err(incomplete("log count", u64::from(self.logs))),
        }
    }
}
