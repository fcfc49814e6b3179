//! Backslashes in formats and delimiters, as kcat reads them.

use crate::failure::{Failure, Kind};

/// The bytes that a text with backslashes means.
///
/// `\n`, `\t`, `\r`; `\x` and hexadecimal digits; `\` and digits, decimal, or octal behind a 0; of
/// numbers the last byte counts. Before any other letter a backslash goes away; alone at the end
/// it stays.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let Some((letter, behind)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        let (byte, after) = match letter {
            b'n' => (Some(b'\n'), behind),
            b't' => (Some(b'\t'), behind),
            b'r' => (Some(b'\r'), behind),
            b'x' => number(behind, 16),
            b'0' => match behind.first() {
                Some(b'x' | b'X') => number(behind.get(1..).unwrap_or_default(), 16),
                _ => number(rest, 8),
            },
            b'1'..=b'9' => number(rest, 10),
            other => (Some(*other), behind),
        };
        out.extend(byte);
        rest = after;
    }
    out
}

/// The last byte of the number that `digits` begins with, if it does, and what follows it.
fn number(digits: &[u8], base: u32) -> (Option<u8>, &[u8]) {
    let value = |byte: &u8| char::from(*byte).to_digit(base);
    let end = digits.iter().position(|byte| value(byte).is_none());
    let (digits, rest) = digits.split_at(end.unwrap_or(digits.len()));
    let mut number: Option<u8> = None;
    for digit in digits.iter().filter_map(value) {
        let base = u8::try_from(base).unwrap_or(16);
        let digit = u8::try_from(digit).unwrap_or_default();
        number = Some(number.unwrap_or(0).wrapping_mul(base).wrapping_add(digit));
    }
    (number, rest)
}

/// The bytes of a delimiter. Errors: `Usage` for one that is empty.
pub fn delimiter(letter: char, text: &str) -> Result<Vec<u8>, Failure> {
    let bytes = unescape(text);
    if bytes.is_empty() {
        let what = format!("-{letter}: a delimiter has at least one byte");
        return Err(Failure::new(Kind::Usage, what));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What kcat 1.7.1 writes for these.
    #[test]
    fn backslashes_mean_what_they_mean_to_kcat() {
        for (text, bytes) in [
            (r"a\x41|b", &b"aA|b"[..]),
            (r"a\065|b", b"a5|b"),
            (r"a\101|b", b"ae|b"),
            (r"a\q|b", b"aq|b"),
            (r"a\\|b", b"a\\|b"),
            (r"a\t\n\r|b", b"a\t\n\r|b"),
            (r"\x414|", b"\x14|"),
            (r"\x41\x42", b"AB"),
            (r"a\1zb", b"a\x01zb"),
            (r"a\", b"a\\"),
            (r"\x|y", b"|y"),
            (r"a\xgh", b"agh"),
        ] {
            assert_eq!(unescape(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_zero_byte_can_be_a_delimiter() {
        assert_eq!(delimiter('D', r"\0").unwrap(), b"\0");
        assert!(delimiter('D', "").is_err());
    }
}
