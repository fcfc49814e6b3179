//! CRC-32C (Castagnoli), the checksum of record batches and of our own files.
//!
//! Source: RFC 3720, B.4; the Kafka protocol guide, "Record batch".

/// The checksum of `bytes`.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The checksum of what `crc` covered, followed by `bytes`; start with 0.
#[inline]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

/// The checksum of what `first` covered followed by `bytes` that `second` covers alone, without
/// looking at a byte of either.
///
/// Costs some hundred nanoseconds at most, whatever the length: a pass over 16 KiB costs several
/// times that.
#[inline]
pub fn crc32c_combine(first: u32, second: u32, bytes: usize) -> u32 {
    // Appending n bytes multiplies the register by x^(8n); start and end inversions cancel out.
    multiply(first, power_of_bytes(bytes)) ^ second
}

/// The polynomial, lowest power in the highest bit, as the checksum has it.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// Digits to the base 256 of a length in bytes.
const DIGITS: usize = size_of::<usize>();

/// x^(8 * d * 256^i) for each digit `d` at place `i` of a length.
static POWERS: [[u32; 256]; DIGITS] = powers();

/// The product of two polynomials, reduced.
const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0;
    let mut rest = a;
    let mut b = b;
    while rest != 0 {
        // All ones where the highest bit is set: no branch to mispredict.
        product ^= b & 0_u32.wrapping_sub(rest >> 31);
        rest <<= 1;
        b = (b >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(b & 1));
    }
    product
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler: a wrong index does not build"
)]
const fn powers() -> [[u32; 256]; DIGITS] {
    let mut table = [[ONE; 256]; DIGITS];
    // x^8, the factor of one byte.
    let mut base = ONE >> 8;
    let mut place: usize = 0;
    while place < DIGITS {
        let mut power = ONE;
        let mut digit: usize = 1;
        while digit < 256 {
            power = multiply(power, base);
            table[place][digit] = power;
            digit = digit.saturating_add(1);
        }
        base = multiply(power, base);
        place = place.saturating_add(1);
    }
    table
}

fn power_of_bytes(bytes: usize) -> u32 {
    let mut power = ONE;
    let mut rest = bytes;
    for row in &POWERS {
        if rest == 0 {
            break;
        }
        let digit = rest & 255;
        if digit != 0 {
            power = multiply(power, row.get(digit).copied().unwrap_or(ONE));
        }
        rest >>= 8;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_are_those_of_rfc_3720() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        let cases: [(&[u8], u32); 5] = [
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&rising, 0x46dd_794e),
            (&falling, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
        ];
        for (bytes, expected) in cases {
            assert_eq!(crc32c(bytes), expected);
            let (head, tail) = bytes.split_at(bytes.len() / 3);
            assert_eq!(crc32c_append(crc32c(head), tail), expected);
        }
    }

    #[test]
    fn combining_gives_the_checksum_of_the_whole() {
        let bytes: Vec<u8> = (0..70_000_u32)
            .map(|i| u8::try_from(i.wrapping_mul(i) % 251).unwrap())
            .collect();
        for whole in [0, 1, 2, 21, 4095, 4096, 65_536, 70_000] {
            let whole = &bytes[..whole];
            for cut in [0, 1, 20, 21, whole.len() / 2, whole.len()] {
                let (head, tail) = whole.split_at(cut.min(whole.len()));
                let combined = crc32c_combine(crc32c(head), crc32c(tail), tail.len());
                assert_eq!(combined, crc32c(whole), "{} of {}", cut, whole.len());
            }
        }
    }

    #[test]
    fn long_lengths_agree_with_the_matrix_method() {
        for length in [1 << 20, (1 << 24) + 3, 123_456_789, u32::MAX as usize] {
            assert_eq!(
                crc32c_combine(0x1234_5678, 0x9abc_def0, length),
                crc32c::crc32c_combine(0x1234_5678, 0x9abc_def0, length)
            );
        }
    }
}
