//! How a record is printed: its value, JSON, or text with tokens (those of kcat, where it has them).

use crate::base64;
use crate::failure::{Failure, Kind};
use crate::output::Tree;
use crate::time;
use engine_codec::TimestampType;
use net_client::ConsumedRecord;
use serde::Serialize;
use std::io::{self, Write};

/// How a record is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// The value and a line feed.
    Value,
    /// An object of JSON a line.
    JsonLines,
    /// One object that holds all of them: `{"items": [...]}`.
    JsonItems,
    /// `items:` and an element for each.
    YamlItems,
    /// A line of names, and a line for each.
    Csv,
    /// Topic, partition and offset, as a name.
    Name,
    /// Text with tokens.
    Template(Vec<Piece>),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// Something of the record.
    Token(char),
}

const TOKENS: &str = "tpokvhTDKV";

/// Reads a template. Errors: `Usage`, with what is wrong.
pub fn parse(text: &str) -> Result<RecordFormat, Failure> {
    let mut pieces = Vec::new();
    let mut plain: Vec<u8> = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '%' || letter == '\\') {
            ('%', _) => match letters.next() {
                Some('%') => plain.push(b'%'),
                Some(token) if TOKENS.contains(token) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Token(token));
                }
                other => return Err(unknown("%", other)),
            },
            ('\\', _) => plain.push(escape(&mut letters)?),
            (other, _) => plain.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(RecordFormat::Template(pieces))
}

fn unknown(start: &str, letter: Option<char>) -> Failure {
    let letter = letter.map(String::from).unwrap_or_default();
    let what = format!("--format: there is no {start}{letter}");
    Failure::new(Kind::Usage, what).hint("`odradek record consume --help` lists the tokens")
}

fn escape(letters: &mut std::str::Chars<'_>) -> Result<u8, Failure> {
    match letters.next() {
        Some('n') => Ok(b'\n'),
        Some('t') => Ok(b'\t'),
        Some('r') => Ok(b'\r'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = letters.take(2).collect();
            let is_hex = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let value = is_hex
                .then(|| u8::from_str_radix(&digits, 16).ok())
                .flatten();
            value.ok_or_else(|| unknown("\\x", digits.chars().next()))
        }
        other => Err(unknown("\\", other)),
    }
}

#[derive(Serialize)]
struct JsonHeader {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    value: Option<String>,
}

/// One record with its fields in order, the same for every record: for CSV.
pub fn tree(topic: &str, record: &ConsumedRecord) -> Result<Tree, Failure> {
    let line = json(topic, record)?;
    let tree = serde_json::from_str(&line)
        .map_err(|error| Failure::new(Kind::Failed, format!("cannot write a record: {error}")))?;
    let Tree::Map(mut fields) = tree else {
        return Ok(tree);
    };
    // JSON leaves out what is text already; columns must be the same in every line.
    for (name, after) in [("key_base64", "key"), ("value_base64", "value")] {
        if !fields.iter().any(|(found, _)| found == name) {
            let place = fields.iter().position(|(found, _)| found == after);
            let place = place.map_or(fields.len(), |place| place + 1);
            fields.insert(place, (name.to_owned(), Tree::Null));
        }
    }
    Ok(Tree::Map(fields))
}

#[derive(Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<String>,
    timestamp_type: &'static str,
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    headers: Vec<JsonHeader>,
}

/// Bytes as text, or in base64 where they are no UTF-8.
fn text(bytes: Option<&[u8]>) -> (Option<String>, Option<String>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => (None, None),
        Some((Ok(text), _)) => (Some(text.to_owned()), None),
        Some((Err(_), bytes)) => (None, Some(base64::encode(bytes))),
    }
}

/// One record as a line of JSON, without a line feed.
pub fn json(topic: &str, record: &ConsumedRecord) -> Result<String, Failure> {
    let (key, key_base64) = text(record.key.as_deref());
    let (value, value_base64) = text(record.value.as_deref());
    let headers = record.headers.iter().map(|(name, value)| {
        let (value, value_base64) = text(value.as_deref());
        JsonHeader {
            key: String::from_utf8_lossy(name).into_owned(),
            value_base64,
            value,
        }
    });
    let json = JsonRecord {
        topic,
        partition: record.partition.get(),
        offset: record.offset.get(),
        timestamp: time::of_record(record.timestamp.0),
        timestamp_type: match record.timestamp_type {
            TimestampType::CreateTime => "create_time",
            TimestampType::LogAppendTime => "log_append_time",
        },
        key,
        key_base64,
        value,
        value_base64,
        headers: headers.collect(),
    };
    serde_json::to_string(&json)
        .map_err(|error| Failure::new(Kind::Failed, format!("cannot write JSON: {error}")))
}

