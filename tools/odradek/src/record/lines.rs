//! Lines of input become records.

use crate::failure::{Failure, Kind};
use bytes::Bytes;
use std::io::{BufRead, Read};

/// The longest line, in bytes: no setting lets a broker take a larger batch.
const LINE_BYTES_MAX: usize = engine_model::limits::BATCH_BYTES_MAX;

/// Reads lines, which may hold any bytes but a line feed. The last one needs none.
pub struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`.
    pub const fn new(input: R) -> Self {
        Self { input, number: 0 }
    }

    /// Where they come from.
    pub const fn input(&self) -> &R {
        &self.input
    }

    /// The number of the line last read, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its line feed; `None` at the end.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        // One more for the line feed and one to see that a line is too long.
        let limit = u64::try_from(LINE_BYTES_MAX)
            .unwrap_or(u64::MAX)
            .saturating_add(2);
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut line);
        let read = read.map_err(|error| {
            Failure::new(Kind::Failed, format!("cannot read the input: {error}"))
        })?;
        if read == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.len() > LINE_BYTES_MAX {
            let what = format!("line {} is longer than {LINE_BYTES_MAX} bytes", self.number);
            return Err(Failure::new(Kind::Failed, what));
        }
        Ok(Some(line))
    }
}

/// Cuts a line at the first `separator`; `None` when there is none in it.
pub fn split(line: Vec<u8>, separator: &[u8]) -> Option<(Bytes, Bytes)> {
    let place = line
        .windows(separator.len())
        .position(|window| window == separator)?;
    let line = Bytes::from(line);
    let value = line.slice(place.saturating_add(separator.len())..);
    Some((line.slice(..place), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_bytes_and_the_last_needs_no_line_feed() {
        let input = &b"a\r\n\n\xff\0b\nlast"[..];
        let mut lines = Lines::new(input);
        let mut read = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            read.push(line);
        }
        assert_eq!(read, [&b"a\r"[..], b"", b"\xff\0b", b"last"]);
        assert_eq!(lines.number(), 4);
    }

    #[test]
    fn a_line_too_long_is_refused_with_its_number() {
        let mut input = b"ok\n".to_vec();
        input.extend(std::iter::repeat_n(b'x', LINE_BYTES_MAX + 1));
        let mut lines = Lines::new(&input[..]);
        assert!(lines.next_line().unwrap().is_some());
        assert!(lines.next_line().is_err());
        assert_eq!(lines.number(), 2);
        let mut just = vec![b'x'; LINE_BYTES_MAX];
        just.push(b'\n');
        let length = Lines::new(&just[..])
            .next_line()
            .unwrap()
            .map(|line| line.len());
        assert_eq!(length, Some(LINE_BYTES_MAX));
    }

    #[test]
    fn a_line_is_cut_at_the_first_separator() {
        for (line, separator, parts) in [
            ("a:b", ":", Some(("a", "b"))),
            ("a:b:c", ":", Some(("a", "b:c"))),
            (":b", ":", Some(("", "b"))),
            ("a:", ":", Some(("a", ""))),
            ("a::b", "::", Some(("a", "b"))),
            ("ab", ":", None),
            ("", ":", None),
            ("a", "::", None),
        ] {
            let found = split(line.into(), separator.as_bytes());
            let wanted = parts.map(|(k, v)| (Bytes::from(k), Bytes::from(v)));
            assert_eq!(found, wanted, "{line} at {separator}");
        }
    }
}
