//! Turns the pieces of answers into few vectored sends.
//!
//! Keeps: the bytes and their order; at most `PIECES_MAX` pieces a send; neighbouring pieces under
//! `COPY_BYTES_MAX` are copied together, larger ones never copied.

use bytes::{Bytes, BytesMut};

/// Pieces one vectored send may have.
pub const PIECES_MAX: usize = 256;

/// Below this a copy costs less than another piece of the vector.
const COPY_BYTES_MAX: usize = 4096;
/// A run of copied pieces is cut here, so that no copy buffer grows large.
const RUN_BYTES_MAX: usize = 64 << 10;

/// Packs pieces into sends of at most `PIECES_MAX` pieces each, with no empty piece in them.
pub fn pack(pieces: impl IntoIterator<Item = Bytes>) -> Vec<Vec<Bytes>> {
    let mut sends = Vec::new();
    let mut send: Vec<Bytes> = Vec::new();
    let mut run: Vec<Bytes> = Vec::new();
    let mut run_bytes = 0_usize;
    for piece in pieces {
        if piece.is_empty() {
            continue;
        }
        if piece.len() >= COPY_BYTES_MAX || run_bytes.saturating_add(piece.len()) > RUN_BYTES_MAX {
            end_run(&mut run, &mut run_bytes, &mut send, &mut sends);
        }
        if piece.len() >= COPY_BYTES_MAX {
            push(piece, &mut send, &mut sends);
        } else {
            run_bytes = run_bytes.saturating_add(piece.len());
            run.push(piece);
        }
    }
    end_run(&mut run, &mut run_bytes, &mut send, &mut sends);
    if !send.is_empty() {
        sends.push(send);
    }
    sends
}

fn end_run(
    run: &mut Vec<Bytes>,
    run_bytes: &mut usize,
    send: &mut Vec<Bytes>,
    sends: &mut Vec<Vec<Bytes>>,
) {
    let bytes = core::mem::take(run_bytes);
    if run.len() > 1 {
        let mut copy = BytesMut::with_capacity(bytes);
        run.drain(..)
            .for_each(|piece| copy.extend_from_slice(&piece));
        push(copy.freeze(), send, sends);
    } else if let Some(piece) = run.pop() {
        push(piece, send, sends);
    }
}

fn push(piece: Bytes, send: &mut Vec<Bytes>, sends: &mut Vec<Vec<Bytes>>) {
    if send.len() == PIECES_MAX {
        sends.push(core::mem::take(send));
    }
    send.push(piece);
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
