//! Durations as people write them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
