//! Values of settings: read from text, written back as Kafka writes them.
//!
//! Besides Kafka's raw numbers, durations (`250ms`, `1.5h`, `7d`) and sizes (`64KiB`, `1MB`) are
//! read where the setting counts milliseconds or bytes. `Display` gives the raw number, so what
//! is stored and shown is always something Kafka's own clients can read.

use crate::error::InvalidValue;
use crate::setting::{Allowed, Kind, Setting, Unit};
use core::fmt;
use std::collections::BTreeSet;

/// A value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A boolean.
    Boolean(bool),
    /// A whole number of any width.
    Number(i64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    Text(String),
    /// Texts.
    List(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Double(value) => f.write_str(&java_double(*value)),
            Self::Text(value) => f.write_str(value),
            Self::List(values) => f.write_str(&values.join(",")),
        }
    }
}

/// The shortest digits that read back, in Java's form: always with a point, and with an exponent
/// outside of 0.001 to 10 million.
fn java_double(number: f64) -> String {
    let size = number.abs();
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        let sign = if number < 0.0 { "-" } else { "" };
        format!("{sign}Infinity")
    } else if number == 0.0 || (1e-3..1e7).contains(&size) {
        format!("{number:?}")
    } else {
        let text = format!("{number:E}");
        match text.split_once('E') {
            Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
            _ => text,
        }
    }
}

impl Setting {
    /// Reads a value of this setting.
    pub fn parse(&self, text: &str) -> Result<Value, InvalidValue> {
        let text = text.trim();
        let value = match self.kind {
            Kind::Boolean => Value::Boolean(parse_boolean(text)?),
            Kind::Short | Kind::Int | Kind::Long => Value::Number(parse_number(self, text)?),
            Kind::Double => Value::Double(
                text.parse()
                    .map_err(|_| InvalidValue::NotANumber { kind: self.kind })?,
            ),
            Kind::Text => Value::Text(text.to_owned()),
            Kind::List => Value::List(self.read_list(text)?),
        };
        self.check(&value)?;
        Ok(value)
    }

    /// What Kafka names as the value at fault: of a list the first wrong item, or all as Java writes a list.
    pub(crate) fn at_fault(&self, text: &str, reason: &InvalidValue) -> String {
        let list = || parse_list(text.trim()).unwrap_or_default();
        match reason {
            InvalidValue::NotOneOf { allowed } if self.kind == Kind::List => list()
                .into_iter()
                .find(|item| !allowed.contains(&item.as_str()))
                .unwrap_or_default(),
            InvalidValue::NotThrottledReplicas { .. } => format!("[{}]", list().join(", ")),
            _ => text.to_owned(),
        }
    }

    /// Where a list names what there is, naming it twice means nothing.
    fn read_list(&self, text: &str) -> Result<Vec<String>, InvalidValue> {
        let mut list = parse_list(text)?;
        if matches!(self.allowed, Allowed::ListOf(_)) {
            let mut seen = BTreeSet::new();
            list.retain(|item| seen.insert(item.clone()));
        }
        Ok(list)
    }

    fn check(&self, value: &Value) -> Result<(), InvalidValue> {
        match (self.allowed, value) {
            (Allowed::Range { min, .. }, Value::Number(n)) if *n < min => {
                Err(InvalidValue::TooSmall { min })
            }
            (Allowed::Range { max, .. }, Value::Number(n)) if *n > max => {
                Err(InvalidValue::TooLarge { max })
            }
            (Allowed::RangeOrMinusOne { min, max }, Value::Number(n))
                if *n != -1 && !(min..=max).contains(n) =>
            {
                Err(InvalidValue::OutsideOfRangeOrMinusOne { min, max })
            }
            (Allowed::Ratio, Value::Double(ratio)) if *ratio < 0.0 => {
                Err(InvalidValue::TooSmall { min: 0 })
            }
            (Allowed::Ratio, Value::Double(ratio)) if *ratio > 1.0 => {
                Err(InvalidValue::TooLarge { max: 1 })
            }
            // Kafka takes NaN, and then compares with it.
            (Allowed::Ratio, Value::Double(ratio)) if ratio.is_nan() => {
                Err(InvalidValue::NotANumber { kind: self.kind })
            }
            (Allowed::OneOf(allowed), Value::Text(text)) if !allowed.contains(&text.as_str()) => {
                Err(InvalidValue::NotOneOf { allowed })
            }
            (Allowed::ListOf(allowed), Value::List(list))
                if !list.iter().all(|text| allowed.contains(&text.as_str())) =>
            {
                Err(InvalidValue::NotOneOf { allowed })
            }
            (Allowed::ThrottledReplicas, Value::List(list)) if !are_throttled_replicas(list) => {
                Err(InvalidValue::NotThrottledReplicas { key: self.key })
            }
            _ => Ok(()),
        }
    }
}

