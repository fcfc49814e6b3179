//! Random numbers: unpredictable ones from the system, or the seeded stream of a simulation.

use crate::shard;

/// Random bytes.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    shard::with_current(|shard| shard.backend.random(&mut bytes));
    bytes
}

/// A random number.
pub fn random_u64() -> u64 {
    u64::from_le_bytes(random_bytes())
}
