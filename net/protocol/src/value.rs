//! How each type of a field stands on the wire.

use crate::api::Version;
use crate::error::{DecodeError, EncodeError};
use crate::reader::Reader;
use crate::records::Records;
use crate::text::Text;
use crate::writer::Writer;
use engine_model::{
    DirectoryId, ErrorCode, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    Timestamp, TopicId,
};

/// A type of a field, or a struct of fields.
pub(crate) trait Value: Sized + PartialEq {
    /// What Kafka's tables mean where they name no default.
    fn initial() -> Self;
    /// The fewest bytes a value takes in `version`.
    fn bytes_min(version: Version) -> usize;
    /// Reads one value.
    fn read(version: Version, reader: &mut Reader) -> Result<Self, DecodeError>;
    /// Writes the value.
    fn write(&self, version: Version, writer: &mut Writer) -> Result<(), EncodeError>;
    /// Whether this is the null that only some versions of a field may carry.
    fn is_null(&self) -> bool {
        false
    }
}

/// A type that can be null on the wire; the `Option` of it is then the type of the field.
pub(crate) trait Nullable: Value {
    /// What Kafka's tables mean where a nullable field names no default.
    fn initial_nullable() -> Option<Self> {
        Some(Self::initial())
    }
    /// The fewest bytes a value or a null takes in `version`.
    fn bytes_min_nullable(version: Version) -> usize {
        Self::bytes_min(version)
    }
    /// Reads one value or a null.
    fn read_nullable(version: Version, reader: &mut Reader) -> Result<Option<Self>, DecodeError>;
    /// Writes a value or a null.
    fn write_nullable(
        value: Option<&Self>,
        version: Version,
        writer: &mut Writer,
    ) -> Result<(), EncodeError>;
}

impl<T: Nullable> Value for Option<T> {
    fn initial() -> Self {
        T::initial_nullable()
    }

    fn bytes_min(version: Version) -> usize {
        T::bytes_min_nullable(version)
    }

    fn read(version: Version, reader: &mut Reader) -> Result<Self, DecodeError> {
        T::read_nullable(version, reader)
    }

    fn write(&self, version: Version, writer: &mut Writer) -> Result<(), EncodeError> {
        T::write_nullable(self.as_ref(), version, writer)
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

/// What a null means where the type has none; the field's name is filled in by the struct.
fn not_null<T>(value: Option<T>, version: Version) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Null {
        field: "",
        version: version.number,
    })
}

/// A number of `$bytes` bytes, big-endian, and how it becomes the type and back.
macro_rules! fixed {
    ($($type:ty: $raw:ty, $bytes:literal, $initial:expr, $from:expr, $to:expr;)*) => {$(
        impl Value for $type {
            fn initial() -> Self {
                $initial
            }

            fn bytes_min(_: Version) -> usize {
                $bytes
            }

            fn read(_: Version, reader: &mut Reader) -> Result<Self, DecodeError> {
                let raw = <$raw>::from_be_bytes(reader.array::<$bytes>()?);
                Ok(($from)(raw))
            }

            fn write(&self, _: Version, writer: &mut Writer) -> Result<(), EncodeError> {
                let raw: $raw = ($to)(*self);
                writer.bytes(&raw.to_be_bytes());
                Ok(())
            }
        }
    )*};
}

