//! Why bytes are no message, and why a message cannot become bytes.

/// Why bytes are no message. The connection they came from cannot go on: where the next field
/// starts is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the message does.
    #[error("{needed} bytes wanted where {left} are left")]
    Short {
        /// Bytes wanted next.
        needed: usize,
        /// Bytes there.
        left: usize,
    },
    /// A varint runs past five bytes or past 32 bits.
    #[error("a varint does not fit 32 bits")]
    Varint,
    /// A null stands where the version allows none.
    #[error("{field} is null, which version {version} does not allow")]
    Null {
        /// Name of the field.
        field: &'static str,
        /// Version of the message.
        version: i16,
    },
    /// A string is longer than Kafka's 32767 bytes.
    #[error("a string of {bytes} bytes is longer than {max}")]
    StringTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An array claims more elements than the bytes behind it can hold.
    #[error("an array of {count} elements cannot stand in {left} bytes")]
    ArrayTooLong {
        /// Elements claimed.
        count: usize,
        /// Bytes there.
        left: usize,
    },
    /// The elements of all arrays would take more memory than one message may.
    #[error("the arrays of one message would take more than {max} bytes of memory")]
    ArrayMemory {
        /// The limit, in bytes.
        max: usize,
    },
    /// A tagged field is shorter than the bytes set aside for it.
    #[error("tagged field {tag} leaves {left} bytes over")]
    TagSize {
        /// The tag.
        tag: u32,
        /// Bytes left over.
        left: usize,
    },
    /// A tag that a later version of this struct knows stands in a version that lacks it.
    #[error("tagged field {tag} is not valid in version {version}")]
    TagVersion {
        /// The tag.
        tag: u32,
        /// Version of the message.
        version: i16,
    },
    /// The API key is none that is spoken here.
    #[error("unknown API key {key}")]
    UnknownApi {
        /// The key.
        key: i16,
    },
    /// The version is outside of the range of its API.
    #[error("version {version} of {api:?} is not in {min} to {max}")]
    UnsupportedVersion {
        /// The API.
        api: crate::ApiKey,
        /// The version asked for.
        version: i16,
        /// The lowest there is.
        min: i16,
        /// The highest there is.
        max: i16,
    },
}

/// Why a message cannot become bytes: a mistake of the caller, or a version that cannot say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field has a value, and the version has no such field.
    #[error("{field} is set, which version {version} cannot carry")]
    NotInVersion {
        /// Name of the field.
        field: &'static str,
        /// Version asked for.
        version: i16,
    },
    /// A field is null, and the version knows no null there.
    #[error("{field} is null, which version {version} cannot carry")]
    Null {
        /// Name of the field.
        field: &'static str,
        /// Version asked for.
        version: i16,
    },
    /// A string is longer than Kafka's 32767 bytes.
    #[error("a string of {bytes} bytes is longer than {max}")]
    StringTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An array, records field or frame is longer than 2^31-1.
    #[error("a length of {length} does not fit 31 bits")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The version is outside of the range of its API.
    #[error("version {version} of {api:?} is not in {min} to {max}")]
    UnsupportedVersion {
        /// The API.
        api: crate::ApiKey,
        /// The version asked for.
        version: i16,
        /// The lowest there is.
        min: i16,
        /// The highest there is.
        max: i16,
    },
}

impl DecodeError {
    /// Names the field of a null that was found where only the type was known.
    pub(crate) fn named(self, name: &'static str) -> Self {
        match self {
            Self::Null { field: "", version } => Self::Null {
                field: name,
                version,
            },
            other => other,
        }
    }
}
