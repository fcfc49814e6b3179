//! Hash collections with a fixed seed, so that one simulation seed gives one trace.
//!
//! A key that a client can choose freely (a topic name, a client id) belongs into a `BTreeMap`:
//! with a seed that anyone can read, colliding keys can be made at will.

use foldhash::fast::FixedState;

/// A hash map whose order is the same in every run.
pub type HashMap<K, V> = hashbrown::HashMap<K, V, FixedState>;
/// A hash set whose order is the same in every run.
pub type HashSet<K> = hashbrown::HashSet<K, FixedState>;
