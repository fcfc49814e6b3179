//! Every form of the four codecs that clients write is read; forms that nobody could read are told
//! apart; nothing grows past its bound.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "test code: a failure is the report"
)]

use bytes::{Bytes, BytesMut};
use engine_codec::{Compression, CompressionError, Decompressor, compress, decompress};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use proptest::prelude::*;
use std::io::Write;

const CODECS: [Compression; 4] = [
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];
const MAX: usize = 1 << 20;

/// Compressible and not periodic in a power of two.
fn sample(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|i| if i % 7 == 0 { (i % 253) as u8 } else { b'x' })
        .collect()
}

/// Nothing a codec could make shorter.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn all_of(compression: Compression, input: &[u8]) -> Result<Bytes, CompressionError> {
    decompress(compression, &Bytes::copy_from_slice(input), MAX)
}

fn assert_reads(compression: Compression, input: &[u8], expected: &[u8]) {
    let found = all_of(compression, input).unwrap();
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "other bytes came out");
}

fn lz4(info: FrameInfo, content: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    compress(Compression::Gzip, None, content).unwrap().to_vec()
}

fn zstd_with(content: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn sizes_around_every_block_come_back() {
    for compression in Compression::ALL {
        for bytes in [
            0, 1, 2, 1023, 1024, 1025, 32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 131_072,
            300_001,
        ] {
            for content in [sample(bytes), noise(bytes)] {
                let compressed = compress(compression, None, &content).unwrap();
                if compressed.is_empty() {
                    assert_eq!((compression, bytes), (Compression::None, 0));
                }
                assert_reads(compression, &compressed, &content);
            }
        }
    }
}

#[test]
fn the_output_may_fill_its_bound_and_no_more() {
    for compression in Compression::ALL {
        for bytes in [1, 1000, 32_768, 65_536, 100_000] {
            let content = sample(bytes);
            let compressed = compress(compression, None, &content).unwrap();
            assert!(decompress(compression, &compressed, bytes).unwrap() == content);
            assert_eq!(
                decompress(compression, &compressed, bytes - 1),
                Err(CompressionError::TooLarge {
                    compression,
                    bytes_max: bytes - 1
                }),
                "{compression} {bytes}"
            );
        }
    }
}

#[test]
fn bombs_stop_at_the_bound() {
    let zeros = vec![0; 16 << 20];
    for compression in CODECS {
        let bomb = compress(compression, None, &zeros).unwrap();
        let expected = Err(CompressionError::TooLarge {
            compression,
            bytes_max: MAX,
        });
        assert_eq!(decompress(compression, &bomb, MAX), expected);
        let mut decompressor = Decompressor::new(compression, bomb, MAX).unwrap();
        let mut total = 0;
        let error = loop {
            let mut chunk = BytesMut::new();
            match decompressor.read_into(&mut chunk) {
                Ok(true) => total += chunk.len(),
                Ok(false) => panic!("the bound was passed"),
                Err(error) => break error,
            }
            assert!(chunk.len() <= 64 << 10, "{compression}: {}", chunk.len());
        };
        assert!(total <= MAX, "{compression}: {total}");
        assert_eq!(Err(error), expected);
        let mut more = BytesMut::new();
        assert_eq!(decompressor.read_into(&mut more), Ok(false), "at its end");
    }
}

#[test]
fn a_cut_anywhere_shows() {
    let content = sample(100_000);
    for compression in CODECS {
        let compressed = compress(compression, None, &content).unwrap();
        for bytes in 0..compressed.len() {
            let found = decompress(compression, &compressed.slice(..bytes), MAX);
            if compression == Compression::Snappy && bytes > 0 {
                // Its framing has no end: a cut between blocks looks like one.
                assert!(found != Ok(Bytes::from(content.clone())));
                continue;
            }
            assert_eq!(
                found,
                Err(CompressionError::Truncated { compression }),
                "{compression} {bytes}"
            );
        }
    }
}

#[test]
fn levels_are_those_of_kafkas_settings() {
    let content = sample(5_000);
    for (compression, good, bad) in [
        (Compression::Gzip, vec![-1, 1, 9], vec![0, 10, -2]),
        (Compression::Lz4, vec![1, 9, 17], vec![0, 18, -1]),
        (
            Compression::Zstd,
            vec![-131_072, -1, 0, 1, 22],
            vec![-131_073, 23],
        ),
    ] {
        for level in good {
            let compressed = compress(compression, Some(level), &content).unwrap();
            assert_reads(compression, &compressed, &content);
        }
        for level in bad {
            assert_eq!(
                compress(compression, Some(level), &content),
                Err(CompressionError::InvalidLevel { compression, level })
            );
        }
    }
}

#[test]
fn gzip_members_follow_one_another() {
    let (a, b) = (sample(3_000), noise(70_000));
    let joined = [gzip(&a), gzip(b""), gzip(&b), gzip(b"")].concat();
    assert_reads(Compression::Gzip, &joined, &[a.clone(), b].concat());
    assert_reads(Compression::Gzip, &gzip(b""), b"");
    let compression = Compression::Gzip;
    for wrong in [
        [gzip(&a), b"garbage after the end".to_vec()].concat(),
        b"no gzip at all, but long enough".to_vec(),
    ] {
        assert!(matches!(
            all_of(compression, &wrong),
            Err(CompressionError::Corrupt { .. })
        ));
    }
    let mut wrong_checksum = gzip(&a);
    let at = wrong_checksum.len() - 8;
    wrong_checksum[at] ^= 1;
    assert!(all_of(compression, &wrong_checksum).is_err());
}

#[test]
fn snappy_is_read_bare_and_framed() {
    let content = sample(100_000);
    let bare = snap::raw::Encoder::new().compress_vec(&content).unwrap();
    assert_reads(Compression::Snappy, &bare, &content);
    let framed = compress(Compression::Snappy, None, &content).unwrap();
    assert_eq!(&framed[..8], b"\x82SNAPPY\0");
    assert_eq!(framed[8..16], [0, 0, 0, 1, 0, 0, 0, 1]);
    assert_reads(Compression::Snappy, &framed, &content);
    // What appends to a stream opens it anew.
    let twice = [&framed[..], &framed[..]].concat();
    assert_reads(
        Compression::Snappy,
        &twice,
        &[&content[..], &content[..]].concat(),
    );
    assert_reads(Compression::Snappy, &framed[..16], b"");
    // An empty block in the middle is not the end: one byte says "size 0".
    let empty_first = [&framed[..16], &[0, 0, 0, 1, 0], &framed[16..]].concat();
    assert_reads(Compression::Snappy, &empty_first, &content);
}

#[test]
fn snappy_that_lies_about_its_size_is_refused_at_once() {
    let frame = |block: &[u8]| {
        let mut bytes = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
        bytes.extend_from_slice(&(block.len() as u32).to_be_bytes());
        bytes.extend_from_slice(block);
        bytes
    };
    let huge: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x41];
    let too_long: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
    for block in [huge, too_long, &[0x10, 0x00, 0x41], &[0x80]] {
        for input in [block.to_vec(), frame(block)] {
            assert!(
                matches!(
                    all_of(Compression::Snappy, &input),
                    Err(CompressionError::Corrupt { .. })
                ),
                "{input:?}"
            );
        }
    }
    let head = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
    let after = |rest: &[u8]| [&head[..], rest].concat();
    let compression = Compression::Snappy;
    let truncated = Err(CompressionError::Truncated { compression });
    assert_eq!(all_of(compression, &after(&[0, 0, 0])), truncated);
    assert_eq!(all_of(compression, &after(&[0, 0, 0, 9, 1])), truncated);
    assert_eq!(
        all_of(compression, &after(&[0x7f, 0xff, 0xff, 0xff])),
        truncated
    );
    for size in [[0xff; 4], [0x80, 0, 0, 0], *b"\x82SNA"] {
        assert!(all_of(compression, &after(&[&size[..], b"xxxxxxxxxxxx"].concat())).is_err());
    }
    let newer = b"\x82SNAPPY\0\0\0\0\x02\0\0\0\x02";
    assert!(all_of(compression, newer).is_err());
}

