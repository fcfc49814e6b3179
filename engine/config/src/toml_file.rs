//! Reads settings files in TOML.
//!
//! Kafka's keys stand in quotes (`"log.retention.ms" = 1`). Bare dotted keys make tables, and as
//! some of Kafka's names are the start of others they can collide; where they do not, they are
//! read as the same key. Source: <https://toml.io/en/v1.0.0>.

use crate::error::{ConfigError, InvalidValue};
use crate::sources::Origin;
use core::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// One setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

/// The settings of a file, in its order.
pub(crate) fn read(path: &str, text: &str) -> Result<Vec<Entry>, ConfigError> {
    let places = Places {
        path: path.into(),
        text,
    };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        origin: places.origin(error.span().unwrap_or(0..0)),
        message: format!("{}; keys with dots stand in quotes", error.message()),
    })?;
    let mut entries = Vec::new();
    flatten("", table.get_ref(), &places, &mut entries)?;
    // A key may stand in both forms; as elsewhere, the later one counts.
    entries.sort_by_key(|(place, _)| *place);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

struct Places<'a> {
    path: Arc<str>,
    text: &'a str,
}

impl Places<'_> {
    fn origin(&self, span: Range<usize>) -> Origin {
        let before = self.text.as_bytes().iter().take(span.start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        Origin::File {
            path: self.path.clone(),
            line,
        }
    }
}

/// The parser bounds how deep tables nest, so this does not run away.
fn flatten(
    prefix: &str,
    table: &DeTable<'_>,
    places: &Places<'_>,
    entries: &mut Vec<(usize, Entry)>,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = match prefix {
            "" => key.get_ref().to_string(),
            _ => format!("{prefix}.{}", key.get_ref()),
        };
        if let DeValue::Table(inner) = value.get_ref() {
            flatten(&name, inner, places, entries)?;
            continue;
        }
        let origin = places.origin(key.span());
        let text = scalar(value.get_ref()).ok_or_else(|| ConfigError::Syntax {
            origin: origin.clone(),
            message: format!("{name}: {}", InvalidValue::NotASettingsValue),
        })?;
        let entry = Entry {
            key: name,
            value: text,
            origin,
        };
        entries.push((key.span().start, entry));
    }
    Ok(())
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // Other radixes than ten are TOML's; Kafka has none.
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            let value = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            Some(value.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::Array(_) => None,
                    other => scalar(other),
                })
                .collect();
            Some(texts?.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String, String)> {
        read("x.toml", text)
            .unwrap()
            .into_iter()
            .map(|entry| (entry.key, entry.value, entry.origin.to_string()))
            .collect()
    }

    fn row(key: &str, value: &str, line: usize) -> (String, String, String) {
        (key.to_owned(), value.to_owned(), format!("x.toml:{line}"))
    }

    #[test]
    fn quoted_and_bare_keys_name_the_same_settings() {
        let text = "\"log.retention.ms\" = 1_000\nshards = 0x10\nlog.segment.bytes = \"1MiB\"\n[min]\ninsync.replicas = 2\n";
        assert_eq!(
            pairs(text),
            [
                row("log.retention.ms", "1000", 1),
                row("shards", "16", 2),
                row("log.segment.bytes", "1MiB", 3),
                row("min.insync.replicas", "2", 5),
            ]
        );
    }

    #[test]
    fn lists_booleans_and_floats_become_texts() {
        assert_eq!(
            pairs("a = [\"x\", \"y\"]\nb = true\nc = 0.5\nd = []\n"),
            [
                row("a", "x,y", 1),
                row("b", "true", 2),
                row("c", "0.5", 3),
                row("d", "", 4)
            ]
        );
    }

    #[test]
    fn what_is_no_toml_or_no_value_names_its_line() {
        for (text, start) in [
            ("a = 1\nb = \n", "x.toml:2: "),
            ("a = 1\na = 2\n", "x.toml:2: "),
            ("a.b = 1\na = 2\n", "x.toml:2: "),
            ("\n\nx = 1979-05-27\n", "x.toml:3: x: "),
            ("x = [[1]]\n", "x.toml:1: x: "),
        ] {
            let error = read("x.toml", text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_the_reader(text in "[\\[\\]{}\"'=.,#a-c0-9 \n\\PC]{0,64}") {
            let _ = read("x.toml", &text);
        }
    }
}
