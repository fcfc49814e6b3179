//! A cursor over the bytes of one message.
//!
//! Keeps: nothing is read past the end; nothing is reserved for a claim that the bytes behind it
//! cannot make good. Rules for lengths are those of Kafka's generated readers: a negative length is
//! null, an unknown tag is skipped.

use crate::api::Version;
use crate::error::DecodeError;
use bytes::{Buf, Bytes};

/// The longest string, in bytes: Kafka refuses longer ones even where a varint gives the length.
pub(crate) const STRING_BYTES_MAX: usize = 0x7fff;

/// What the elements of the arrays of one message may take in memory beyond its length. An element
/// of a few bytes on the wire may take a hundred in memory, so that a frame of the largest size
/// could otherwise cost gigabytes. This is 80,000 partitions in one request.
const ARRAY_MEMORY_BASE: usize = 8 << 20;

/// Reads the fields of one message out of its bytes.
///
/// An error leaves it at an unspecified place; a message that failed is not read on.
#[derive(Debug)]
pub struct Reader {
    bytes: Bytes,
    memory_max: usize,
    memory_left: usize,
}

impl Reader {
    /// Reads `bytes` from their start. Byte strings that are read stay slices of it.
    pub fn new(bytes: Bytes) -> Self {
        let memory_max = bytes.len().saturating_add(ARRAY_MEMORY_BASE);
        Self {
            bytes,
            memory_max,
            memory_left: memory_max,
        }
    }

    /// Bytes not read yet.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The next `count` bytes, as a slice that shares their memory.
    pub fn take(&mut self, count: usize) -> Result<Bytes, DecodeError> {
        if count > self.bytes.len() {
            return Err(self.short(count));
        }
        Ok(self.bytes.split_to(count))
    }

    fn short(&self, needed: usize) -> DecodeError {
        DecodeError::Short {
            needed,
            left: self.bytes.len(),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some(array) = self.bytes.first_chunk().copied() else {
            return Err(self.short(N));
        };
        self.bytes.advance(N);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    /// Whether a struct that may be null follows: as in Kafka, any negative byte is a null.
    pub(crate) fn is_struct_present(&mut self) -> Result<bool, DecodeError> {
        Ok(self.u8()? < 0x80)
    }

    /// A big-endian number of two bytes.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    /// A big-endian number of four bytes.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// An unsigned varint of at most five bytes and 32 bits.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value: u32 = 0;
        for shift in [0_u32, 7, 14, 21, 28] {
            let byte = self.u8()?;
            let bits = u32::from(byte & 0x7f);
            // The fifth byte has room for four bits.
            if shift == 28 && byte > 0x0f {
                return Err(DecodeError::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint)
    }

    /// A compact length: one less than the varint, `None` for zero.
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        let raw = self.unsigned_varint()?;
        match raw.checked_sub(1) {
            None => Ok(None),
            Some(length) => usize::try_from(length)
                .map(Some)
                .map_err(|_| DecodeError::Varint),
        }
    }

    /// Tells tests where lengths stand.
    #[cfg(test)]
    fn note(&self, width: crate::tests::lengths::Width) {
        crate::tests::lengths::note(&self.bytes, width);
    }

    /// A length of four bytes, or compact; `None` is null.
    fn length(&mut self, version: Version) -> Result<Option<usize>, DecodeError> {
        #[cfg(test)]
        self.note(crate::tests::lengths::Width::of(version, 4));
        if version.flexible {
            return self.compact_length();
        }
        Ok(usize::try_from(self.i32()?).ok())
    }

    /// A string; `None` is null.
    pub(crate) fn string(&mut self, version: Version) -> Result<Option<Bytes>, DecodeError> {
        #[cfg(test)]
        self.note(crate::tests::lengths::Width::of(version, 2));
        let length = if version.flexible {
            self.compact_length()?
        } else {
            usize::try_from(self.i16()?).ok()
        };
        let Some(length) = length else {
            return Ok(None);
        };
        if length > STRING_BYTES_MAX {
            return Err(DecodeError::StringTooLong {
                bytes: length,
                max: STRING_BYTES_MAX,
            });
        }
        self.take(length).map(Some)
    }

    /// A byte string, which stays a slice of the message; `None` is null.
    pub(crate) fn byte_string(&mut self, version: Version) -> Result<Option<Bytes>, DecodeError> {
        match self.length(version)? {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    /// The count of an array whose elements take at least `wire_bytes_min` bytes here and
    /// `memory_bytes` in memory; `None` is null. What it returns may be reserved.
    pub(crate) fn count(
        &mut self,
        version: Version,
        wire_bytes_min: usize,
        memory_bytes: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.length(version)? else {
            return Ok(None);
        };
        if count.saturating_mul(wire_bytes_min.max(1)) > self.bytes.len() {
            return Err(DecodeError::ArrayTooLong {
                count,
                left: self.bytes.len(),
            });
        }
        self.memory_left = self
            .memory_left
            .checked_sub(count.saturating_mul(memory_bytes))
            .ok_or(DecodeError::ArrayMemory {
                max: self.memory_max,
            })?;
        #[cfg(test)]
        crate::tests::lengths::note_reserved(count.saturating_mul(memory_bytes));
        Ok(Some(count))
    }

    /// The tagged fields at the end of a flexible struct. `known` reads the fields it knows and
    /// returns whether it did; others are skipped. A tag that comes twice is read twice and the
    /// last
    /// one holds, as in Kafka.
    pub(crate) fn tagged_fields(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        #[cfg(test)]
        self.note(crate::tests::lengths::Width::Varint);
        let count = self.unsigned_varint()?;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            #[cfg(test)]
            self.note(crate::tests::lengths::Width::Varint);
            let size = self.unsigned_varint()?;
            let size = usize::try_from(size).map_err(|_| DecodeError::Varint)?;
            let mut field = Self {
                bytes: self.take(size)?,
                memory_max: self.memory_max,
                memory_left: self.memory_left,
            };
            let read = known(tag, &mut field)?;
            self.memory_left = field.memory_left;
            if read && field.left() > 0 {
                return Err(DecodeError::TagSize {
                    tag,
                    left: field.left(),
                });
            }
        }
        Ok(())
    }
}