#[test]
fn lz4_frames_of_every_kind_are_read() {
    let content = sample(700_000);
    for block_size in [
        BlockSize::Max64KB,
        BlockSize::Max256KB,
        BlockSize::Max1MB,
        BlockSize::Max4MB,
    ] {
        for block_mode in [BlockMode::Independent, BlockMode::Linked] {
            for checksums in [false, true] {
                for size in [None, Some(content.len() as u64)] {
                    let info = FrameInfo::new()
                        .block_size(block_size)
                        .block_mode(block_mode)
                        .block_checksums(checksums)
                        .content_checksum(checksums)
                        .content_size(size);
                    assert_reads(Compression::Lz4, &lz4(info, &content), &content);
                }
            }
        }
    }
    let info = FrameInfo::new().block_mode(BlockMode::Linked);
    let content = noise(200_000);
    assert_reads(Compression::Lz4, &lz4(info, &content), &content);
}

#[test]
fn lz4_frames_that_are_wrong_are_told_apart() {
    let content = sample(1_000);
    let info = || FrameInfo::new().block_size(BlockSize::Max64KB);
    let good = lz4(info(), &content);
    let compression = Compression::Lz4;
    let reason = |input: &[u8]| match all_of(compression, input) {
        Err(CompressionError::Corrupt { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let flipped = |mut frame: Vec<u8>, at: usize, mask: u8| {
        frame[at] ^= mask;
        frame
    };
    assert_eq!(reason(&flipped(good.clone(), 0, 1)), "magic");
    // The legacy format, and a skippable frame.
    assert_eq!(reason(&[0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0]), "magic");
    assert_eq!(reason(&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]), "magic");
    assert_eq!(
        reason(&flipped(good.clone(), 4, 0x80)),
        "version or reserved bits"
    );
    assert_eq!(
        reason(&flipped(good.clone(), 4, 0x02)),
        "version or reserved bits"
    );
    assert_eq!(
        reason(&flipped(good.clone(), 5, 0x01)),
        "version or reserved bits"
    );
    assert_eq!(reason(&flipped(good.clone(), 4, 0x01)), "dictionary");
    assert_eq!(reason(&flipped(good.clone(), 5, 0x40)), "block size");
    assert_eq!(reason(&flipped(good.clone(), 5, 0x10)), "header checksum");
    assert_eq!(reason(&flipped(good.clone(), 6, 0x10)), "header checksum");
    let mut long_block = good.clone();
    long_block[7..11].copy_from_slice(&0x0001_0001_u32.to_le_bytes());
    assert_eq!(reason(&long_block), "block is larger than the frame allows");
    assert_eq!(
        reason(&[&good[..], &[0]].concat()),
        "bytes follow the frame"
    );
    assert_eq!(
        reason(&[&good[..], &good[..]].concat()),
        "bytes follow the frame"
    );
    let checked = lz4(info().block_checksums(true), &content);
    assert_eq!(reason(&flipped(checked, 20, 1)), "block checksum");
    let checked = lz4(info().content_checksum(true), &content);
    let last = checked.len() - 1;
    assert_eq!(reason(&flipped(checked, last, 1)), "content checksum");
    let sized = lz4(info().content_size(Some(1_000)), &content);
    assert_reads(compression, &sized, &content);
    // The same blocks under a header that promises one byte more.
    let promised = lz4(info().content_size(Some(1_001)), &sample(1_001));
    let header = 4 + 2 + 8 + 1;
    let wrong = [&promised[..header], &sized[header..]].concat();
    assert_eq!(reason(&wrong), "content size");
}

#[test]
fn zstd_frames_follow_one_another() {
    let (a, b) = (sample(3_000), noise(200_000));
    let one = |content: &[u8]| compress(Compression::Zstd, None, content).unwrap().to_vec();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let joined = [
        skippable.clone(),
        one(&a),
        one(b""),
        zstd_with(&b, 20),
        skippable,
    ]
    .concat();
    assert_reads(Compression::Zstd, &joined, &[a.clone(), b].concat());
    let garbage = [one(&a), b"garbage".to_vec()].concat();
    assert!(matches!(
        all_of(Compression::Zstd, &garbage),
        Err(CompressionError::Corrupt { .. })
    ));
}

#[test]
fn zstd_windows_beyond_what_is_streamed_are_still_read() {
    let content = sample(500_000);
    for window_log in [10, 20, 23, 24, 27] {
        let big = zstd_with(&content, window_log);
        assert_reads(Compression::Zstd, &big, &content);
        assert!(decompress(Compression::Zstd, &Bytes::from(big.clone()), 500_000).is_ok());
        assert_eq!(
            decompress(Compression::Zstd, &Bytes::from(big.clone()), 499_999),
            Err(CompressionError::TooLarge {
                compression: Compression::Zstd,
                bytes_max: 499_999
            })
        );
        // Behind a frame that is streamed, too.
        let small = compress(Compression::Zstd, None, b"first").unwrap();
        let joined = [&small[..], &big[..]].concat();
        assert_reads(
            Compression::Zstd,
            &joined,
            &[b"first".as_slice(), &content].concat(),
        );
        for bytes in [big.len() - 1, big.len() / 2, 7] {
            assert!(all_of(Compression::Zstd, &big[..bytes]).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_are_refused_or_bounded(
        input in proptest::collection::vec(any::<u8>(), 0..300),
        bytes_max in 0..5_000_usize,
    ) {
        for compression in Compression::ALL {
            if let Ok(output) = decompress(compression, &Bytes::from(input.clone()), bytes_max) {
                prop_assert!(output.len() <= bytes_max);
            }
        }
    }

    #[test]
    fn damaged_streams_are_refused_or_bounded(
        content in proptest::collection::vec(0..4_u8, 0..3_000),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        for compression in CODECS {
            let mut bytes = compress(compression, None, &content).unwrap().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = value;
            if let Ok(output) = decompress(compression, &Bytes::from(bytes), MAX) {
                prop_assert!(output.len() <= MAX);
            }
        }
    }

    #[test]
    fn any_bytes_come_back(content in proptest::collection::vec(any::<u8>(), 0..5_000)) {
        for compression in CODECS {
            let compressed = compress(compression, None, &content).unwrap();
            prop_assert_eq!(&decompress(compression, &compressed, content.len()).unwrap()[..], &content[..]);
        }
    }
}
