//! Integers as fractions, for figures that people read.

/// The nearest fraction; exact below 2^53, far above anything counted here.
#[allow(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "figures for people; std has no other way"
)]
pub const fn float(number: u64) -> f64 {
    number as f64
}

/// A length as a number that every sum takes.
pub fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
