//! Values that say who they are: a number, and bytes that this number decides.
//!
//! Keeps: a value of another number, or one changed in a single bit, is told apart.

use crate::chance::mix;

/// The bytes of the smallest value.
pub const BYTES_MIN: usize = 8;

/// The value of a number, of so many bytes (at least [`BYTES_MIN`]).
pub fn value(number: u64, bytes: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(bytes + 8);
    value.extend_from_slice(&number.to_be_bytes());
    let mut at = mix(number);
    // Text of few letters half of the time, so that compression has something to do.
    let letters = if number.is_multiple_of(2) {
        0x0303_0303_0303_0303
    } else {
        u64::MAX
    };
    while value.len() < bytes {
        at = at.wrapping_add(0x9E37_79B9_7F4A_7C15);
        value.extend_from_slice(&(mix(at) & letters).to_be_bytes());
    }
    value.truncate(bytes.max(BYTES_MIN));
    value
}

/// The number that stands at the head of a value; no claim that the rest is right.
pub fn number(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|head| u64::from_be_bytes(*head))
}

/// A checksum of a value, of its length too.
pub fn checksum(value: &[u8]) -> u64 {
    let mut sum = value.len() as u64;
    let mut words = value.chunks_exact(8);
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        sum = (sum ^ word)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(23);
    }
    for byte in words.remainder() {
        sum = (sum ^ u64::from(*byte))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(23);
    }
    mix(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_its_number_and_every_changed_bit_shows() {
        for bytes in [8, 9, 40] {
            let right = value(77, bytes);
            assert_eq!(right.len(), bytes);
            assert_eq!(number(&right), Some(77));
            for bit in 0..bytes * 8 {
                let mut wrong = right.clone();
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(checksum(&wrong), checksum(&right), "bit {bit}");
            }
        }
        assert_ne!(value(1, 64)[8..], value(3, 64)[8..]);
        assert_eq!(number(&[1, 2]), None);
    }
}
