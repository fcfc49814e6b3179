//! The same records under another compression, for topics that have one of their own.
//!
//! Keeps: offsets, timestamps, producer fields, flags and every byte of every record. Only
//! compression bits, length and checksum differ.

use crate::batch::Batch;
use crate::builder::seal;
use crate::compression::{Compression, Decompressor, compress};
use crate::error::{BatchError, BuildError};
use crate::header::{BatchHeader, HEADER_BYTES};
use crate::validate::{DeepLimits, DeepReport, validate_deep};
use bytes::{BufMut, Bytes, BytesMut};

/// Writes the batch anew with `compression`, and checks every record on the way as
/// [`validate_deep`] does.
///
/// `level` as in [`compress`]. A batch that has that compression already is checked and returned as
/// it is. The checksum is not looked at: what it would have shown is sealed in, so [`crate::validate()`]
/// comes first. Holds the decompressed records whole, at most `limits.decompressed_bytes_max`.
/// Errors: `Batch` where the batch is at fault, `Compression` or `TooLarge` where writing fails.
pub fn recompress(
    batch: &Batch,
    compression: Compression,
    level: Option<i32>,
    limits: &DeepLimits,
) -> Result<(Bytes, DeepReport), BuildError> {
    let header = batch.header();
    let from = header
        .attributes
        .compression()
        .ok_or(BatchError::UnknownCompression {
            id: header.attributes.compression_id(),
        })?;
    if from == compression {
        let report = validate_deep(batch, limits)?;
        return Ok((batch.bytes().clone(), report));
    }
    let plain = if from == Compression::None {
        batch.clone()
    } else {
        decompressed(batch, from, limits.decompressed_bytes_max)?
    };
    let report = validate_deep(&plain, limits)?;
    let records = plain.payload();
    if compression == Compression::None || records.is_empty() {
        return Ok((plain.into_bytes(), report));
    }
    let compressed = compress(compression, level, &records)?;
    let mut bytes = room_for_header(compressed.len());
    bytes.put_slice(&compressed);
    let attributes = header.attributes.with_compression(compression);
    let bytes = seal(
        bytes,
        BatchHeader {
            attributes,
            ..*header
        },
    )?;
    Ok((bytes, report))
}

/// The same batch without compression; its records go straight to their place.
fn decompressed(batch: &Batch, from: Compression, bytes_max: usize) -> Result<Batch, BuildError> {
    let header = batch.header();
    let mut bytes = room_for_header(0);
    // A batch without records may have no payload, where a codec would miss its own header.
    if !batch.payload().is_empty() || header.record_count > 0 {
        let mut records =
            Decompressor::new(from, batch.payload(), bytes_max).map_err(BatchError::Compression)?;
        while records
            .read_into(&mut bytes)
            .map_err(BatchError::Compression)?
        {}
    }
    let attributes = header.attributes.with_compression(Compression::None);
    let bytes = seal(
        bytes,
        BatchHeader {
            attributes,
            ..*header
        },
    )?;
    Ok(Batch::parse(&bytes)?)
}

/// Zeros where the header will stand, and room for as many bytes after it.
fn room_for_header(payload_bytes: usize) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES.saturating_add(payload_bytes));
    bytes.put_bytes(0, HEADER_BYTES);
    bytes
}
