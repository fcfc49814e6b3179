//! `-f`: text with kcat's tokens.

use super::escape::unescape;
use crate::failure::{Failure, Kind};
use net_client::ConsumedRecord;
use std::io::{self, Write};

/// What kcat writes for null.
const NULL: &[u8] = b"NULL";

/// A piece of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they are.
    Text(Vec<u8>),
    /// Something of the record, by kcat's letter.
    Token(char),
}

const TOKENS: &str = "sSRkKThtpo";

/// How a record is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub pieces: Vec<Piece>,
    /// Whether what is null or empty is written as `NULL`.
    pub shows_null: bool,
}

/// Reads a format. Errors: `Usage`, in kcat's words.
pub fn parse(text: &str) -> Result<Vec<Piece>, Failure> {
    let wrong = |what: String| Failure::new(Kind::Usage, format!("-f: {what}"));
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once('%') {
        push(&mut pieces, plain);
        let mut letters = behind.chars();
        match letters.next() {
            Some('%') => pieces.push(Piece::Text(b"%".to_vec())),
            Some(token) if TOKENS.contains(token) => pieces.push(Piece::Token(token)),
            Some(other) => return Err(wrong(format!("unsupported formatter: %{other}"))),
            None => return Err(wrong("empty formatter".to_owned())),
        }
        rest = letters.as_str();
    }
    push(&mut pieces, rest);
    Ok(pieces)
}

fn push(pieces: &mut Vec<Piece>, plain: &str) {
    let bytes = unescape(plain);
    if !bytes.is_empty() {
        pieces.push(Piece::Text(bytes));
    }
}

impl Layout {
    /// Writes one record.
    pub fn write(
        &self,
        out: &mut impl Write,
        topic: &str,
        record: &ConsumedRecord,
    ) -> io::Result<()> {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let length = |bytes: Option<&[u8]>| {
            bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
        };
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.write_all(text)?,
                Piece::Token('s') => out.write_all(self.shown(value))?,
                Piece::Token('S') => write!(out, "{}", length(value))?,
                Piece::Token('R') => {
                    let length = i32::try_from(length(value)).unwrap_or(i32::MAX);
                    out.write_all(&length.to_be_bytes())?;
                }
                Piece::Token('k') => out.write_all(self.shown(key))?,
                Piece::Token('K') => write!(out, "{}", length(key))?,
                Piece::Token('T') => write!(out, "{}", record.timestamp)?,
                Piece::Token('t') => out.write_all(topic.as_bytes())?,
                Piece::Token('p') => write!(out, "{}", record.partition)?,
                Piece::Token('o') => write!(out, "{}", record.offset)?,
                Piece::Token(_) => headers(out, record)?,
            }
        }
        Ok(())
    }

    /// With -Z what is empty counts as null too, as in kcat.
    fn shown<'a>(&self, bytes: Option<&'a [u8]>) -> &'a [u8] {
        match bytes.unwrap_or_default() {
            [] if self.shows_null => NULL,
            bytes => bytes,
        }
    }
}

/// `name=value,name=value`; null is `NULL`, with -Z or without.
fn headers(out: &mut impl Write, record: &ConsumedRecord) -> io::Result<()> {
    for (place, (name, value)) in record.headers.iter().enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        out.write_all(name)?;
        out.write_all(b"=")?;
        out.write_all(value.as_deref().unwrap_or(NULL))?;
    }
    Ok(())
}
