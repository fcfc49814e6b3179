//! Values of every type, drawn from a run of bytes that proptest makes and shrinks.

use crate::api::Version;
use crate::records::Records;
use crate::text::Text;
use bytes::Bytes;
use engine_model::{
    DirectoryId, ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    Timestamp, TopicId,
};

/// Bytes to draw from; zeros when they have run out.
pub(crate) struct Source<'a>(pub(crate) &'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number that is often one of those that go wrong.
    fn number(&mut self) -> i64 {
        match self.byte() {
            0 => 0,
            1 => -1,
            2 => i64::MIN,
            3 => i64::MAX,
            4 => i64::from(i32::MIN),
            5 => i64::from(i32::MAX),
            _ => i64::from_be_bytes(std::array::from_fn(|_| self.byte())),
        }
    }
}

/// Draws a value that `version` can carry.
pub(crate) trait Sample: Sized {
    fn sample(version: Version, source: &mut Source<'_>) -> Self;

    /// Some value that is not null.
    fn not_null() -> Self {
        Self::sample(
            Version {
                number: 0,
                flexible: false,
            },
            &mut Source(&[]),
        )
    }
}

macro_rules! numbers {
    ($($type:ty: $raw:ty, $from:expr;)*) => {$(
        impl Sample for $type {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "any bits of the number will do"
            )]
            fn sample(_: Version, source: &mut Source<'_>) -> Self {
                ($from)(source.number() as $raw)
            }
        }
    )*};
}

numbers! {
    bool: i64, |raw| raw != 0;
    i8: i8, |raw| raw;
    i16: i16, |raw| raw;
    i32: i32, |raw| raw;
    i64: i64, |raw| raw;
    ErrorCode: i16, ErrorCode;
    NodeId: i32, NodeId;
    PartitionIndex: i32, PartitionIndex::new;
    LeaderEpoch: i32, LeaderEpoch::new;
    Offset: i64, Offset::new;
    Timestamp: i64, Timestamp;
    ProducerId: i64, ProducerId;
    ProducerEpoch: i16, ProducerEpoch::new;
    TopicId: i64, |raw: i64| TopicId::from_bytes([raw.to_be_bytes(), [9; 8]].concat().try_into().unwrap());
    DirectoryId: i64, |raw: i64| DirectoryId::from_bytes([[7; 8], raw.to_be_bytes()].concat().try_into().unwrap());
}

impl Sample for Text {
    fn sample(_: Version, source: &mut Source<'_>) -> Self {
        match source.byte() {
            0 => Self::EMPTY,
            1 => "x".repeat(130).into(),
            2 => "y".repeat(0x7fff).into(),
            3 => "\u{e9}\u{20ac}\u{1f980}\0".into(),
            length => (0..length % 9)
                .map(|_| char::from(source.byte() % 128))
                .collect::<String>()
                .into(),
        }
    }
}

impl Sample for Records {
    fn sample(_: Version, source: &mut Source<'_>) -> Self {
        let length = match source.byte() {
            1 => 511,
            2 => 512,
            3 => 513,
            4 => 70_000,
            length => usize::from(length % 9),
        };
        let bytes: Vec<u8> = (0..length).map(|_| source.byte()).collect();
        Self::from(Bytes::from(bytes))
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(version: Version, source: &mut Source<'_>) -> Self {
        (source.byte() % 4 != 1).then(|| T::sample(version, source))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(version: Version, source: &mut Source<'_>) -> Self {
        let count = source.byte() % 4;
        (0..count).map(|_| T::sample(version, source)).collect()
    }
}
