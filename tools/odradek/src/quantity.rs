//! Durations, sizes and rates as people write them.

use std::time::Duration;

/// Reads `250ms`, `10s`, `2m`, `1h`, `7d`, or Kafka's bare milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let millis: u64 = match unit {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!(
                "unknown unit {unit:?}; write 250ms, 10s, 2m, 1h or 7d"
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "write a number with a unit, as 250ms, 10s or 2m".to_owned())?;
    let millis = number
        .checked_mul(millis)
        .filter(|millis| *millis <= u64::from(u32::MAX) * 1_000)
        .ok_or("that is too long")?;
    Ok(Duration::from_millis(millis))
}

/// Units of sizes; `B` is the end of all others and comes last.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Reads `16KiB`, `1MB`, `100B`, or Kafka's bare bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = SIZE_UNITS
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
        .unwrap_or((text, 1));
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| number.parse::<u64>().ok()?.checked_mul(unit))
        .flatten()
        .ok_or_else(|| "write a number of bytes, as 100, 16KiB or 1MB".to_owned())
}

/// So much a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// Things, whatever they are.
    Count(u64),
    /// Bytes.
    Bytes(u64),
}

/// Reads `1000/s` or `50MB/s`.
pub fn parse_speed(text: &str) -> Result<Speed, String> {
    let wrong = || "write records or bytes a second, as 1000/s or 50MB/s".to_owned();
    let amount = text.strip_suffix("/s").ok_or_else(wrong)?;
    let number = parse_size(amount).map_err(|_| wrong())?;
    match number {
        0 => Err("a rate of nothing takes for ever".to_owned()),
        _ if amount.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Speed::Count(number)),
        _ => Ok(Speed::Bytes(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("100B", Some(100)),
            ("16KiB", Some(16_384)),
            ("1MB", Some(1_000_000)),
            ("2GiB", Some(2_147_483_648)),
            ("1kB", Some(1_000)),
            ("", None),
            ("KiB", None),
            ("-1", None),
            ("+1", None),
            ("1.5MiB", None),
            ("1 KiB", None),
            ("1M", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(parse_size(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn rates_are_of_things_or_of_bytes() {
        for (text, speed) in [
            ("1000/s", Some(Speed::Count(1000))),
            ("50MB/s", Some(Speed::Bytes(50_000_000))),
            ("5B/s", Some(Speed::Bytes(5))),
            ("0/s", None),
            ("1000", None),
            ("/s", None),
            ("x/s", None),
        ] {
            assert_eq!(parse_speed(text).ok(), speed, "{text}");
        }
    }

    #[test]
    fn durations_have_units_or_are_milliseconds() {
        for (text, millis) in [
            ("250ms", Some(250)),
            ("250", Some(250)),
            ("10s", Some(10_000)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("7d", Some(604_800_000)),
            ("0", Some(0)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("1w", None),
            ("99999999999999999999", None),
            ("18446744073709551615d", None),
            ("1\u{e4}", None),
        ] {
            let found = parse_duration(text).ok().map(|d| d.as_millis());
            assert_eq!(found, millis, "{text}");
        }
    }
}