fn parse_boolean(text: &str) -> Result<bool, InvalidValue> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(InvalidValue::NotABoolean)
    }
}

fn parse_list(text: &str) -> Result<Vec<String>, InvalidValue> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> = text.split(',').map(|part| part.trim().to_owned()).collect();
    if list.iter().any(String::is_empty) {
        return Err(InvalidValue::EmptyElement);
    }
    Ok(list)
}

fn parse_number(setting: &Setting, text: &str) -> Result<i64, InvalidValue> {
    let refused = InvalidValue::NotANumber { kind: setting.kind };
    let number = match text.parse::<i64>() {
        Ok(number) => Some(number),
        Err(_) => match setting.unit {
            Unit::Bytes => parse_with_suffix(text, SIZES),
            Unit::Milliseconds => parse_with_suffix(text, DURATIONS),
            Unit::None | Unit::Minutes | Unit::Hours => None,
        },
    };
    let number = number.ok_or(refused.clone())?;
    let fits = match setting.kind {
        Kind::Short => i16::try_from(number).is_ok(),
        Kind::Int => i32::try_from(number).is_ok(),
        _ => true,
    };
    if fits { Ok(number) } else { Err(refused) }
}

const SIZES: &[(&str, i64)] = &[
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

const DURATIONS: &[(&str, i64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// Reads digits, at most one point with up to nine digits behind it, and a suffix in any case.
/// What falls below the unit is refused, not rounded: `1.5ms` is no number of milliseconds.
fn parse_with_suffix(text: &str, suffixes: &[(&str, i64)]) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, suffix) = text.split_at_checked(end)?;
    let suffix = suffix.trim();
    let (_, scale) = suffixes
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(suffix))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let whole = i128::from(whole.parse::<i64>().ok()?).checked_mul(i128::from(*scale))?;
    let digits = u32::try_from(fraction.len()).ok()?;
    let divisor = i128::from(10_i64.checked_pow(digits)?);
    let parts = i128::from(fraction.parse::<i64>().ok()?).checked_mul(i128::from(*scale))?;
    if parts.checked_rem(divisor)? != 0 {
        return None;
    }
    i64::try_from(whole.checked_add(parts.checked_div(divisor)?)?).ok()
}

