//! A bounded map that forgets what was not used for the longest time.
//!
//! Keeps: the weights of all values together are at most the limit, after every insert.

use core::hash::Hash;
use engine_model::HashMap;
use std::collections::BTreeMap;

struct Slot<V> {
    value: V,
    weight: u64,
    used: u64,
}

/// See the module.
pub(crate) struct Lru<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// By time of the last use.
    order: BTreeMap<u64, K>,
    clock: u64,
    weight: u64,
    weight_max: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Lru<K, V> {
    /// An empty map that holds values of `weight_max` together.
    pub(crate) fn new(weight_max: u64) -> Self {
        Self {
            slots: HashMap::default(),
            order: BTreeMap::new(),
            clock: 0,
            weight: 0,
            weight_max,
        }
    }

    /// The value of a key, which counts as a use.
    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        self.clock = self.clock.saturating_add(1);
        let slot = self.slots.get_mut(key)?;
        self.order.remove(&slot.used);
        slot.used = self.clock;
        self.order.insert(self.clock, *key);
        Some(slot.value.clone())
    }

    /// Adds or replaces a value; one heavier than the limit is not kept.
    pub(crate) fn insert(&mut self, key: K, value: V, weight: u64) {
        self.remove(&key);
        if weight > self.weight_max {
            return;
        }
        self.clock = self.clock.saturating_add(1);
        self.order.insert(self.clock, key);
        let used = self.clock;
        self.slots.insert(
            key,
            Slot {
                value,
                weight,
                used,
            },
        );
        self.weight = self.weight.saturating_add(weight);
        while self.weight > self.weight_max {
            let Some(oldest) = self.order.first_key_value().map(|(_, key)| *key) else {
                return;
            };
            self.remove(&oldest);
        }
    }

    /// Forgets a key.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(slot) = self.slots.remove(key) {
            self.order.remove(&slot.used);
            self.weight = self.weight.saturating_sub(slot.weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_was_used_least_recently_and_stays_under_its_limit() {
        let mut lru = Lru::new(10);
        lru.insert(1, 'a', 4);
        lru.insert(2, 'b', 4);
        assert_eq!(lru.get(&1), Some('a'));
        lru.insert(3, 'c', 4);
        assert_eq!(
            (lru.get(&1), lru.get(&2), lru.get(&3)),
            (Some('a'), None, Some('c'))
        );
        lru.insert(4, 'd', 11);
        assert_eq!(lru.get(&4), None);
        lru.insert(3, 'e', 10);
        assert_eq!((lru.get(&1), lru.get(&3)), (None, Some('e')));
        assert_eq!(lru.weight, 10);
    }
}
