//! Variable-length integers: base 128, least significant group first, zigzag where signed.
//!
//! Keeps: a reader takes at most 5 bytes for 32 bits and 10 for 64, refuses bits beyond the
//! width, and leaves its input where it was when it fails.
//! Longer forms than needed are read, as Kafka reads them; writers use the shortest.
//! Source: the Kafka protocol guide, VARINT, VARLONG, UNSIGNED_VARINT.

use thiserror::Error;

/// The most bytes a 32-bit varint takes.
pub const VARINT_BYTES_MAX: usize = 5;
/// The most bytes a 64-bit varint takes.
pub const VARLONG_BYTES_MAX: usize = 10;

/// Why a varint could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VarintError {
    /// The input ends inside the varint; with more bytes it may become one.
    #[error("input ends inside a varint")]
    Truncated,
    /// The last byte allowed still says that more follow.
    #[error("varint is longer than {bytes_max} bytes")]
    TooLong {
        /// The most bytes a varint of this width takes.
        bytes_max: usize,
    },
    /// The value has more bits than the type.
    #[error("varint does not fit into {bits} bits")]
    Overflow {
        /// Width of the type.
        bits: u32,
    },
}

/// Reads up to `bits` bits off the front of `input`.
fn read(input: &mut &[u8], bits: u32, bytes_max: usize) -> Result<u64, VarintError> {
    let mut value: u64 = 0;
    let mut shift: u32 = 0;
    for (place, byte) in input.iter().take(bytes_max).enumerate() {
        let group = u64::from(byte & 0x7f);
        let room = bits.saturating_sub(shift);
        if room < 7 && (group >> room) != 0 {
            return Err(VarintError::Overflow { bits });
        }
        value |= group.wrapping_shl(shift);
        if byte & 0x80 == 0 {
            *input = input.get(place.saturating_add(1)..).unwrap_or_default();
            return Ok(value);
        }
        shift = shift.saturating_add(7);
    }
    if input.len() < bytes_max {
        Err(VarintError::Truncated)
    } else {
        Err(VarintError::TooLong { bytes_max })
    }
}

/// Reads an unsigned 32-bit varint and moves `input` past it.
#[inline]
pub fn read_u32(input: &mut &[u8]) -> Result<u32, VarintError> {
    let value = read(input, u32::BITS, VARINT_BYTES_MAX)?;
    u32::try_from(value).map_err(|_| VarintError::Overflow { bits: u32::BITS })
}

/// Reads an unsigned 64-bit varint and moves `input` past it.
#[inline]
pub fn read_u64(input: &mut &[u8]) -> Result<u64, VarintError> {
    read(input, u64::BITS, VARLONG_BYTES_MAX)
}

/// Reads a zigzag 32-bit varint and moves `input` past it.
#[inline]
pub fn read_i32(input: &mut &[u8]) -> Result<i32, VarintError> {
    read_u32(input).map(|raw| (raw >> 1).cast_signed() ^ (raw & 1).cast_signed().wrapping_neg())
}

/// Reads a zigzag 64-bit varint and moves `input` past it.
#[inline]
pub fn read_i64(input: &mut &[u8]) -> Result<i64, VarintError> {
    read_u64(input).map(|raw| (raw >> 1).cast_signed() ^ (raw & 1).cast_signed().wrapping_neg())
}

/// The zigzag form of a signed number: small magnitudes become small numbers.
#[inline]
const fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)).cast_unsigned()
}

/// Bytes that an unsigned varint of `value` takes, 1 to 10.
#[inline]
pub const fn unsigned_bytes(value: u64) -> usize {
    let mut rest = value >> 7;
    let mut bytes: usize = 1;
    while rest != 0 {
        rest >>= 7;
        bytes = bytes.saturating_add(1);
    }
    bytes
}

/// Bytes that a zigzag varint of `value` takes, 1 to 10 (5 for anything that fits an `i32`).
#[inline]
pub const fn signed_bytes(value: i64) -> usize {
    unsigned_bytes(zigzag(value))
}

