//! The record batches of a message, which it carries and does not look into.

use bytes::{Bytes, BytesMut};

/// Record batches as one run of bytes, in pieces that are never copied.
///
/// Decoding gives one slice of the frame, which stays alive as long as the slice does; encoding
/// hands the pieces on to the socket. Equal when their bytes are, however they are cut.
#[derive(Clone, Debug, Default)]
pub struct Records {
    chunks: Vec<Bytes>,
}

impl Records {
    /// No bytes.
    pub const EMPTY: Self = Self { chunks: Vec::new() };

    /// The pieces, none of them empty.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The pieces, none of them empty.
    pub fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// Length in bytes.
    pub fn size(&self) -> usize {
        // Lengths of slices that are all in memory at once cannot overflow.
        self.chunks
            .iter()
            .fold(0, |sum, chunk| sum.saturating_add(chunk.len()))
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// All of it as one slice; copies only where there is more than one piece.
    pub fn into_bytes(mut self) -> Bytes {
        if self.chunks.len() <= 1 {
            return self.chunks.pop().unwrap_or_default();
        }
        let mut joined = BytesMut::with_capacity(self.size());
        for chunk in &self.chunks {
            joined.extend_from_slice(chunk);
        }
        joined.freeze()
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self::from(vec![bytes])
    }
}

impl From<Vec<Bytes>> for Records {
    fn from(mut chunks: Vec<Bytes>) -> Self {
        chunks.retain(|chunk| !chunk.is_empty());
        Self { chunks }
    }
}

impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |records: &Self| records.chunks.clone().into_iter().flatten();
        self.size() == other.size() && bytes(self).eq(bytes(other))
    }
}

impl Eq for Records {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cuts_between_pieces_do_not_matter() {
        let whole = Records::from(Bytes::from_static(b"abcdef"));
        let cut = Records::from(vec![
            Bytes::from_static(b"ab"),
            Bytes::new(),
            Bytes::from_static(b"cdef"),
        ]);
        assert_eq!(whole, cut);
        assert_eq!(cut.chunks().len(), 2);
        assert_eq!(cut.size(), 6);
        assert_eq!(cut.into_bytes(), Bytes::from_static(b"abcdef"));
        assert_ne!(whole, Records::from(Bytes::from_static(b"abcdeg")));
        assert!(Records::from(Bytes::new()).is_empty());
    }
}
