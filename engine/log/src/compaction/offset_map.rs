//! The last offset of each key, in a table of fixed size.
//!
//! Keeps: a key's offset only rises; what was put is found. Full is full: the caller stops there
//! and remembers how far it came ([`OffsetMap::end`]); only for a single batch with more keys than
//! fit may it ask for more ([`OffsetMap::grow`]), since a log must come on.
//!
//! Does not: keep the keys, but 128 bits of each (`key_hash`). Memory is touched as it fills.

use super::key_hash::{KeyHash, KeyHasher};
use crate::number::{to_u64, to_usize};
use engine_model::Offset;

/// Two words of hash, and the offset plus one; all zeros is a free slot.
type Slot = [u64; 3];

/// The share of slots that may be taken, of ten: beyond it searches become long.
const FULL_TENTHS: usize = 8;

/// The fewest slots of a table.
const SLOTS_MIN: usize = 16;

/// See the module.
pub(crate) struct OffsetMap {
    slots: Vec<Slot>,
    taken: usize,
    hasher: KeyHasher,
    end: Offset,
}

impl OffsetMap {
    /// An empty map of at most `bytes`, for keys from `start` on.
    pub(crate) fn new(bytes: u64, seed: [u64; 2], start: Offset) -> Self {
        let count = to_usize(bytes)
            .checked_div(size_of::<Slot>())
            .unwrap_or(0)
            .max(SLOTS_MIN);
        Self {
            // Zeroed by the system, page by page as they are touched.
            slots: vec![[0; 3]; count],
            taken: 0,
            hasher: KeyHasher::new(seed),
            end: start,
        }
    }

    /// How many keys it holds.
    pub(crate) fn len(&self) -> usize {
        self.taken
    }

    /// Whether no new key is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.taken >= limit(self.slots.len())
    }

    /// One past the last offset whose batch was taken in whole.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// Notes that every batch below is in.
    pub(crate) fn set_end(&mut self, end: Offset) {
        self.end = self.end.max(end);
    }

    /// Takes a key; `false`, and nothing taken, if it is new and there is no room.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hasher.hash(key);
        let is_full = self.is_full();
        let Some(next) = next_of(offset) else {
            return true;
        };
        match self.slot(hash) {
            Some(slot) => {
                let [first, second, known] = slot;
                if *known == 0 {
                    if is_full {
                        return false;
                    }
                    [*first, *second] = hash;
                    *known = next;
                    self.taken = self.taken.saturating_add(1);
                } else {
                    *known = next.max(*known);
                }
                true
            }
            None => false,
        }
    }

    /// Whether a later record of the key is known.
    pub(crate) fn is_superseded(&self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hasher.hash(key);
        let known = self
            .place(hash)
            .and_then(|place| self.slots.get(place))
            .map_or(0, |[_, _, known]| *known);
        next_of(offset).is_some_and(|next| next < known)
    }

    /// Makes room for twice as many keys.
    pub(crate) fn grow(&mut self) {
        let larger = vec![[0; 3]; self.slots.len().saturating_mul(2)];
        let slots = std::mem::replace(&mut self.slots, larger);
        for from in slots {
            let [first, second, known] = from;
            if known > 0
                && let Some(to) = self.slot([first, second])
            {
                *to = from;
            }
        }
    }

    fn slot(&mut self, hash: KeyHash) -> Option<&mut Slot> {
        let place = self.place(hash)?;
        self.slots.get_mut(place)
    }

    /// Where a key is or would be: never all slots are taken, so the search ends.
    fn place(&self, hash: KeyHash) -> Option<usize> {
        let [first, second] = hash;
        let start = scaled(first, self.slots.len());
        let (before, after) = self.slots.split_at_checked(start)?;
        let is_it = |slot: &Slot| {
            let [a, b, known] = *slot;
            known == 0 || (a == first && b == second)
        };
        match after.iter().position(is_it) {
            Some(place) => start.checked_add(place),
            None => before.iter().position(is_it),
        }
    }
}

fn limit(slots: usize) -> usize {
    slots
        .saturating_mul(FULL_TENTHS)
        .checked_div(10)
        .unwrap_or(0)
}

/// The offset plus one, which is never 0.
fn next_of(offset: Offset) -> Option<u64> {
    u64::try_from(offset.get()).ok()?.checked_add(1)
}

/// Spreads a hash over `slots` places without a division.
fn scaled(hash: u64, slots: usize) -> usize {
    let wide = u128::from(hash).wrapping_mul(u128::from(to_u64(slots)));
    u64::try_from(wide >> 64).map_or(0, to_usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key(number: u32) -> [u8; 4] {
        number.to_le_bytes()
    }

    #[test]
    fn a_full_map_takes_known_keys_only() {
        let mut map = OffsetMap::new(24 * 100, [1, 2], Offset::ZERO);
        let mut taken = 0;
        while map.put(&key(taken), Offset::new(i64::from(taken))) {
            taken += 1;
        }
        assert_eq!(taken, 80);
        assert!(map.is_full());
        assert!(map.put(&key(3), Offset::new(500)));
        assert!(!map.put(&key(80), Offset::new(501)));
        assert!(map.is_superseded(&key(3), Offset::new(499)));
        assert!(!map.is_superseded(&key(3), Offset::new(500)));
        assert!(!map.is_superseded(&key(80), Offset::new(0)));
        map.grow();
        assert!(map.put(&key(80), Offset::new(501)));
        assert!(map.is_superseded(&key(3), Offset::new(499)));
        assert_eq!(map.len(), 81);
    }

    proptest! {
        #[test]
        fn it_is_a_map_to_the_largest_offset(
            puts in proptest::collection::vec((0_u32..200, 0_i64..1000), 0..400),
            seed in any::<[u64; 2]>(),
        ) {
            let mut map = OffsetMap::new(24 * 256, seed, Offset::ZERO);
            let mut model: BTreeMap<u32, i64> = BTreeMap::new();
            for (number, offset) in puts {
                prop_assert!(map.put(&key(number), Offset::new(offset)));
                let known = model.entry(number).or_insert(offset);
                *known = offset.max(*known);
            }
            prop_assert_eq!(map.len(), model.len());
            for number in 0..200 {
                for offset in [0, 1, 500, 999] {
                    let expected = model.get(&number).is_some_and(|known| offset < *known);
                    prop_assert_eq!(map.is_superseded(&key(number), Offset::new(offset)), expected);
                }
            }
        }
    }
}
