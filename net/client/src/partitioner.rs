//! Which partition a record goes to.
//!
//! Records with a key go where Java's producer sends them, so that old and new records of a key
//! stay together. Records without stick to one partition until its batch is full: few large
//! batches and not many small ones. Source: Kafka's `Utils.murmur2`, KIP-480.

use engine_model::PartitionIndex;

/// Austin Appleby's MurmurHash2 with Kafka's seed; the result is Java's, as bits.
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    // Java's int length: keys are shorter than 2^31 bytes.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (place, byte) in (0_u32..).zip(rest) {
            hash ^= u32::from(*byte) << (place * 8);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among `count`; `None` where there are none.
pub fn partition_for_key(key: &[u8], count: usize) -> Option<PartitionIndex> {
    let count = u32::try_from(count).ok()?;
    let place = (murmur2(key) & 0x7fff_ffff).checked_rem(count)?;
    i32::try_from(place).ok().map(PartitionIndex::new)
}

/// CRC-32 as zip files and librdkafka have it; a key is short, so bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let is_odd = crc & 1 == 1;
            crc >>= 1;
            if is_odd {
                crc ^= POLYNOMIAL;
            }
        }
    }
    !crc
}

/// How a key becomes a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHash {
    /// As Java's producer: murmur2.
    #[default]
    Murmur2,
    /// As librdkafka's `consistent_random`: CRC-32; an empty key counts as none.
    Crc32,
    /// Keys do not decide.
    Ignored,
}

impl KeyHash {
    /// The partition of a key among `count`; `None` where the key does not decide.
    pub(crate) fn partition(self, key: &[u8], count: usize) -> Option<PartitionIndex> {
        match self {
            Self::Murmur2 => partition_for_key(key, count),
            Self::Crc32 if !key.is_empty() => {
                let count = u32::try_from(count).ok()?;
                let place = crc32(key).checked_rem(count)?;
                i32::try_from(place).ok().map(PartitionIndex::new)
            }
            Self::Crc32 | Self::Ignored => None,
        }
    }
}

/// Where records without a key go now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sticky {
    turn: u32,
}

impl Sticky {
    /// Starts at a partition that `seed` decides, so that many short runs spread.
    pub(crate) fn new(seed: u64) -> Self {
        let [a, b, c, d, ..] = seed.to_le_bytes();
        Self {
            turn: u32::from_le_bytes([a, b, c, d]),
        }
    }

    /// The partition to stick to among `count`.
    pub(crate) fn partition(self, count: usize) -> Option<PartitionIndex> {
        let count = u32::try_from(count).ok()?;
        let place = self.turn.checked_rem(count)?;
        i32::try_from(place).ok().map(PartitionIndex::new)
    }

    /// A batch is full: on to the next partition.
    pub(crate) fn advance(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_what_kafkas_utils_give() {
        // From Kafka 4.3.1's Utils.murmur2.
        for (key, hash) in [
            ("", 275_646_681_i32),
            ("a", -1_563_381_124),
            ("ab", 316_155_434),
            ("abc", 479_470_107),
            ("abcd", -1_323_649_548),
            ("hello, world", 853_996_457),
            ("\u{e4}\u{20ac}", -199_914_715),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash.cast_unsigned(), "{key}");
        }
    }

    #[test]
    fn crc32_gives_the_check_value_of_its_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn sticky_visits_every_partition_in_turn() {
        let mut sticky = Sticky::new(u64::from(u32::MAX));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(sticky.partition(3).map(PartitionIndex::get));
            sticky.advance();
        }
        assert_eq!(seen, [Some(0), Some(0), Some(1), Some(2)]);
        assert_eq!(sticky.partition(0), None);
    }
}
