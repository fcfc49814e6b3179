//! Reads files in the form of Java's properties, which `server.properties` has.
//!
//! Keeps: comments (`#`, `!`), the separators `=`, `:` and white space, continued lines and
//! escapes mean what `java.util.Properties.load` makes of them.

use crate::error::ConfigError;
use crate::sources::Origin;
use crate::toml_file::Entry;
use std::sync::Arc;

/// The keys and values of a file in the form of Java's properties, in its order, none checked.
///
/// Errors: `Syntax` for a broken escape, with its line.
pub fn read_properties(path: &str, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let entries = read(path, text)?;
    Ok(entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect())
}

/// The settings of a file, in its order.
pub(crate) fn read(path: &str, text: &str) -> Result<Vec<Entry>, ConfigError> {
    let path: Arc<str> = path.into();
    let mut entries = Vec::new();
    let mut lines = text.split_inclusive('\n').enumerate();
    while let Some((number, line)) = lines.next() {
        let mut line = strip(line).to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while is_continued(&line) {
            line.pop();
            match lines.next() {
                Some((_, next)) => line.push_str(strip(next)),
                None => break,
            }
        }
        let origin = Origin::File {
            path: path.clone(),
            line: number + 1,
        };
        let (key, value) = split(&line);
        let unescaped = |part: &str| {
            unescape(part).ok_or_else(|| ConfigError::Syntax {
                origin: origin.clone(),
                message: "a \\u escape needs four hexadecimal digits".to_owned(),
            })
        };
        entries.push(Entry {
            key: unescaped(key)?,
            value: unescaped(value)?,
            origin,
        });
    }
    Ok(entries)
}

fn strip(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
        .trim_start_matches([' ', '\t', '\x0c'])
}

fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// Parts key and value at the first separator that is not escaped.
fn split(line: &str) -> (&str, &str) {
    const BLANK: [char; 3] = [' ', '\t', '\x0c'];
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, letter)| {
            let ends = !escaped && (BLANK.contains(letter) || matches!(letter, '=' | ':'));
            escaped = !escaped && *letter == '\\';
            ends
        })
        .map_or(line.len(), |(end, _)| end);
    let (key, rest) = line.split_at_checked(end).unwrap_or((line, ""));
    let rest = rest.trim_start_matches(BLANK);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(BLANK))
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                let is_hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| is_hex)?;
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\x0c'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The expected pairs are what `java.util.Properties.load` documents.
    #[test]
    fn lines_mean_what_java_makes_of_them() {
        let text = "# comment\n! another\n\n  a.b = 1 \nc:2\nd 3\ne=\\\n   4,\\\n  5\nf\\=g=\\u0041\\tx\r\nh\ni=a\\\\\nj==k\n";
        let read: Vec<(String, String, usize)> = read("server.properties", text)
            .unwrap()
            .into_iter()
            .map(|entry| match entry.origin {
                Origin::File { line, .. } => (entry.key, entry.value, line),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected: Vec<(String, String, usize)> = [
            ("a.b", "1 ", 4),
            ("c", "2", 5),
            ("d", "3", 6),
            ("e", "4,5", 7),
            ("f=g", "A\tx", 10),
            ("h", "", 11),
            ("i", "a\\", 12),
            ("j", "=k", 13),
        ]
        .map(|(key, value, line)| (key.to_owned(), value.to_owned(), line))
        .into();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_broken_escape_names_its_line() {
        let error = read("x.properties", "a=1\nb=\\u12g4").unwrap_err();
        assert_eq!(
            error.to_string(),
            "x.properties:2: a \\u escape needs four hexadecimal digits"
        );
    }

    proptest! {
        #[test]
        fn no_text_upsets_the_reader(text in "[\\\\ua-c=:# \t\r\n\\PC]{0,64}") {
            let _ = read("x.properties", &text);
        }
    }
}