/// Writes one record as a template says.
pub fn write_template(
    out: &mut impl Write,
    pieces: &[Piece],
    topic: &str,
    record: &ConsumedRecord,
) -> io::Result<()> {
    let length =
        |bytes: Option<&bytes::Bytes>| bytes.map_or("-1".to_owned(), |b| b.len().to_string());
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.write_all(text)?,
            Piece::Token('t') => out.write_all(topic.as_bytes())?,
            Piece::Token('p') => write!(out, "{}", record.partition)?,
            Piece::Token('o') => write!(out, "{}", record.offset)?,
            Piece::Token('k') => out.write_all(record.key.as_deref().unwrap_or_default())?,
            Piece::Token('v') => out.write_all(record.value.as_deref().unwrap_or_default())?,
            Piece::Token('T') => write!(out, "{}", record.timestamp)?,
            Piece::Token('D') => {
                out.write_all(
                    time::format(record.timestamp.0)
                        .unwrap_or_default()
                        .as_bytes(),
                )?;
            }
            Piece::Token('K') => out.write_all(length(record.key.as_ref()).as_bytes())?,
            Piece::Token('V') => out.write_all(length(record.value.as_ref()).as_bytes())?,
            Piece::Token(_) => write_headers(out, record)?,
        }
    }
    Ok(())
}

/// `name=value,name=value`; a null value is `NULL`, as in kcat.
fn write_headers(out: &mut impl Write, record: &ConsumedRecord) -> io::Result<()> {
    for (place, (name, value)) in record.headers.iter().enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        out.write_all(name)?;
        out.write_all(b"=")?;
        out.write_all(value.as_deref().unwrap_or(b"NULL"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use engine_model::{LeaderEpoch, Offset, PartitionIndex, Timestamp};

    fn record() -> ConsumedRecord {
        ConsumedRecord {
            partition: PartitionIndex::new(3),
            offset: Offset::new(42),
            leader_epoch: LeaderEpoch::ZERO,
            timestamp: Timestamp(951_827_696_789),
            timestamp_type: TimestampType::CreateTime,
            key: Some(Bytes::from_static(b"k\xff")),
            value: None,
            headers: vec![
                (Bytes::from_static(b"a"), Some(Bytes::from_static(b"1"))),
                (Bytes::from_static(b"a"), None),
            ],
        }
    }

    #[test]
    fn templates_print_what_their_tokens_say() {
        for (template, printed) in [
            ("%t %p %o\\n", &b"topic 3 42\n"[..]),
            ("%k|%v|%K|%V", b"k\xff||2|-1"),
            ("%h", b"a=1,a=NULL"),
            ("%T %D", b"951827696789 2000-02-29T12:34:56.789Z"),
            ("100%%\\t\\x41\\\\\\0\\r", b"100%\tA\\\0\r"),
            ("\u{e4}", "\u{e4}".as_bytes()),
            ("", b""),
        ] {
            let RecordFormat::Template(pieces) = parse(template).unwrap() else {
                panic!("{template}");
            };
            let mut out = Vec::new();
            write_template(&mut out, &pieces, "topic", &record()).unwrap();
            assert_eq!(out, printed, "{template}");
        }
        for wrong in ["%", "%z", "\\", "\\q", "\\x4", "\\xzz", "a%"] {
            assert_eq!(parse(wrong).map_err(|f| f.exit_code()), Err(2), "{wrong}");
        }
    }

    #[test]
    fn json_has_base64_where_bytes_are_no_text() {
        let expected = concat!(
            r#"{"topic":"topic","partition":3,"offset":42,"timestamp":"2000-02-29T12:34:56.789Z","#,
            r#""timestamp_type":"create_time","key":null,"key_base64":"a/8=","value":null,"#,
            r#""headers":[{"key":"a","value":"1"},{"key":"a","value":null}]}"#
        );
        assert_eq!(json("topic", &record()).unwrap(), expected);
    }
}
