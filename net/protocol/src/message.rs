//! What a message is, and the notation its tables are written in.
//!
//! A field is `name: Type [versions, null versions, tag number] ignorable = default;` where all but
//! the name, the type and the versions may be missing. Versions are Kafka's `3+` or `0-12`.
//! Lines follow Kafka's tables in order, since the order is the layout. A missing default is
//! Kafka's:
//! zero, false, the empty string or array, null for records.

use crate::api::{ApiKey, Version};
use crate::error::{DecodeError, EncodeError};
use crate::header::{RequestHeader, ResponseHeader};
use crate::reader::Reader;
use crate::value::Value;
use crate::writer::Writer;
use bytes::Bytes;
use core::ops::RangeInclusive;

/// The body of a request or a response.
#[expect(private_bounds, reason = "only the tables of this crate are messages")]
pub trait Message: Value + Clone + Default + core::fmt::Debug {
    /// The API it belongs to.
    const KEY: ApiKey;

    /// The versions that can be decoded and encoded.
    const VERSIONS: RangeInclusive<i16> = Self::KEY.versions();

    /// Reads a message and leaves the reader behind it.
    ///
    /// Bytes after the message are the caller's to judge; Kafka ignores them.
    /// Errors: `UnsupportedVersion` before anything is read; any other means that the bytes are no
    /// message of that version.
    fn decode(version: i16, reader: &mut Reader) -> Result<Self, DecodeError> {
        let (min, max) = Self::VERSIONS.into_inner();
        if version < min || version > max {
            return Err(DecodeError::UnsupportedVersion {
                api: Self::KEY,
                version,
                min,
                max,
            });
        }
        Self::read(Self::KEY.version(version), reader)
    }

    /// Writes the message; on an error the writer holds a part of it and is of no more use.
    ///
    /// Errors: `NotInVersion`, `Null` where the version cannot carry what is set; never silent
    /// loss.
    fn encode(&self, version: i16, writer: &mut Writer) -> Result<(), EncodeError> {
        let (min, max) = Self::VERSIONS.into_inner();
        if version < min || version > max {
            return Err(EncodeError::UnsupportedVersion {
                api: Self::KEY,
                version,
                min,
                max,
            });
        }
        self.write(Self::KEY.version(version), writer)
    }
}

/// A request, which has a response.
pub trait Request: Message {
    /// What answers it.
    type Response: Message;
}

/// A whole request: size, header, body, in pieces for one vectored send.
pub fn request_frame<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&crate::Text>,
    request: &R,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut writer = Writer::new();
    RequestHeader {
        api_key: R::KEY.code(),
        api_version: version,
        correlation_id,
        client_id: client_id.cloned(),
    }
    .encode(R::KEY, &mut writer)?;
    request.encode(version, &mut writer)?;
    writer.into_frame()
}

/// A whole response: size, header, body, in pieces for one vectored send.
pub fn response_frame<M: Message>(
    version: i16,
    correlation_id: i32,
    response: &M,
) -> Result<Vec<Bytes>, EncodeError> {
    let mut writer = Writer::new();
    ResponseHeader { correlation_id }.encode(M::KEY, version, &mut writer)?;
    response.encode(version, &mut writer)?;
    writer.into_frame()
}

