//! The same records under another compression, for topics that have one of their own.
//!
//! Keeps: offsets, timestamps, producer fields, flags and every byte of every record. Only
//! compression bits, length and checksum differ.

use crate::attributes::Attributes;
use crate::batch::Batch;
use crate::builder::seal;
use crate::compression::{Compression, compress, decompress};
use crate::error::{BatchError, BuildError};
use crate::header::{BatchHeader, HEADER_BYTES};
use crate::validate::{DeepLimits, DeepReport, validate_deep};
use bytes::{BufMut, Bytes, BytesMut};

/// Writes the batch anew with `compression`, and checks every record on the way as
/// [`validate_deep`] does.
///
/// `level` as in [`compress`]. A batch that has that compression already is checked and returned as
/// it is. Holds the decompressed records whole, at most `limits.decompressed_bytes_max`.
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
    let records = if header.record_count == 0 && batch.payload().is_empty() {
        Bytes::new()
    } else {
        decompress(from, &batch.payload(), limits.decompressed_bytes_max)
            .map_err(BatchError::Compression)?
    };
    let plain = if from == Compression::None {
        batch.clone()
    } else {
        let attributes = header.attributes.with_compression(Compression::None);
        Batch::parse(&assemble(header, attributes, &records)?)?
    };
    let report = validate_deep(&plain, limits)?;
    if compression == Compression::None || records.is_empty() {
        return Ok((plain.into_bytes(), report));
    }
    let compressed = compress(compression, level, &records)?;
    let attributes = header.attributes.with_compression(compression);
    Ok((assemble(header, attributes, &compressed)?, report))
}

fn assemble(
    header: &BatchHeader,
    attributes: Attributes,
    payload: &[u8],
) -> Result<Bytes, BuildError> {
    let mut batch = BytesMut::with_capacity(HEADER_BYTES.saturating_add(payload.len()));
    batch.put_bytes(0, HEADER_BYTES);
    batch.put_slice(payload);
    seal(
        batch,
        BatchHeader {
            attributes,
            ..*header
        },
    )
}
