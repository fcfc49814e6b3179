//! Identities: topics, partitions, nodes, shards, producers, directories, logs.

use core::fmt;
use uuid::Uuid;

/// Identity of a topic through its whole life; a re-created name has another one.
///
/// `Display` is Kafka's form: 22 characters of URL-safe base64 without padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(Uuid);

/// Identity of a data directory, written when it is formatted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(Uuid);

/// Identity of a cluster, drawn when its first node starts on an empty directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(Uuid);

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

macro_rules! uuid_id {
    ($name:ident) => {
        impl $name {
            /// The id of nothing: 16 zero bytes.
            pub const ZERO: Self = Self(Uuid::nil());

            /// Wraps 16 bytes in network order.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes in network order.
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }

            /// A version 4 id out of 16 random bytes, which the caller draws.
            pub const fn from_random_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // 16 bytes are 21 groups of 6 bits and one of 2.
                let bits = u128::from_be_bytes(self.to_bytes());
                for group in 0..22_u32 {
                    let value = if group < 21 {
                        bits >> (122 - 6 * group)
                    } else {
                        bits << 4
                    };
                    let letter = usize::try_from(value & 63)
                        .ok()
                        .and_then(|i| BASE64_URL.get(i));
                    write!(f, "{}", char::from(*letter.unwrap_or(&b'A')))?;
                }
                Ok(())
            }
        }
    };
}

uuid_id!(TopicId);
uuid_id!(DirectoryId);
uuid_id!(ClusterId);

impl TopicId {
    /// The topic id Kafka reserves for `__cluster_metadata`.
    pub const CLUSTER_METADATA: Self = Self(Uuid::from_u128(1));

    /// Reads Kafka's form: 22 characters of URL-safe base64. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.as_bytes();
        if letters.len() != 22 {
            return None;
        }
        let mut bits: u128 = 0;
        for (place, letter) in letters.iter().enumerate() {
            let value = u128::try_from(BASE64_URL.iter().position(|l| l == letter)?).ok()?;
            bits = if place < 21 {
                (bits << 6) | value
            } else {
                (bits << 2) | (value >> 4)
            };
        }
        Some(Self(Uuid::from_u128(bits)))
    }
}

/// One partition of one topic, by id: what disk and mesh speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition's number within it.
    pub partition: crate::PartitionIndex,
}

impl TopicPartition {
    /// The one partition of `__cluster_metadata`.
    pub const CLUSTER_METADATA: Self = Self {
        topic_id: TopicId::CLUSTER_METADATA,
        partition: crate::PartitionIndex::ZERO,
    };
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic_id, self.partition)
    }
}

/// Number of a broker in its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i32);

impl NodeId {
    /// No node: unknown leader, or a consumer in `replica_id`.
    pub const NONE: Self = Self(-1);
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a shard (a pinned thread) in its process, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The number as an index into per-shard lists.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of an idempotent or transactional producer; -1 is "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub i64);

impl ProducerId {
    /// A batch without a producer id.
    pub const NONE: Self = Self(-1);
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of one replica's log on this node; never used twice in the life of a data directory.
///
/// Entries, files and checksums name this and not the topic, so a re-created partition can
/// never be mistaken for its predecessor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// Number of the run (start of the broker) that created the log.
    pub run: u64,
    /// Lane that created it.
    pub lane: u16,
    /// Counter of that lane in that run.
    pub counter: u32,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.run, self.lane, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn topic_ids_print_as_kafka_prints_them() {
        // Kafka's Uuid.METADATA_TOPIC_ID and a value taken from `kafka-topics --describe`.
        assert_eq!(
            TopicId::CLUSTER_METADATA.to_string(),
            "AAAAAAAAAAAAAAAAAAAAAQ"
        );
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in [
            "",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAA+Q",
        ] {
            assert_eq!(TopicId::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bytes in any::<[u8; 16]>()) {
            let id = TopicId::from_bytes(bytes);
            prop_assert_eq!(TopicId::parse(&id.to_string()), Some(id));
        }
    }
}