/// Appends an unsigned varint.
#[inline]
pub fn write_unsigned(output: &mut impl bytes::BufMut, value: u64) {
    let mut rest = value;
    while rest > 0x7f {
        let [low, ..] = rest.to_le_bytes();
        output.put_u8(low | 0x80);
        rest >>= 7;
    }
    let [low, ..] = rest.to_le_bytes();
    output.put_u8(low);
}

/// Appends a zigzag varint; an `i32` and the same number as `i64` have the same bytes.
#[inline]
pub fn write_signed(output: &mut impl bytes::BufMut, value: i64) {
    write_unsigned(output, zigzag(value));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pairs from the protocol buffers encoding guide, which Kafka's varints follow.
    const SIGNED: &[(i64, &[u8])] = &[
        (0, &[0x00]),
        (-1, &[0x01]),
        (1, &[0x02]),
        (-2, &[0x03]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (-65, &[0x81, 0x01]),
        (8191, &[0xfe, 0x7f]),
        (8192, &[0x80, 0x80, 0x01]),
        (2_147_483_647, &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (-2_147_483_648, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ];

    #[test]
    fn signed_numbers_have_the_bytes_of_the_guide() {
        for (value, bytes) in SIGNED {
            let mut written = Vec::new();
            write_signed(&mut written, *value);
            assert_eq!(&written, bytes, "{value}");
            assert_eq!(signed_bytes(*value), bytes.len(), "{value}");
            let mut input = *bytes;
            assert_eq!(read_i64(&mut input), Ok(*value));
            assert!(input.is_empty());
            let mut input = *bytes;
            assert_eq!(read_i32(&mut input).map(i64::from), Ok(*value));
        }
    }

    #[test]
    fn a_varint_that_never_ends_is_too_long() {
        let endless = [0x80_u8; 16];
        assert_eq!(
            read_u32(&mut &endless[..]),
            Err(VarintError::TooLong { bytes_max: 5 })
        );
        assert_eq!(
            read_u64(&mut &endless[..]),
            Err(VarintError::TooLong { bytes_max: 10 })
        );
        assert_eq!(read_u32(&mut &endless[..4]), Err(VarintError::Truncated));
        assert_eq!(read_u64(&mut &endless[..9]), Err(VarintError::Truncated));
        assert_eq!(read_u32(&mut &[][..]), Err(VarintError::Truncated));
    }

    #[test]
    fn bits_beyond_the_width_are_refused() {
        let mut input: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x1f];
        assert_eq!(
            read_u32(&mut input),
            Err(VarintError::Overflow { bits: 32 })
        );
        assert_eq!(input.len(), 5, "a failed read moves nothing");
        let mut input: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(
            read_u64(&mut input),
            Err(VarintError::Overflow { bits: 64 })
        );
        let mut input: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(read_u64(&mut input), Ok(u64::MAX));
    }

    #[test]
    fn a_longer_form_than_needed_is_read() {
        let mut input: &[u8] = &[0x82, 0x80, 0x00, 0x55];
        assert_eq!(read_i32(&mut input), Ok(1));
        assert_eq!(input, &[0x55]);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any::<i64>(), raw in any::<u64>(), narrow in any::<i32>()) {
            let mut written = Vec::new();
            write_signed(&mut written, value);
            write_unsigned(&mut written, raw);
            write_signed(&mut written, i64::from(narrow));
            prop_assert_eq!(
                written.len(),
                signed_bytes(value) + unsigned_bytes(raw) + signed_bytes(i64::from(narrow))
            );
            let mut input = &written[..];
            prop_assert_eq!(read_i64(&mut input), Ok(value));
            prop_assert_eq!(read_u64(&mut input), Ok(raw));
            prop_assert_eq!(read_i32(&mut input), Ok(narrow));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            for read in [|i: &mut &[u8]| read_u32(i).is_ok(), |i: &mut &[u8]| read_u64(i).is_ok(),
                         |i: &mut &[u8]| read_i32(i).is_ok(), |i: &mut &[u8]| read_i64(i).is_ok()] {
                let mut input = &bytes[..];
                let ok = read(&mut input);
                prop_assert_eq!(ok, input.len() < bytes.len());
            }
        }
    }
}
