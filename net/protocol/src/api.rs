//! The table of APIs: key, versions that have a table, versions that are advertised.

use core::ops::RangeInclusive;

macro_rules! apis {
    ($($(#[$doc:meta])* $name:ident = $key:literal, versions $min:literal - $max:literal,
       flexible $flexible:literal +, advertised $low:literal - $high:literal;)*) => {
        /// An API that is spoken here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $($(#[$doc])* $name = $key,)*
        }

        impl ApiKey {
            /// Every API, in the order of its key.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The API with this key, if it is spoken here.
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The number on the wire.
            pub const fn code(self) -> i16 {
                match self {
                    $(Self::$name => $key,)*
                }
            }

            /// Kafka's name of the API.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The versions that have a table: what can be decoded and encoded.
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $min..=$max,)*
                }
            }

            /// The versions to name in ApiVersions; a superset of `versions` for Produce alone.
            pub const fn advertised(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $low..=$high,)*
                }
            }

            /// The first flexible version (compact lengths, tagged fields). Source: KIP-482.
            pub const fn flexible_from(self) -> i16 {
                match self {
                    $(Self::$name => $flexible,)*
                }
            }
        }
    };
}

apis! {
    /// Appends records. librdkafka turns compression off unless version 0 is advertised, so it
    /// is, and refused all the same, as Kafka does.
    Produce = 0, versions 3-13, flexible 9+, advertised 0-13;
    /// Reads records.
    Fetch = 1, versions 4-18, flexible 12+, advertised 4-18;
    /// Finds offsets by time.
    ListOffsets = 2, versions 1-11, flexible 6+, advertised 1-11;
    /// Describes brokers, topics and partitions.
    Metadata = 3, versions 0-13, flexible 9+, advertised 0-13;
    /// Finds the coordinator of a group or a transactional id.
    FindCoordinator = 10, versions 0-6, flexible 3+, advertised 0-6;
    /// Says which APIs and versions are spoken.
    ApiVersions = 18, versions 0-4, flexible 3+, advertised 0-4;
    /// Creates topics.
    CreateTopics = 19, versions 2-7, flexible 5+, advertised 2-7;
    /// Deletes topics.
    DeleteTopics = 20, versions 1-6, flexible 4+, advertised 1-6;
    /// Deletes the records below an offset.
    DeleteRecords = 21, versions 0-2, flexible 2+, advertised 0-2;
    /// Hands out a producer id. Version 6 is unstable in Kafka 4.3.1 and not spoken.
    InitProducerId = 22, versions 0-5, flexible 2+, advertised 0-5;
    /// Tells where the records of a leader epoch end.
    OffsetForLeaderEpoch = 23, versions 2-4, flexible 4+, advertised 2-4;
    /// Shows settings.
    DescribeConfigs = 32, versions 1-4, flexible 4+, advertised 1-4;
    /// Replaces settings.
    AlterConfigs = 33, versions 0-2, flexible 2+, advertised 0-2;
    /// Adds partitions to topics.
    CreatePartitions = 37, versions 0-3, flexible 2+, advertised 0-3;
    /// Changes settings.
    IncrementalAlterConfigs = 44, versions 0-1, flexible 1+, advertised 0-1;
    /// Names the nodes of the cluster.
    DescribeCluster = 60, versions 0-2, flexible 0+, advertised 0-2;
    /// Describes partitions page by page.
    DescribeTopicPartitions = 75, versions 0-0, flexible 0+, advertised 0-0;
}

/// A version of a message and whether it is flexible (KIP-482).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// The number.
    pub number: i16,
    /// Whether lengths are compact and structs end with tagged fields.
    pub flexible: bool,
}

impl ApiKey {
    /// `number` as a version of this API, whether it is spoken or not.
    pub const fn version(self, number: i16) -> Version {
        Version {
            number,
            flexible: number >= self.flexible_from(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_ascend() {
        for key in ApiKey::ALL {
            assert_eq!(ApiKey::from_code(key.code()), Some(*key));
        }
        assert!(
            ApiKey::ALL
                .windows(2)
                .all(|pair| pair[0].code() < pair[1].code())
        );
        for code in [-1, 4, 127, i16::MIN, i16::MAX] {
            assert_eq!(ApiKey::from_code(code), None);
        }
    }

    #[test]
    fn only_produce_advertises_more_than_it_decodes() {
        for key in ApiKey::ALL {
            let differs = key.versions() != key.advertised();
            assert_eq!(differs, *key == ApiKey::Produce, "{key:?}");
        }
    }
}
