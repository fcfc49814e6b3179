//! Times in RFC 3339, to and from milliseconds since 1970. UTC only out, any offset in.
//!
//! Source: Howard Hinnant, "chrono-compatible low-level date algorithms", for the calendar.

use crate::quantity::parse_duration;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY_MS: i64 = 86_400_000;
/// Years that RFC 3339 can write.
const YEAR_MAX: i64 = 9999;

/// `2026-01-31T12:34:56.789Z`; `None` for a time that RFC 3339 cannot write.
pub fn format(millis: i64) -> Option<String> {
    let days = millis.div_euclid(DAY_MS);
    let in_day = millis.rem_euclid(DAY_MS);
    // Days since 0000-03-01, in eras of 400 years.
    let shifted = days.checked_add(719_468)?;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if !(0..=YEAR_MAX).contains(&year) {
        return None;
    }
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    ))
}

/// A record's timestamp as `format` writes it; `None` below zero, where a record has none.
pub fn of_record(millis: i64) -> Option<String> {
    Some(millis).filter(|ms| *ms >= 0).and_then(format)
}

/// Reads `2026-01-31`, `2026-01-31T12:34:56`, with fraction and with `Z` or an offset; without one
/// it is UTC.
pub fn parse(text: &str) -> Option<i64> {
    let (date, rest) = match text.split_once(['T', 't', ' ']) {
        Some((date, rest)) => (date, Some(rest)),
        None => (text, None),
    };
    let days = parse_date(date)?;
    let in_day = rest.map_or(Some(0), parse_time)?;
    days.checked_mul(DAY_MS)?.checked_add(in_day)
}

/// The time that `@MILLISECONDS`, a time as `parse` reads it, or an age before `now_ms` means.
pub fn moment(text: &str, now_ms: i64) -> Option<i64> {
    if let Some(millis) = text.strip_prefix('@') {
        return millis.parse::<i64>().ok().filter(|ms| *ms >= 0);
    }
    if let Some(millis) = parse(text) {
        return Some(millis);
    }
    let age = parse_duration(text).ok()?;
    let age_ms = i64::try_from(age.as_millis()).ok()?;
    Some(now_ms.saturating_sub(age_ms).max(0))
}

/// Milliseconds since 1970, by the system's clock.
pub fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn number(text: &str, digits: usize, max: i64) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    is_number
        .then(|| text.parse().ok())
        .flatten()
        .filter(|n| *n <= max)
}

/// Days since 1970-01-01.
fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let year = number(parts.next()?, 4, YEAR_MAX)?;
    let month = number(parts.next()?, 2, 12).filter(|month| *month > 0)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = number(parts.next()?, 2, length).filter(|day| *day > 0)?;
    if parts.next().is_some() {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    Some(era * 146_097 + of_era - 719_468)
}

/// Milliseconds since midnight UTC, which an offset can make negative.
fn parse_time(text: &str) -> Option<i64> {
    let zone = text.find(['Z', 'z', '+', '-']).unwrap_or(text.len());
    let (time, zone) = text.split_at_checked(zone)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = time.split(':');
    let hour = number(parts.next()?, 2, 23)?;
    let minute = number(parts.next()?, 2, 59)?;
    let second = parts.next().map_or(Some(0), |text| number(text, 2, 60))?;
    if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut padded = fraction.to_owned();
    padded.push_str("000");
    let milli: i64 = padded.get(..3)?.parse().ok()?;
    let offset = match zone.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => 0,
        Some((sign @ ("+" | "-"), rest)) => {
            let (hours, minutes) = rest.split_once(':')?;
            let minutes = number(hours, 2, 23)? * 60 + number(minutes, 2, 59)?;
            if sign == "+" { minutes } else { -minutes }
        }
        Some(_) => return None,
    };
    Some(((hour * 60 + minute - offset) * 60 + second) * 1000 + milli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_date_writes_them() {
        // From GNU date -u -d @SECONDS.
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_772_323_199_999, "2026-02-28T23:59:59.999Z"),
            (1_772_323_200_000, "2026-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(format(millis).as_deref(), Some(text));
            assert_eq!(parse(text), Some(millis), "{text}");
        }
        for millis in [253_402_300_800_000, i64::MAX, i64::MIN] {
            assert_eq!(format(millis), None);
        }
    }

    #[test]
    fn offsets_and_short_forms_are_read() {
        for (text, millis) in [
            ("2026-03-01", Some(1_772_323_200_000)),
            ("2026-03-01T00:00", Some(1_772_323_200_000)),
            ("2026-03-01 01:00:00+01:00", Some(1_772_323_200_000)),
            ("2026-02-28T23:30:00.5-00:30", Some(1_772_323_200_500)),
            ("2026-03-01T00:00:00.123456Z", Some(1_772_323_200_123)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-01-01T24:00", None),
            ("2026-01-01Tx", None),
            ("2026-01-01T00:00:00+1", None),
            ("26-01-01", None),
            ("", None),
            ("2026-01-01T00:00:00\u{e4}", None),
        ] {
            assert_eq!(parse(text), millis, "{text}");
        }
    }
}
