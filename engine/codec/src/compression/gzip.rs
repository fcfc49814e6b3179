//! Gzip: one or more members, one after another.
//!
//! Source: RFC 1952; zlib-rs does the work.

use super::{Compression, CompressionError, Fault, chunk_bytes};
use bytes::{Buf, Bytes, BytesMut, buf::Reader};
use flate2::bufread::MultiGzDecoder;
use std::io::{ErrorKind, Read, Write};

/// Kafka's default effort, zlib's own.
const LEVEL_DEFAULT: i32 = 6;

pub(super) struct Decoder {
    stream: MultiGzDecoder<Reader<Bytes>>,
}

impl Decoder {
    pub(super) fn new(input: Bytes) -> Self {
        Self {
            stream: MultiGzDecoder::new(input.reader()),
        }
    }

    pub(super) fn read_into(&mut self, output: &mut BytesMut, room: usize) -> Result<(), Fault> {
        let start = output.len();
        let chunk = chunk_bytes(self.stream.get_ref().get_ref().len(), room);
        output.resize(start.saturating_add(chunk), 0);
        let place = output.get_mut(start..).unwrap_or_default();
        let result = self.stream.read(place).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Fault::Truncated,
            ErrorKind::InvalidInput => Fault::Corrupt("header, checksum or stream"),
            _ => Fault::Corrupt("stream"),
        });
        output.truncate(start.saturating_add(*result.as_ref().unwrap_or(&0)));
        result.map(|_| ())
    }
}

pub(super) fn compress(level: Option<i32>, input: &[u8]) -> Result<Bytes, CompressionError> {
    // Kafka says -1 for the default.
    let level = level.filter(|level| *level != -1).unwrap_or(LEVEL_DEFAULT);
    let effort = u32::try_from(level)
        .ok()
        .filter(|effort| (1..=9).contains(effort))
        .ok_or(CompressionError::InvalidLevel {
            compression: Compression::Gzip,
            level,
        })?;
    let failed = |_| CompressionError::Failed {
        compression: Compression::Gzip,
        reason: "deflate",
    };
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(effort));
    encoder.write_all(input).map_err(failed)?;
    encoder.finish().map(Bytes::from).map_err(failed)
}
