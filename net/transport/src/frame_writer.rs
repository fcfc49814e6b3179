//! Turns the pieces of answers into few vectored sends.
//!
//! Keeps: the bytes and their order; at most `PIECES_MAX` pieces and about `SEND_BYTES_MAX` bytes a
//! send; neighbouring pieces under `COPY_BYTES_MAX` are copied together, larger ones never copied.

use bytes::{Bytes, BytesMut};

/// Pieces one vectored send may have.
pub const PIECES_MAX: usize = 256;

/// A send ends here, and a larger piece is cut: a send is seen to have gone out when all of it has,
/// and whether a slow client reads at all must show.
const SEND_BYTES_MAX: usize = 2 << 20;

/// Below this a copy costs less than another piece of the vector.
const COPY_BYTES_MAX: usize = 4096;
/// A run of copied pieces is cut here, so that no copy buffer grows large.
const RUN_BYTES_MAX: usize = 64 << 10;

/// Packs pieces into sends of at most `PIECES_MAX` pieces each, with no empty piece in them.
pub fn pack(pieces: impl IntoIterator<Item = Bytes>) -> Vec<Vec<Bytes>> {
    let mut packer = Packer::default();
    for piece in pieces {
        packer.add(piece);
    }
    packer.finish()
}

#[derive(Default)]
struct Packer {
    sends: Vec<Vec<Bytes>>,
    send: Vec<Bytes>,
    send_bytes: usize,
    /// Small pieces to be copied together.
    run: Vec<Bytes>,
    run_bytes: usize,
}

impl Packer {
    fn add(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let is_large = piece.len() >= COPY_BYTES_MAX;
        if is_large || self.run_bytes.saturating_add(piece.len()) > RUN_BYTES_MAX {
            self.end_run();
        }
        if is_large {
            self.push(piece);
        } else {
            self.run_bytes = self.run_bytes.saturating_add(piece.len());
            self.run.push(piece);
        }
    }

    fn end_run(&mut self) {
        let bytes = core::mem::take(&mut self.run_bytes);
        if self.run.len() > 1 {
            let mut copy = BytesMut::with_capacity(bytes);
            self.run
                .drain(..)
                .for_each(|piece| copy.extend_from_slice(&piece));
            self.push(copy.freeze());
        } else if let Some(piece) = self.run.pop() {
            self.push(piece);
        }
    }

    fn push(&mut self, mut piece: Bytes) {
        loop {
            let sum = self.send_bytes.saturating_add(piece.len());
            // A remainder is not worth a send of its own.
            let fits = sum <= SEND_BYTES_MAX + SEND_BYTES_MAX / 2;
            if fits && self.send.len() < PIECES_MAX {
                self.send_bytes = sum;
                self.send.push(piece);
                return;
            }
            let room = SEND_BYTES_MAX.saturating_sub(self.send_bytes);
            if room > 0 && self.send.len() < PIECES_MAX {
                self.send.push(piece.split_to(room));
            }
            self.sends.push(core::mem::take(&mut self.send));
            self.send_bytes = 0;
        }
    }

    fn finish(mut self) -> Vec<Vec<Bytes>> {
        self.end_run();
        if !self.send.is_empty() {
            self.sends.push(self.send);
        }
        self.sends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_pieces_are_not_copied() {
        let large = Bytes::from(vec![7; COPY_BYTES_MAX]);
        let sends = pack([
            Bytes::from_static(b"ab"),
            large.clone(),
            Bytes::new(),
            large.clone(),
        ]);
        assert_eq!(sends.len(), 1);
        assert_eq!(sends[0].len(), 3);
        assert_eq!(sends[0][1].as_ptr(), large.as_ptr());
        assert_eq!(sends[0][2].as_ptr(), large.as_ptr());
    }

    #[test]
    fn small_neighbours_leave_as_one_piece() {
        let sends = pack((0..1000).map(|_| Bytes::from_static(b"0123456789")));
        assert_eq!(sends, vec![vec![Bytes::from(b"0123456789".repeat(1000))]]);
    }

    #[test]
    fn large_answers_leave_in_several_sends() {
        for size in [
            SEND_BYTES_MAX,
            SEND_BYTES_MAX * 3 / 2,
            SEND_BYTES_MAX * 2,
            55 << 20,
        ] {
            let large = Bytes::from(vec![7; size]);
            let sends = pack([
                Bytes::from_static(b"head"),
                large.clone(),
                Bytes::from_static(b"tail"),
            ]);
            let most = sends
                .iter()
                .map(|send| send.iter().map(Bytes::len).sum::<usize>())
                .max();
            assert!(most.unwrap() <= SEND_BYTES_MAX * 3 / 2, "{size}");
            assert_eq!(
                sends.len() == 1,
                size + 8 <= SEND_BYTES_MAX * 3 / 2,
                "{size}"
            );
            assert_eq!(sends.concat().concat().len(), size + 8);
        }
    }

    proptest! {
        #[test]
        fn bytes_and_order_stay(sizes in proptest::collection::vec(0_usize..9000, 0..700)) {
            let pieces: Vec<Bytes> = sizes
                .iter()
                .enumerate()
                .map(|(place, size)| Bytes::from(vec![u8::try_from(place % 251).unwrap(); *size]))
                .collect();
            let sends = pack(pieces.clone());
            prop_assert!(sends.iter().all(|send| !send.is_empty() && send.len() <= PIECES_MAX));
            let sent: Vec<u8> = sends.concat().concat();
            prop_assert!(sent == pieces.concat());
        }
    }
}
