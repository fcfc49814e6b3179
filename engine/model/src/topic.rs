//! Names of topics and the rules they keep.

use core::fmt;
use std::sync::Arc;

/// A legal topic name: 1 to 249 of `[a-zA-Z0-9._-]`, neither `.` nor `..`.
///
/// Cheap to clone and free to cross shards. Source: Kafka's `Topic.validate`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a text is no topic name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicNameError {
    /// The empty text.
    #[error("the empty string is not allowed")]
    Empty,
    /// `.` or `..`.
    #[error("'.' or '..' is not allowed")]
    Dots,
    /// More than 249 characters.
    #[error("the length of '{name}' is longer than the max allowed length {max}")]
    TooLong {
        /// The name.
        name: String,
        /// The limit.
        max: usize,
    },
    /// A character outside of ASCII letters and digits, `.`, `_` and `-`.
    #[error(
        "'{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        name.escape_debug()
    )]
    Character {
        /// The name.
        name: String,
    },
}

impl TopicName {
    /// The longest name, in characters.
    pub const LENGTH_MAX: usize = 249;

    /// Checks a text and keeps it.
    pub fn new(name: &str) -> Result<Self, TopicNameError> {
        if name.is_empty() {
            return Err(TopicNameError::Empty);
        }
        if name == "." || name == ".." {
            return Err(TopicNameError::Dots);
        }
        if name.len() > Self::LENGTH_MAX {
            let name: String = name.chars().take(Self::LENGTH_MAX).collect();
            return Err(TopicNameError::TooLong {
                name,
                max: Self::LENGTH_MAX,
            });
        }
        if !name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        {
            return Err(TopicNameError::Character {
                name: name.to_owned(),
            });
        }
        Ok(Self(name.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether another name would give the same metric name, which Kafka refuses: `.` and `_`
    /// collide.
    pub fn collides_with(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .bytes()
                .zip(other.0.bytes())
                .all(|(a, b)| a == b || (matches!(a, b'.' | b'_') && matches!(b, b'.' | b'_')))
    }

    /// Whether this is one of Kafka's internal topics, which clients may not write to.
    pub fn is_internal(&self) -> bool {
        matches!(
            self.as_str(),
            "__consumer_offsets"
                | "__transaction_state"
                | "__share_group_state"
                | "__cluster_metadata"
        )
    }
}

impl core::borrow::Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_kafka_accepts() {
        for name in ["a", "...", "A.b_c-9", &"x".repeat(249)] {
            assert_eq!(
                TopicName::new(name).map(|n| n.to_string()),
                Ok(name.to_owned())
            );
        }
    }

    #[test]
    fn refuses_what_kafka_refuses() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a\0",
            "a\r\n",
            "\u{0430}",
            &"x".repeat(250),
        ] {
            assert!(TopicName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn dot_and_underscore_collide() {
        let name = |text| TopicName::new(text).unwrap();
        assert!(name("a.b").collides_with(&name("a_b")));
        assert!(!name("a.b").collides_with(&name("a-b")));
        assert!(!name("a.b").collides_with(&name("a.bc")));
    }
}