/// Versions in which something holds.
#[derive(Clone, Copy)]
pub(crate) struct Versions {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Versions {
    pub(crate) const fn contain(self, version: Version) -> bool {
        self.min <= version.number && version.number <= self.max
    }
}

/// Declares a struct of fields, and what kind of message it is. See the module's own words.
macro_rules! message {
    ($(#[$meta:meta])* request $name:ident -> $response:ident { $($fields:tt)* }) => {
        message! { $(#[$meta])* struct $name { $($fields)* } }

        impl $crate::message::Message for $name {
            const KEY: $crate::api::ApiKey = KEY;
        }

        impl $crate::message::Request for $name {
            type Response = $response;
        }
    };
    ($(#[$meta:meta])* response $name:ident { $($fields:tt)* }) => {
        message! { $(#[$meta])* struct $name { $($fields)* } }

        impl $crate::message::Message for $name {
            const KEY: $crate::api::ApiKey = KEY;
        }
    };
    ($(#[$meta:meta])* nullable struct $name:ident { $($fields:tt)* }) => {
        message! { $(#[$meta])* struct $name { $($fields)* } }

        impl $crate::value::Nullable for $name {
            fn bytes_min_nullable(_: $crate::api::Version) -> usize {
                1
            }

            fn read_nullable(
                version: $crate::api::Version,
                reader: &mut $crate::reader::Reader,
            ) -> Result<Option<Self>, $crate::error::DecodeError> {
                if reader.is_struct_present()? {
                    $crate::value::Value::read(version, reader).map(Some)
                } else {
                    Ok(None)
                }
            }

            fn write_nullable(
                value: Option<&Self>,
                version: $crate::api::Version,
                writer: &mut $crate::writer::Writer,
            ) -> Result<(), $crate::error::EncodeError> {
                // A byte tells whether there is one: 1 or -1.
                match value {
                    None => writer.bytes(&[0xff]),
                    Some(value) => {
                        writer.bytes(&[1]);
                        $crate::value::Value::write(value, version, writer)?;
                    }
                }
                Ok(())
            }
        }
    };
    ($(#[$meta:meta])* struct $name:ident {$(
        $(#[$field_meta:meta])*
        $field:ident: $type:ty [
            $low:literal $(- $high:literal)? $(+)?
            $(, null $null_low:literal $(- $null_high:literal)? $(+)?)?
            $(, tag $tag:literal)?
        ] $($ignorable:ident)? $(= $default:expr)?;
    )*}) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            /// Every field as Kafka's tables default it.
            fn default() -> Self {
                Self {
                    $($field: message!(@default $type $(, $default)?),)*
                }
            }
        }

        impl $crate::value::Value for $name {
            fn initial() -> Self {
                Self::default()
            }

            fn bytes_min(version: $crate::api::Version) -> usize {
                let mut sum = usize::from(version.flexible);
                $(
                    let present = message!(@versions $low $(- $high)?).contain(version);
                    if present && message!(@tag $($tag)?).is_none() {
                        sum = sum.saturating_add(
                            <$type as $crate::value::Value>::bytes_min(version),
                        );
                    }
                )*
                sum
            }

            fn read(
                version: $crate::api::Version,
                reader: &mut $crate::reader::Reader,
            ) -> Result<Self, $crate::error::DecodeError> {
                use $crate::error::DecodeError;
                let mut this = Self::default();
                $(
                    if message!(@versions $low $(- $high)?).contain(version)
                        && message!(@tag $($tag)?).is_none()
                    {
                        this.$field = message!(@read version, reader, $name, $field);
                        message!(@null_read this.$field, version, $name, $field
                            $(, $null_low $(- $null_high)?)?);
                    }
                )*
                if version.flexible {
                    reader.tagged_fields(|tag, reader| {
                        $(
                            if message!(@tag $($tag)?) == Some(tag) {
                                if !message!(@versions $low $(- $high)?).contain(version) {
                                    return Err(DecodeError::TagVersion {
                                        tag,
                                        version: version.number,
                                    });
                                }
                                this.$field = message!(@read version, reader, $name, $field);
                                message!(@null_read this.$field, version, $name, $field
                                    $(, $null_low $(- $null_high)?)?);
                                return Ok(true);
                            }
                        )*
                        let _ = (tag, reader);
                        Ok(false)
                    })?;
                }
                Ok(this)
            }

            fn write(
                &self,
                version: $crate::api::Version,
                writer: &mut $crate::writer::Writer,
            ) -> Result<(), $crate::error::EncodeError> {
                use $crate::error::EncodeError;
                let mut tagged: Vec<(u32, $crate::writer::Writer)> = Vec::new();
                $(
                    if message!(@versions $low $(- $high)?).contain(version) {
                        if $crate::value::Value::is_null(&self.$field)
                            && !message!(@null $($null_low $(- $null_high)?)?).contain(version)
                        {
                            return Err(EncodeError::Null {
                                field: concat!(stringify!($name), ".", stringify!($field)),
                                version: version.number,
                            });
                        }
                        match message!(@tag $($tag)?) {
                            None => $crate::value::Value::write(&self.$field, version, writer)?,
                            Some(tag) => {
                                if self.$field != message!(@default $type $(, $default)?) {
                                    let mut field = $crate::writer::Writer::new();
                                    $crate::value::Value::write(&self.$field, version, &mut field)?;
                                    tagged.push((tag, field));
                                }
                            }
                        }
                    } else if !message!(@ignorable $($ignorable)?)
                        && self.$field != message!(@default $type $(, $default)?)
                    {
                        return Err(EncodeError::NotInVersion {
                            field: concat!(stringify!($name), ".", stringify!($field)),
                            version: version.number,
                        });
                    }
                )*
                if version.flexible {
                    tagged.sort_by_key(|(tag, _)| *tag);
                    writer.tagged_fields(tagged)?;
                }
                Ok(())
            }
        }

        #[cfg(test)]
        impl $crate::tests::sample::Sample for $name {
            fn sample(
                version: $crate::api::Version,
                source: &mut $crate::tests::sample::Source<'_>,
            ) -> Self {
                use $crate::value::Value;
                let mut this = Self::default();
                $(
                    if message!(@versions $low $(- $high)?).contain(version) {
                        let value: $type = $crate::tests::sample::Sample::sample(version, source);
                        if !value.is_null()
                            || message!(@null $($null_low $(- $null_high)?)?).contain(version)
                        {
                            this.$field = value;
                        }
                        if this.$field.is_null() {
                            // A default of null in a version without null.
                            this.$field = $crate::tests::sample::Sample::not_null();
                        }
                    }
                )*
                this
            }
        }
    };
    (@default $type:ty) => { <$type as $crate::value::Value>::initial() };
    (@default $type:ty, $default:expr) => { $default };
    (@versions $low:literal - $high:literal) => {
        $crate::message::Versions { min: $low, max: $high }
    };
    (@versions $low:literal) => { $crate::message::Versions { min: $low, max: i16::MAX } };
    (@null) => { $crate::message::Versions { min: i16::MAX, max: i16::MIN } };
    (@null $($range:tt)+) => { message!(@versions $($range)+) };
    (@tag) => { None::<u32> };
    (@tag $tag:literal) => { Some::<u32>($tag) };
    (@ignorable) => { false };
    (@ignorable ignorable) => { true };
    (@read $version:ident, $reader:ident, $name:ident, $field:ident) => {
        $crate::value::Value::read($version, $reader).map_err(|error| {
            error.named(concat!(stringify!($name), ".", stringify!($field)))
        })?
    };
    (@null_read $this:ident.$field:ident, $version:ident, $name:ident, $same:ident
        $(, $($range:tt)+)?) => {
        if $crate::value::Value::is_null(&$this.$field)
            && !message!(@null $($($range)+)?).contain($version)
        {
            return Err(DecodeError::Null {
                field: concat!(stringify!($name), ".", stringify!($field)),
                version: $version.number,
            });
        }
    };
}
