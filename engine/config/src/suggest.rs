//! The nearest name to one that does not exist.

/// The name nearest to `key`, if one is near enough to be what was meant.
///
/// Near enough is a third of its length in inserted, deleted, replaced or swapped letters.
pub fn nearest(key: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // A key can be as long as a file; only the part that can be near any name is compared.
    const LENGTH_MAX: usize = 128;
    let key: Vec<char> = key
        .chars()
        .take(LENGTH_MAX)
        .flat_map(char::to_lowercase)
        .collect();
    let limit = (key.len() / 3).max(1);
    names
        .map(|name| (distance(&key, &name.chars().collect::<Vec<_>>()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Optimal string alignment: the edits that turn `a` into `b`, each letter edited once.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            let at =
                |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&above, j) + usize::from(letter != other))
                .min(at(&above, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && a.get(i - 1) == Some(other) && b.get(j - 1) == Some(letter);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = core::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let names = || ["retention.ms", "retention.bytes", "segment.ms"].into_iter();
        assert_eq!(nearest("retenton.ms", names()), Some("retention.ms"));
        assert_eq!(nearest("RETENTION.MS", names()), Some("retention.ms"));
        assert_eq!(nearest("retentoin.byts", names()), Some("retention.bytes"));
        assert_eq!(nearest("compression", names()), None);
        assert_eq!(nearest("", names()), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), names()), None);
    }

    #[test]
    fn distances_are_those_of_optimal_string_alignment() {
        let of = |a: &str, b: &str| {
            distance(
                &a.chars().collect::<Vec<_>>(),
                &b.chars().collect::<Vec<_>>(),
            )
        };
        for (a, b, edits) in [
            ("", "", 0),
            ("a", "", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("ca", "abc", 3),
        ] {
            assert_eq!(of(a, b), edits, "{a} {b}");
        }
    }
}
