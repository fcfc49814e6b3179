//! Reading fields off a slice, and the few helpers all layouts share.
//!
//! Every read is bounds-checked and says which unit was cut. Writing goes through `bytes::BufMut`
//! on a growing buffer, which cannot run out.

use super::{FileId, FormatError};
use bytes::BufMut;
use engine_model::{LogId, Offset, Timestamp};

/// A length off the disk as a length in memory; too large for this machine is "largest".
#[inline]
pub(crate) fn size(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// A length in memory as the 32 bits a field has, or `TooLarge`.
#[inline]
pub(crate) fn length_field(what: &'static str, bytes: usize) -> Result<u32, FormatError> {
    let max = u32::MAX;
    u32::try_from(bytes).map_err(|_| FormatError::TooLarge {
        what,
        bytes,
        max: size(max),
    })
}

/// Whether all of it is zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // In words: padding is up to a block long and checked on every read.
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|w| u128::from_ne_bytes(*w) == 0) && rest.iter().all(|b| *b == 0)
}

/// Refuses padding that is not zero.
pub(crate) fn expect_zero(what: &'static str, bytes: &[u8]) -> Result<(), FormatError> {
    if is_zero(bytes) {
        Ok(())
    } else {
        Err(FormatError::Padding { what })
    }
}

/// Compares a stored with a computed checksum.
pub(crate) fn expect_crc(
    what: &'static str,
    stored: u32,
    computed: u32,
) -> Result<(), FormatError> {
    if stored == computed {
        Ok(())
    } else {
        Err(FormatError::Checksum {
            what,
            stored,
            computed,
        })
    }
}

/// The checksum of `unit`, its own four bytes at `at` left out.
pub(crate) fn crc_without(seed: u32, unit: &[u8], at: usize) -> u32 {
    let before = unit.get(..at).unwrap_or_default();
    let after = unit.get(at.saturating_add(4)..).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c_append(seed, before), after)
}

/// Writes `crc` over the four bytes at `at`; nothing if they are not there.
pub(crate) fn put_crc(unit: &mut [u8], at: usize, crc: u32) {
    let end = at.saturating_add(4);
    if let Some(field) = unit.get_mut(at..end) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
}

/// Writes the 14 bytes of a log id.
pub(crate) fn put_log_id(out: &mut impl BufMut, id: LogId) {
    out.put_u64_le(id.run);
    out.put_u32_le(id.counter);
    out.put_u16_le(id.lane);
}

/// Writes the 14 bytes of a file id.
pub(crate) fn put_file_id(out: &mut impl BufMut, id: FileId) {
    out.put_u64_le(id.run);
    out.put_u32_le(id.counter);
    out.put_u16_le(id.lane);
}

/// A cursor over the fields of one unit.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

macro_rules! integers {
    ($($name:ident: $raw:ty),*) => {
        $(
            pub(crate) fn $name(&mut self) -> Result<$raw, FormatError> {
                Ok(<$raw>::from_le_bytes(self.array()?))
            }
        )*
    };
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    integers!(u8: u8, u16: u16, u32: u32, u64: u64, i16: i16, i32: i32, i64: i64);

    /// Takes the next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(FormatError::Short {
                what: self.what,
                needed: count,
                found: self.rest.len(),
            })?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes an array of the next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let short = FormatError::Short {
            what: self.what,
            needed: N,
            found: self.rest.len(),
        };
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes `count` bytes that must be zero.
    pub(crate) fn zeros(&mut self, count: usize) -> Result<(), FormatError> {
        let taken = self.take(count)?;
        expect_zero(self.what, taken)
    }

    pub(crate) fn offset(&mut self) -> Result<Offset, FormatError> {
        Ok(Offset::new(self.i64()?))
    }

    pub(crate) fn timestamp(&mut self) -> Result<Timestamp, FormatError> {
        Ok(Timestamp(self.i64()?))
    }

    pub(crate) fn log_id(&mut self) -> Result<LogId, FormatError> {
        Ok(LogId {
            run: self.u64()?,
            counter: self.u32()?,
            lane: self.u16()?,
        })
    }

    pub(crate) fn file_id(&mut self) -> Result<FileId, FormatError> {
        Ok(FileId {
            run: self.u64()?,
            counter: self.u32()?,
            lane: self.u16()?,
        })
    }

    /// Bytes not yet taken.
    pub(crate) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Refuses bytes after the last field.
    pub(crate) fn end(&self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.field("length", u64::try_from(self.rest.len()).unwrap_or(u64::MAX)))
        }
    }

    /// An error about one of the unit's fields.
    pub(crate) const fn field(&self, field: &'static str, value: u64) -> FormatError {
        FormatError::Field {
            what: self.what,
            field,
            value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_bit_anywhere_is_not_zero() {
        for length in 0..40 {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes));
            for at in 0..length {
                bytes[at] = 0x80;
                assert!(!is_zero(&bytes), "{at} of {length}");
                bytes[at] = 0;
            }
        }
    }

    #[test]
    fn a_field_past_the_end_is_short_and_takes_nothing() {
        let mut fields = Fields::new("thing", &[1, 2, 3]);
        assert_eq!(
            fields.u32(),
            Err(FormatError::Short {
                what: "thing",
                needed: 4,
                found: 3
            })
        );
        assert_eq!(fields.u16(), Ok(0x0201));
        assert_eq!(fields.remaining(), 1);
        assert!(fields.end().is_err());
    }
}
