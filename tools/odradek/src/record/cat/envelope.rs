//! `-J`: one object of JSON a record, with kcat's fields.
//!
//! Keeps: bytes that are no UTF-8 stay as they are, as kcat writes them; so the output is JSON only
//! if the records are text. `record consume --json` gives bytes in base64.

use engine_codec::TimestampType;
use engine_model::NodeId;
use net_client::ConsumedRecord;
use std::io::{self, Write};

/// Writes one record and a line feed; `broker` is the leader it came from.
pub fn write(
    out: &mut impl Write,
    topic: &str,
    broker: NodeId,
    record: &ConsumedRecord,
) -> io::Result<()> {
    out.write_all(b"{\"topic\":")?;
    text(out, Some(topic.as_bytes()))?;
    let timestamp_type = match record.timestamp_type {
        TimestampType::CreateTime => "create",
        TimestampType::LogAppendTime => "logappend",
    };
    write!(
        out,
        ",\"partition\":{},\"offset\":{},\"tstype\":\"{timestamp_type}\",\"ts\":{},\"broker\":{}",
        record.partition, record.offset, record.timestamp, broker.0
    )?;
    if !record.headers.is_empty() {
        out.write_all(b",\"headers\":[")?;
        for (place, (name, value)) in record.headers.iter().enumerate() {
            if place > 0 {
                out.write_all(b",")?;
            }
            text(out, Some(name))?;
            out.write_all(b",")?;
            text(out, value.as_deref())?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b",\"key\":")?;
    text(out, record.key.as_deref())?;
    out.write_all(b",\"payload\":")?;
    text(out, record.value.as_deref())?;
    out.write_all(b"}\n")
}

/// A text of JSON, or null.
pub fn text(out: &mut (impl Write + ?Sized), bytes: Option<&[u8]>) -> io::Result<()> {
    let Some(bytes) = bytes else {
        return out.write_all(b"null");
    };
    out.write_all(b"\"")?;
    let mut plain = bytes;
    while let Some(place) = plain
        .iter()
        .position(|b| matches!(b, b'"' | b'\\' | 0..0x20))
    {
        let (before, rest) = plain.split_at(place);
        out.write_all(before)?;
        match rest.first() {
            Some(b'"') => out.write_all(b"\\\"")?,
            Some(b'\\') => out.write_all(b"\\\\")?,
            Some(b'\n') => out.write_all(b"\\n")?,
            Some(b'\r') => out.write_all(b"\\r")?,
            Some(b'\t') => out.write_all(b"\\t")?,
            Some(0x08) => out.write_all(b"\\b")?,
            Some(0x0c) => out.write_all(b"\\f")?,
            Some(other) => write!(out, "\\u{other:04X}")?,
            None => {}
        }
        plain = rest.get(1..).unwrap_or_default();
    }
    out.write_all(plain)?;
    out.write_all(b"\"")
}