fixed! {
    bool: u8, 1, false, |raw| raw != 0, u8::from;
    i8: i8, 1, 0, |raw| raw, |raw| raw;
    i16: i16, 2, 0, |raw| raw, |raw| raw;
    i32: i32, 4, 0, |raw| raw, |raw| raw;
    ErrorCode: i16, 2, ErrorCode::NONE, ErrorCode, |code: ErrorCode| code.0;
    NodeId: i32, 4, NodeId(0), NodeId, |node: NodeId| node.0;
    PartitionIndex: i32, 4, PartitionIndex::ZERO, PartitionIndex::new, PartitionIndex::get;
    LeaderEpoch: i32, 4, LeaderEpoch::ZERO, LeaderEpoch::new, LeaderEpoch::get;
    Offset: i64, 8, Offset::ZERO, Offset::new, Offset::get;
    Timestamp: i64, 8, Timestamp(0), Timestamp, |time: Timestamp| time.0;
    ProducerId: i64, 8, ProducerId(0), ProducerId, |id: ProducerId| id.0;
    ProducerEpoch: i16, 2, ProducerEpoch::ZERO, ProducerEpoch::new, ProducerEpoch::get;
    i64: i64, 8, 0, |raw| raw, |raw| raw;
    TopicId: u128, 16, TopicId::ZERO,
        |raw: u128| TopicId::from_bytes(raw.to_be_bytes()),
        |id: TopicId| u128::from_be_bytes(id.to_bytes());
    DirectoryId: u128, 16, DirectoryId::ZERO,
        |raw: u128| DirectoryId::from_bytes(raw.to_be_bytes()),
        |id: DirectoryId| u128::from_be_bytes(id.to_bytes());
}

impl Value for Text {
    fn initial() -> Self {
        Self::EMPTY
    }

    fn bytes_min(version: Version) -> usize {
        if version.flexible { 1 } else { 2 }
    }

    fn read(version: Version, reader: &mut Reader) -> Result<Self, DecodeError> {
        not_null(Self::read_nullable(version, reader)?, version)
    }

    fn write(&self, version: Version, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.string(version, Some(self))
    }
}

impl Nullable for Text {
    fn read_nullable(version: Version, reader: &mut Reader) -> Result<Option<Self>, DecodeError> {
        let bytes = reader.string(version)?;
        Ok(bytes.map(|bytes| Self::from_wire(&bytes)))
    }

    fn write_nullable(
        value: Option<&Self>,
        version: Version,
        writer: &mut Writer,
    ) -> Result<(), EncodeError> {
        writer.string(version, value.map(Self::as_str))
    }
}

impl Value for Records {
    fn initial() -> Self {
        Self::EMPTY
    }

    fn bytes_min(version: Version) -> usize {
        if version.flexible { 1 } else { 4 }
    }

    fn read(version: Version, reader: &mut Reader) -> Result<Self, DecodeError> {
        not_null(Self::read_nullable(version, reader)?, version)
    }

    fn write(&self, version: Version, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.records(version, Some(self))
    }
}

impl Nullable for Records {
    fn initial_nullable() -> Option<Self> {
        None
    }

    fn read_nullable(version: Version, reader: &mut Reader) -> Result<Option<Self>, DecodeError> {
        Ok(reader.byte_string(version)?.map(Self::from))
    }

    fn write_nullable(
        value: Option<&Self>,
        version: Version,
        writer: &mut Writer,
    ) -> Result<(), EncodeError> {
        writer.records(version, value)
    }
}

impl<T: Value> Value for Vec<T> {
    fn initial() -> Self {
        Self::new()
    }

    fn bytes_min(version: Version) -> usize {
        if version.flexible { 1 } else { 4 }
    }

    fn read(version: Version, reader: &mut Reader) -> Result<Self, DecodeError> {
        not_null(Self::read_nullable(version, reader)?, version)
    }

    fn write(&self, version: Version, writer: &mut Writer) -> Result<(), EncodeError> {
        Self::write_nullable(Some(self), version, writer)
    }
}

impl<T: Value> Nullable for Vec<T> {
    fn read_nullable(version: Version, reader: &mut Reader) -> Result<Option<Self>, DecodeError> {
        let count = reader.count(version, T::bytes_min(version), size_of::<T>())?;
        let Some(count) = count else {
            return Ok(None);
        };
        let mut elements = Self::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(version, reader)?);
        }
        Ok(Some(elements))
    }

    fn write_nullable(
        value: Option<&Self>,
        version: Version,
        writer: &mut Writer,
    ) -> Result<(), EncodeError> {
        writer.length(version, value.map(Self::len))?;
        for element in value.into_iter().flatten() {
            element.write(version, writer)?;
        }
        Ok(())
    }
}
