//! What can be wrong with settings: at start, and of a topic.

use crate::setting::Kind;
use crate::sources::Origin;
use core::fmt;

/// Why a text is no value of a setting. Its text is Kafka's where Kafka has one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidValue {
    /// Not a number, or one that does not fit.
    #[error("Not a number of type {}", kind.name())]
    NotANumber {
        /// The type asked for.
        kind: Kind,
    },
    /// Not a boolean.
    #[error("Expected value to be either true or false")]
    NotABoolean,
    /// A number below the smallest.
    #[error("Value must be at least {min}")]
    TooSmall {
        /// The smallest.
        min: i64,
    },
    /// A number above the largest.
    #[error("Value must be no more than {max}")]
    TooLarge {
        /// The largest.
        max: i64,
    },
    /// Neither within the range nor -1.
    #[error("Value must be between {min} and {max} or equal to -1")]
    OutsideOfRangeOrMinusOne {
        /// The smallest but for -1.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Not one of the texts there are.
    #[error("String must be one of: {}", allowed.join(", "))]
    NotOneOf {
        /// The texts there are.
        allowed: &'static [&'static str],
    },
    /// A list with an empty element.
    #[error("values must not be empty")]
    EmptyElement,
    /// Not a list of throttled replicas.
    #[error(
        "{key} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    )]
    NotThrottledReplicas {
        /// The setting.
        key: &'static str,
    },
    /// Not an address to listen on.
    #[error("{0}")]
    Endpoint(#[from] crate::listener::EndpointError),
    /// More than one directory.
    #[error("one directory, please: several are not supported yet")]
    SeveralDirectories,
    /// Smaller than another setting.
    #[error("must be larger than or equal to {key}, which is {least}")]
    Below {
        /// The other setting.
        key: &'static str,
        /// Its value.
        least: i64,
    },
    /// Not a list of limits for addresses.
    #[error("write ADDRESS:COUNT; the names of hosts are not looked up here")]
    NotALimitForAnAddress,
    /// A value of TOML that is no setting's.
    #[error("write a text, a number, true, false or a list of texts")]
    NotASettingsValue,
}

/// What is wrong with the settings of a start.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A name that no setting has.
    #[error("{origin}: there is no setting {key:?}{}", Suggestion(*suggestion))]
    Unknown {
        /// The name.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// The nearest name there is.
        suggestion: Option<&'static str>,
    },
    /// A value that its setting cannot have.
    #[error("{origin}: invalid value {value:?} for {key}: {reason}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// What was written.
        value: String,
        /// Where it stands.
        origin: Origin,
        /// Why not.
        reason: InvalidValue,
    },
    /// A file that is not in its format.
    #[error("{origin}: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What the reader of the format says.
        message: String,
    },
    /// The broker's defaults for topics cannot stand together.
    #[error("defaults for topics: {0}")]
    TopicDefaults(#[from] TopicConfigError),
    /// An assignment without `=`.
    #[error("{origin}: {text:?} is no assignment; write KEY=VALUE")]
    NoAssignment {
        /// What was written.
        text: String,
        /// Where it stands.
        origin: Origin,
    },
}

struct Suggestion(Option<&'static str>);

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "; did you mean {key:?}?"),
            None => Ok(()),
        }
    }
}

/// What is wrong with the settings of a topic; INVALID_CONFIG, with Kafka's words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicConfigError {
    /// A name that no topic setting has.
    #[error("Unknown topic config name: {key}")]
    Unknown {
        /// The name.
        key: String,
    },
    /// Settings without a value.
    #[error("Null value not supported for topic configs: {keys}")]
    Null {
        /// Their names, with commas between them.
        keys: String,
    },
    /// A list with an empty element.
    #[error("Configuration '{key}' values must not be empty.")]
    EmptyElement {
        /// The setting.
        key: &'static str,
    },
    /// A value that its setting cannot have.
    #[error("Invalid value {value} for configuration {key}: {reason}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// What was given.
        value: String,
        /// Why not.
        reason: InvalidValue,
    },
    /// The two lags of compaction are the wrong way round.
    #[error(
        "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
    )]
    CompactionLags {
        /// The shortest, in milliseconds.
        min: i64,
        /// The longest, in milliseconds.
        max: i64,
    },
    /// Tiered storage is asked for.
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )]
    RemoteStorage,
}
