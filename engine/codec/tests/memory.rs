//! What hostile bytes make this crate allocate: no more than they or the caller's bound justify.
//!
//! One test alone in its process, for the count is of the whole process. zstd allocates behind the
//! counter's back; its own unit tests ask it for the size of its context.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

#[path = "cases/wrap.rs"]
mod wrap;

use bytes::Bytes;
use engine_codec::{Batch, Compression, DeepLimits, compress, decompress, validate_deep};
use peak_alloc::PeakAlloc;
use twox_hash::XxHash32;
use wrap::wrap;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Decoder state and one chunk: gzip's window and tables are the largest.
const FIXED: usize = 300 << 10;
const OUTPUT_MAX: usize = 1 << 20;

/// The most that was allocated above the start while `work` ran.
fn peak_of(work: impl FnOnce()) -> usize {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    work();
    ALLOCATED.peak_usage().saturating_sub(before)
}

/// The start of an LZ4 frame, its checksum right.
fn lz4_header(flags: u8, block_descriptor: u8, content_size: &[u8]) -> Vec<u8> {
    let descriptor = [&[flags, block_descriptor], content_size].concat();
    let [_, checksum, ..] = XxHash32::oneshot(0, &descriptor).to_le_bytes();
    [&[0x04, 0x22, 0x4d, 0x18], &descriptor[..], &[checksum]].concat()
}

fn ask(batch: &Batch, records_max: usize) {
    let _ = validate_deep(batch, &DeepLimits::new(OUTPUT_MAX));
    assert!(batch.records(OUTPUT_MAX).take(records_max).count() <= records_max);
}

#[test]
fn hostile_bytes_allocate_no_more_than_they_justify() {
    let counted = peak_of(|| drop(Bytes::from(vec![1; OUTPUT_MAX])));
    assert!(counted >= OUTPUT_MAX, "the counter counts");
    // Claims: sizes and counts near 2^31 in a few bytes.
    let mut lz4_claim = lz4_header(0x48, 0x70, &i64::MAX.to_le_bytes());
    lz4_claim.extend_from_slice(&[5, 0, 0, 0, 0x10, b'a', 1, 0, 0]);
    let claims: [&[u8]; 6] = [
        // A record of 2^31-1 bytes; a key of that size; as many headers.
        &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0],
        &[24, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0],
        &[24, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0],
        // Bare snappy of 2^32-1 bytes.
        &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0],
        // An LZ4 frame of linked blocks of 4 MiB with a content size of 2^63, and a block.
        &lz4_claim,
        // A zstd frame of one segment of 2^63 bytes, and a block.
        &[
            0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x09,
            0x00, 0x00, b'a',
        ],
    ];
    for payload in claims {
        for compression in Compression::ALL {
            for record_count in [1, i32::MAX] {
                let batch = wrap(compression, record_count, payload);
                let peak = peak_of(|| ask(&batch, 10));
                assert!(peak < FIXED, "{compression} {payload:02x?}: {peak}");
                let compressed = compress(compression, None, payload).unwrap();
                let batch = wrap(compression, record_count, &compressed);
                let peak = peak_of(|| ask(&batch, 10));
                assert!(peak < FIXED, "inside {compression} {payload:02x?}: {peak}");
            }
        }
    }
    // Every byte of an LZ4 block header and descriptor, whatever it asks for.
    for descriptor in 0..=u8::MAX {
        for flags in [0x40, 0x60, 0x48] {
            let content_size: &[u8] = if flags == 0x48 { &[0xff; 8] } else { &[] };
            let mut frame = lz4_header(flags, descriptor, content_size);
            frame.extend_from_slice(&[9, 0, 0, 0, 0x1f, b'a', 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff]);
            let input = Bytes::from(frame);
            let peak = peak_of(|| {
                assert!(decompress(Compression::Lz4, &input, usize::MAX).is_err());
            });
            assert!(peak < 8192, "{flags:02x} {descriptor:02x}: {peak}");
        }
    }
    // Bombs: walked record by record they take a chunk; whole, about twice the bound at most, for
    // a buffer that grows moves.
    let smallest = [12, 0, 0, 0, 1, 1, 0].repeat(2 << 20);
    for compression in Compression::ALL {
        if compression == Compression::None {
            continue;
        }
        let payload = compress(compression, None, &smallest).unwrap();
        let batch = wrap(compression, i32::MAX, &payload);
        let peak = peak_of(|| ask(&batch, usize::MAX));
        assert!(peak < 2 * FIXED, "{compression} by record: {peak}");
        let peak = peak_of(|| {
            assert!(decompress(compression, &payload, OUTPUT_MAX).is_err());
        });
        assert!(peak < 3 * OUTPUT_MAX + FIXED, "{compression} whole: {peak}");
    }
}