fn are_throttled_replicas(list: &[String]) -> bool {
    if list.iter().any(|item| item == "*") {
        return list.len() == 1;
    }
    list.iter().all(|item| {
        item.split_once(':').is_some_and(|(partition, broker)| {
            [partition, broker]
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BROKER_SETTINGS, TOPIC_SETTINGS};
    use proptest::prelude::*;

    fn topic(key: &str) -> &'static Setting {
        TOPIC_SETTINGS.iter().find(|row| row.key == key).unwrap()
    }

    /// The answers were asked of Apache Kafka 4.3.1 with CreateTopics.
    #[test]
    fn values_that_kafka_refuses_are_refused_in_its_words() {
        for (key, text, words) in [
            ("retention.ms", "abc", "Not a number of type LONG"),
            ("retention.ms", "", "Not a number of type LONG"),
            ("retention.ms", "1e3", "Not a number of type LONG"),
            (
                "retention.ms",
                "99999999999999999999",
                "Not a number of type LONG",
            ),
            ("retention.ms", "-5", "Value must be at least -1"),
            (
                "max.message.bytes",
                "2147483648",
                "Not a number of type INT",
            ),
            ("max.message.bytes", "-1", "Value must be at least 0"),
            ("min.insync.replicas", "0x1", "Not a number of type INT"),
            (
                "cleanup.policy",
                "foo",
                "String must be one of: compact, delete",
            ),
            (
                "compression.type",
                "GZIP",
                "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
            ),
            (
                "compression.gzip.level",
                "0",
                "Value must be between 1 and 9 or equal to -1",
            ),
            (
                "compression.lz4.level",
                "18",
                "Value must be no more than 17",
            ),
            (
                "min.cleanable.dirty.ratio",
                "1.5",
                "Value must be no more than 1",
            ),
            (
                "min.cleanable.dirty.ratio",
                "x",
                "Not a number of type DOUBLE",
            ),
            (
                "preallocate",
                "maybe",
                "Expected value to be either true or false",
            ),
            (
                "unclean.leader.election.enable",
                "",
                "Expected value to be either true or false",
            ),
            ("segment.bytes", "10", "Value must be at least 1048576"),
            ("cleanup.policy", "delete,", "values must not be empty"),
            (
                "leader.replication.throttled.replicas",
                "*,0:1",
                "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            ),
        ] {
            let answer = topic(key).parse(text).map_err(|error| error.to_string());
            assert_eq!(answer, Err(words.to_owned()), "{key}={text}");
        }
    }

    #[test]
    fn values_that_kafka_takes_are_taken_and_stored_in_its_form() {
        for (key, text, stored) in [
            ("retention.ms", " 5 ", "5"),
            ("retention.ms", "+5", "5"),
            ("retention.ms", "9223372036854775807", "9223372036854775807"),
            ("preallocate", " TRUE ", "true"),
            ("compression.type", " gzip ", "gzip"),
            ("cleanup.policy", " delete , compact ", "delete,compact"),
            ("cleanup.policy", "delete,delete", "delete"),
            ("cleanup.policy", "", ""),
            ("min.cleanable.dirty.ratio", "1e-1", "0.1"),
            ("min.cleanable.dirty.ratio", "1", "1.0"),
            (
                "leader.replication.throttled.replicas",
                "0:1,1:2",
                "0:1,1:2",
            ),
            ("leader.replication.throttled.replicas", "", ""),
        ] {
            let answer = topic(key).parse(text).map(|value| value.to_string());
            assert_eq!(answer, Ok(stored.to_owned()), "{key}={text}");
        }
    }

    #[test]
    fn durations_and_sizes_are_read_where_the_unit_allows_it() {
        for (key, text, number) in [
            ("retention.ms", "7d", Some(604_800_000)),
            ("retention.ms", "250ms", Some(250)),
            ("retention.ms", "1.5h", Some(5_400_000)),
            ("retention.ms", "2 min", Some(120_000)),
            ("retention.ms", "1.5ms", None),
            ("retention.ms", "1.s", None),
            ("retention.ms", ".5s", None),
            ("retention.ms", "-5s", None),
            ("retention.ms", "7KiB", None),
            ("retention.ms", "9223372036854775807d", None),
            ("segment.bytes", "1MiB", Some(1 << 20)),
            ("segment.bytes", "1.5GiB", Some(3 << 29)),
            ("segment.bytes", "2mb", Some(2_000_000)),
            ("segment.bytes", "4GiB", None),
            ("flush.messages", "7d", None),
            ("retention.bytes", "8 TiB", Some(8 << 40)),
        ] {
            let answer = topic(key).parse(text).ok();
            assert_eq!(answer, number.map(Value::Number), "{key}={text}");
        }
    }

    #[test]
    fn nothing_but_a_number_is_a_ratio() {
        for text in ["NaN", "inf", "-0.1"] {
            assert!(
                topic("min.cleanable.dirty.ratio").parse(text).is_err(),
                "{text}"
            );
        }
    }

    /// As Java 17's `Double.toString` writes them.
    #[test]
    fn floating_point_numbers_are_written_as_java_does() {
        for (number, text) in [
            (0.0, "0.0"),
            (0.5, "0.5"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1_234_567.0, "1234567.0"),
            (10_000_000.0, "1.0E7"),
            (123_456_789.5, "1.234567895E8"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Value::Double(number).to_string(), text);
        }
    }

    #[test]
    fn every_default_is_a_value_of_its_setting_and_reads_back() {
        for row in TOPIC_SETTINGS.iter().chain(BROKER_SETTINGS) {
            if let Some(default) = row.default {
                let value = row.parse(default).unwrap();
                assert_eq!(row.parse(&value.to_string()), Ok(value), "{}", row.key);
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_any_setting_and_what_is_read_reads_back(text in "\\PC{0,24}") {
            for row in TOPIC_SETTINGS.iter().chain(BROKER_SETTINGS) {
                if let Ok(value) = row.parse(&text) {
                    prop_assert_eq!(row.parse(&value.to_string()), Ok(value));
                }
            }
        }
    }
}
