//! A keyed hash of 128 bits for the keys of records: SipHash-2-4 with its long output.
//!
//! Two keys that collide would cost a record its life. With a secret seed for each round nobody can
//! choose such keys, and by chance it happens with a probability below n^2 / 2^129: for the five
//! million keys of a full map that is 10^-25 a round. (Kafka uses MD5 without a seed, for which
//! colliding keys can be bought.)
//!
//! Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", and their reference vectors.

/// What a key is known by.
pub(crate) type KeyHash = [u64; 2];

/// The secret of a round.
#[derive(Clone, Copy)]
pub(crate) struct KeyHasher {
    seed: [u64; 2],
}

struct State {
    a: u64,
    b: u64,
    c: u64,
    d: u64,
}

impl State {
    fn round(&mut self) {
        self.a = self.a.wrapping_add(self.b);
        self.c = self.c.wrapping_add(self.d);
        self.b = self.b.rotate_left(13) ^ self.a;
        self.d = self.d.rotate_left(16) ^ self.c;
        self.a = self.a.rotate_left(32);
        self.c = self.c.wrapping_add(self.b);
        self.a = self.a.wrapping_add(self.d);
        self.b = self.b.rotate_left(17) ^ self.c;
        self.d = self.d.rotate_left(21) ^ self.a;
        self.c = self.c.rotate_left(32);
    }

    fn take(&mut self, word: u64) {
        self.d ^= word;
        self.round();
        self.round();
        self.a ^= word;
    }

    fn finish(&mut self) -> u64 {
        for _ in 0..4 {
            self.round();
        }
        self.a ^ self.b ^ self.c ^ self.d
    }
}

impl KeyHasher {
    pub(crate) const fn new(seed: [u64; 2]) -> Self {
        Self { seed }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        let [k0, k1] = self.seed;
        let mut state = State {
            a: k0 ^ 0x736f_6d65_7073_6575,
            b: k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            c: k0 ^ 0x6c79_6765_6e65_7261,
            d: k1 ^ 0x7465_6462_7974_6573,
        };
        let (words, rest) = key.as_chunks::<8>();
        for word in words {
            state.take(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        let [length, ..] = crate::number::to_u64(key.len()).to_le_bytes();
        if let Some(to) = last.last_mut() {
            *to = length;
        }
        state.take(u64::from_le_bytes(last));
        state.c ^= 0xee;
        let first = state.finish();
        state.b ^= 0xdd;
        [first, state.finish()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the authors' `vectors_sip128`: key 00..0f, messages of the bytes 0, 1, 2, ...
    #[test]
    fn the_hash_is_that_of_the_reference() {
        let seed = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        for (length, expected) in [
            (
                0_u8,
                [
                    0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
                    0x55, 0x02, 0x93,
                ],
            ),
            (
                1,
                [
                    0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
                    0x22, 0xfc, 0x45,
                ],
            ),
            (
                2,
                [
                    0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6,
                    0x0a, 0xff, 0xe4,
                ],
            ),
        ] {
            let message: Vec<u8> = (0..length).collect();
            let [first, second] = KeyHasher::new(seed).hash(&message);
            let found = [first.to_le_bytes(), second.to_le_bytes()].concat();
            assert_eq!(found, expected, "{length} bytes");
        }
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let hasher = KeyHasher::new([1, 2]);
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..40 {
            let zeros = vec![0_u8; length];
            assert!(seen.insert(hasher.hash(&zeros)), "{length} zeros");
            for place in 0..length {
                let mut other = zeros.clone();
                other[place] = 1;
                assert!(seen.insert(hasher.hash(&other)), "{length}, {place}");
            }
        }
    }
}
