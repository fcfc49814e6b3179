//! Numbers with a meaning: each a newtype over Kafka's own width, with checked arithmetic only.

use core::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($raw);

        impl $name {
            /// Zero, the first value.
            pub const ZERO: Self = Self(0);
            /// What Kafka sends where there is no value (-1).
            pub const NONE: Self = Self(-1);
            /// The largest value.
            pub const MAX: Self = Self(<$raw>::MAX);

            /// Wraps the raw number, which may be any, negative ones included.
            #[inline]
            pub const fn new(raw: $raw) -> Self {
                Self(raw)
            }

            /// The raw number.
            #[inline]
            pub const fn get(self) -> $raw {
                self.0
            }

            /// The sum, or `None` where it does not fit.
            #[inline]
            #[must_use]
            pub const fn checked_add(self, count: $raw) -> Option<Self> {
                match self.0.checked_add(count) {
                    Some(raw) => Some(Self(raw)),
                    None => None,
                }
            }

            /// `self - other` as a raw number, or `None` where it does not fit.
            #[inline]
            pub const fn checked_distance(self, other: Self) -> Option<$raw> {
                self.0.checked_sub(other.0)
            }

            /// The next value, or the same at the very end.
            #[inline]
            #[must_use]
            pub const fn saturating_next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The place of a record in its partition; the first is 0. An *end* offset is one past the last.
    Offset(i64)
}
number! {
    /// How often a partition has changed its leader or started leading anew; fences old leaders.
    LeaderEpoch(i32)
}
number! {
    /// The number of a partition within its topic, from 0.
    PartitionIndex(i32)
}
number! {
    /// The epoch of a producer id; a higher one fences those below.
    ProducerEpoch(i16)
}
number! {
    /// The sequence number of a record of one producer in one partition; wraps after 2^31-1 to 0.
    Sequence(i32)
}

impl Sequence {
    /// The sequence `count` records later, wrapping from 2^31-1 to 0 as Kafka does.
    ///
    /// `count` below zero counts as zero. Source: KIP-98.
    #[must_use]
    pub const fn wrapping_add(self, count: i32) -> Self {
        let count = if count < 0 { 0 } else { count };
        match self.0.checked_add(count) {
            Some(raw) => Self(raw),
            // self + count - 2^31, without leaving i32: both are at most 2^31-1.
            None => Self(count - (i32::MAX - self.0) - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero_after_the_largest() {
        assert_eq!(Sequence::MAX.wrapping_add(1), Sequence::ZERO);
        assert_eq!(
            Sequence::new(i32::MAX - 1).wrapping_add(3),
            Sequence::new(1)
        );
        assert_eq!(Sequence::new(5).wrapping_add(3), Sequence::new(8));
        assert_eq!(
            Sequence::MAX.wrapping_add(i32::MAX),
            Sequence::new(i32::MAX - 1)
        );
        assert_eq!(Sequence::new(5).wrapping_add(-3), Sequence::new(5));
    }

    #[test]
    fn sums_that_do_not_fit_are_refused() {
        assert_eq!(Offset::MAX.checked_add(1), None);
        assert_eq!(Offset::new(4).checked_add(3), Some(Offset::new(7)));
        assert_eq!(Offset::new(4).checked_distance(Offset::new(1)), Some(3));
        assert_eq!(Offset::new(i64::MIN).checked_distance(Offset::new(1)), None);
    }
}
