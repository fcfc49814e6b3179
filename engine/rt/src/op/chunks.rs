//! A list of ref-counted slices of which a first part may already be through.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

/// What is left to send or write; no chunk in it is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunks {
    list: VecDeque<Bytes>,
    bytes: usize,
}

impl Chunks {
    pub(crate) fn new(list: Vec<Bytes>) -> Self {
        let mut list = VecDeque::from(list);
        list.retain(|chunk| !chunk.is_empty());
        let bytes = list.iter().map(Bytes::len).fold(0, usize::saturating_add);
        Self { list, bytes }
    }

    /// Bytes left.
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The chunks left, the first of them without what is through.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.list.iter()
    }

    /// Takes note that the next `count` bytes are through and lets go of their chunks.
    pub(crate) fn advance(&mut self, count: usize) {
        let mut left = count.min(self.bytes);
        self.bytes = self.bytes.saturating_sub(left);
        while let Some(first) = self.list.front_mut() {
            if let Some(rest) = left.checked_sub(first.len()) {
                left = rest;
                self.list.pop_front();
            } else {
                first.advance(left);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_left_is_the_tail_however_it_was_cut(
            lists in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5), 0..6),
            cuts in proptest::collection::vec(0_usize..7, 0..12),
        ) {
            let flat = lists.concat();
            let mut chunks = Chunks::new(lists.into_iter().map(Bytes::from).collect());
            let mut at = 0;
            for cut in cuts {
                chunks.advance(cut);
                at = (at + cut).min(flat.len());
                prop_assert_eq!(chunks.len(), flat.len() - at);
                prop_assert_eq!(chunks.iter().flatten().copied().collect::<Vec<_>>(), &flat[at..]);
                prop_assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
            }
        }
    }
}
