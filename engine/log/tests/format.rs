//! The byte layouts: round trips, golden fixtures, every cut, every flipped byte, hostile bytes.
//!
//! The fixtures pin the bytes of format 1. `ODRADEK_TEST_WRITE_FIXTURES=1` writes them anew, which is
//! right only together with a new format number or while the formats are marked unstable.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::single_match_else,
    reason = "test code: a failure is the report, and fixtures are files"
)]

#[path = "format/hostile.rs"]
mod hostile;
#[path = "format/samples.rs"]
mod samples;

use bytes::{Bytes, BytesMut};
use engine_codec::{BatchBuilder, BatchOptions, RecordData, set_broker_fields};
use engine_log::format::{
    BLOCK_BYTES, CommitId, Current, Entry, EntryKind, EntryRow, ExtentHeader, ExtentKind,
    ExtentView, FileId, Footer, FormatError, FrameBuilder, FrameFull, FrameHeader, FrameView,
    IndexBlock, ManifestHead, ManifestReader, ManifestWriter, encode_extent,
};
use engine_model::{LeaderEpoch, Offset, Timestamp};
use proptest::prelude::*;
use samples::{
    Unit, any_records, current, entries, extent_place, frame, frame_place, heartbeat, index_block,
    log, log_id, manifest, manifest_place, read_manifest, records_extent, units,
};

#[test]
fn the_bytes_are_those_of_the_fixtures() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for Unit { name, bytes, .. } in units() {
        let path = folder.join(format!("{name}.bin"));
        if std::env::var_os("ODRADEK_TEST_WRITE_FIXTURES").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        let golden = std::fs::read(&path).unwrap();
        let differs = golden.iter().zip(&bytes).position(|(a, b)| a != b);
        assert!(golden == bytes, "{name} differs first at {differs:?}");
    }
}

/// The layout by its written form, not by the encoder: offsets are those of FORMAT.md.
#[test]
fn a_frame_is_laid_out_as_the_document_says() {
    let bytes = frame();
    let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(&bytes[..4], b"ODFR");
    assert_eq!((u16_at(4), u16_at(6)), (1, 2), "format, lane");
    assert_eq!(bytes[16..32], frame_place().directory.to_bytes());
    assert_eq!((u64_at(32), u64_at(40)), (9, 9), "run, run of the file");
    assert_eq!(
        (u32_at(48), u16_at(52)),
        (4, 2),
        "counter and lane of the file"
    );
    assert_eq!((u64_at(56), u64_at(64), u64_at(72)), (8192, 77, 75));
    let (rows, payload) = (u32_at(80), u32_at(84));
    assert_eq!((rows, u32_at(88)), (7, u32::try_from(bytes.len()).unwrap()));
    let table_at = 128 + usize::try_from(payload).unwrap();
    let table = &bytes[table_at..table_at + 7 * 64];
    assert_eq!(u32_at(12), crc32c::crc32c(table));
    let mut header = bytes[..128].to_vec();
    header.drain(8..12);
    assert_eq!(u32_at(8), crc32c::crc32c(&header));
    // The second row: an Append of "batch one", the payload after the 20 bytes of the Create.
    let row = &table[64..128];
    assert_eq!(row[0], 2);
    assert_eq!(row[48..52], crc32c::crc32c(b"batch one").to_le_bytes());
    assert_eq!(&bytes[148..157], b"batch one");
    assert!(bytes[table_at + 7 * 64..].iter().all(|b| *b == 0));
}

/// Check value of CRC-32C (Castagnoli), as in RFC 3720, appendix B.4.
#[test]
fn the_checksum_is_castagnoli() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn every_kind_of_entry_reads_back() {
    let view = FrameView::decode(&frame().into(), &frame_place()).unwrap();
    let read: Vec<Entry> = view.entries().map(|(_, entry)| entry.unwrap()).collect();
    assert_eq!(read, entries());
    assert_eq!(view.header().sequence, 77);
    assert_eq!(view.header().durable_sequence, 75);
    assert_eq!(view.rows().len(), 7);
}

#[test]
fn a_frame_without_entries_carries_the_durable_sequence() {
    let bytes = heartbeat();
    assert_eq!(bytes.len(), BLOCK_BYTES);
    let view = FrameView::decode(&bytes.into(), &frame_place()).unwrap();
    assert_eq!(view.header().durable_sequence, 76);
    assert_eq!(view.entries().count(), 0);
    assert_eq!(view.verify(), Ok(()));
}

#[test]
fn entries_of_one_commit_carry_its_number() {
    let commit = CommitId::new(3);
    let mut builder = FrameBuilder::new(BytesMut::new());
    let append = |log: u32, commit| Entry::Append {
        log: log_id(log),
        generation: 0,
        commit,
        first: Offset::new(5),
        last: Offset::new(5),
        leader_epoch: LeaderEpoch::new(1),
        records: Bytes::from(vec![7; 50]),
    };
    builder.push(&append(1, commit)).unwrap();
    builder.push(&append(2, None)).unwrap();
    builder.push(&append(3, commit)).unwrap();
    let (finished, _) = builder.finish(frame_place(), 1, 0).unwrap();
    let view = FrameView::decode(&finished.bytes, &frame_place()).unwrap();
    let commits: Vec<_> = view.rows().map(|row| (row.log, row.commit)).collect();
    assert_eq!(
        commits,
        [(log_id(1), commit), (log_id(2), None), (log_id(3), commit)]
    );
    // One bad payload of the commit names the log; the caller takes the commit's others with it.
    let mut damaged = finished.bytes.to_vec();
    damaged[128 + 120] ^= 1;
    let view = FrameView::decode(&damaged.into(), &frame_place()).unwrap();
    let bad: Vec<_> = view
        .entries()
        .filter(|(_, entry)| entry.is_err())
        .map(|(row, _)| (row.log, row.commit))
        .collect();
    assert_eq!(bad, [(log_id(3), commit)]);
}

#[test]
fn a_payload_may_be_patched_until_the_frame_is_finished() {
    let mut builder = FrameBuilder::new(BytesMut::new());
    let Entry::Append { records, .. } = &entries()[1] else {
        panic!("an append");
    };
    let range = builder.push(&entries()[1]).unwrap();
    assert_eq!(builder.payload_mut(range), &records[..]);
    builder.payload_mut(range)[..5].copy_from_slice(b"BATCH");
    let (finished, _) = builder.finish(frame_place(), 1, 0).unwrap();
    assert_eq!(&finished.payload(range)[..], b"BATCH one");
    let view = FrameView::decode(&finished.bytes, &frame_place()).unwrap();
    assert_eq!(view.verify(), Ok(()));
}

#[test]
fn a_batch_in_a_frame_is_summed_by_its_own_checksum() {
    for value_bytes in [0, 1, 4000, 300_000] {
        let value = vec![7; value_bytes];
        let mut batch = BatchBuilder::new(BatchOptions::default());
        batch
            .append(&RecordData {
                timestamp: Timestamp(1),
                key: None,
                value: Some(&value),
                headers: &[],
            })
            .unwrap();
        let batch = batch.build().unwrap();
        let mut builder = FrameBuilder::new(BytesMut::new());
        let row = EntryRow {
            leader_epoch: LeaderEpoch::new(3),
            first: Offset::new(5),
            last: Offset::new(5),
            ..EntryRow::new(EntryKind::Append, log_id(1), 0)
        };
        let (range, crc) = builder
            .append_batch(row, &batch, |batch| {
                set_broker_fields(batch, Offset::new(5), LeaderEpoch::new(3)).unwrap();
            })
            .unwrap();
        let (finished, _) = builder.finish(frame_place(), 1, 0).unwrap();
        assert_eq!(crc, engine_codec::crc::crc32c(&finished.payload(range)));
        let view = FrameView::decode(&finished.bytes, &frame_place()).unwrap();
        assert_eq!(view.verify(), Ok(()));
        assert_eq!(view.rows().next().unwrap().crc, crc);
    }
}

#[test]
fn a_frame_takes_no_more_than_its_limits() {
    let mut builder = FrameBuilder::new(BytesMut::new());
    let delete = entries()[6].clone();
    let mut count = 0;
    while builder.push(&delete).is_ok() {
        count += 1;
    }
    assert_eq!(count, 16 << 10);
    let mut builder = FrameBuilder::new(BytesMut::new());
    let big = Entry::Append {
        log: log_id(1),
        generation: 0,
        commit: None,
        first: Offset::ZERO,
        last: Offset::ZERO,
        leader_epoch: LeaderEpoch::ZERO,
        records: vec![1; 32 << 20].into(),
    };
    builder.push(&big).unwrap();
    let full = builder.push(&big);
    assert!(matches!(full, Err(FrameFull { bytes, .. }) if bytes == 32 << 20));
    let (finished, _) = builder.finish(frame_place(), 1, 0).unwrap();
    let view = FrameView::decode(&finished.bytes, &frame_place()).unwrap();
    assert_eq!(view.verify(), Ok(()));
}

/// Bytes the file ends in the middle of: every length below the whole.
#[test]
fn no_unit_reads_from_fewer_bytes_than_it_has() {
    for unit in units() {
        for cut in 0..unit.bytes.len() {
            let read = (unit.read)(&unit.bytes[..cut]);
            assert!(read.is_err(), "{} cut at {cut}", unit.name);
        }
    }
}

/// A torn write: any sector of 512 bytes still holds what was there before.
#[test]
fn no_unit_reads_with_a_sector_missing() {
    for unit in units() {
        for before in [0_u8, 0xff, 0x5a] {
            for at in (0..unit.bytes.len()).step_by(512) {
                let mut torn = unit.bytes.clone();
                torn[at..at + 512].fill(before);
                if torn != unit.bytes {
                    let read = (unit.read)(&torn);
                    assert!(read.is_err(), "{} without sector {at}", unit.name);
                }
                torn[at..].fill(before);
                if torn != unit.bytes {
                    let read = (unit.read)(&torn);
                    assert!(read.is_err(), "{} torn at {at}", unit.name);
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    for unit in units() {
        for at in 0..unit.bytes.len() {
            for mask in [1_u8, 0x80, 0xff] {
                let mut flipped = unit.bytes.clone();
                flipped[at] ^= mask;
                let read = (unit.read)(&flipped);
                assert!(read.is_err(), "{} with byte {at} ^ {mask:#x}", unit.name);
            }
        }
    }
}

#[test]
fn zeros_never_parse() {
    for unit in units() {
        for length in [0, 1, 64, 128, BLOCK_BYTES, 1 << 20] {
            let read = (unit.read)(&vec![0; length]);
            assert!(read.is_err(), "{length} zeros as {}", unit.name);
        }
    }
}

#[test]
fn a_frame_reads_only_at_its_own_place() {
    let bytes = Bytes::from(frame());
    let place = frame_place();
    let mut elsewhere = [place; 6];
    elsewhere[0].directory = engine_model::DirectoryId::ZERO;
    elsewhere[1].run = 8;
    elsewhere[2].lane = 1;
    elsewhere[3].file.counter = 5;
    elsewhere[4].position = 4096;
    elsewhere[5].file.run = 8;
    for (place, field) in
        elsewhere
            .iter()
            .zip(["directory", "run", "lane", "file", "position", "file"])
    {
        assert_eq!(
            FrameView::decode(&bytes, place).err(),
            Some(FormatError::Foreign {
                what: "frame",
                field
            })
        );
    }
}

#[test]
fn an_extent_reads_only_at_its_own_place() {
    let bytes = Bytes::from(records_extent());
    let place = extent_place(0);
    assert!(ExtentView::decode(&bytes, &place).is_ok());
    let mut elsewhere = [place; 3];
    elsewhere[0].log.counter += 1;
    elsewhere[1].file.counter += 1;
    elsewhere[2].position += 4096;
    for place in &elsewhere {
        assert!(matches!(
            ExtentView::decode(&bytes, place),
            Err(FormatError::Checksum { .. })
        ));
    }
}

#[test]
fn a_newer_format_is_named_as_such() {
    let newer = |mut bytes: Vec<u8>, at: usize| {
        bytes[at] = 2;
        hostile::fix_checksum(&mut bytes);
        bytes
    };
    assert_eq!(
        FrameHeader::decode(&newer(heartbeat(), 4)),
        Err(FormatError::Newer {
            what: "frame",
            found: 2,
            known: 1
        })
    );
    assert_eq!(
        Current::decode(&newer(current().encode().unwrap(), 8)),
        Err(FormatError::Newer {
            what: "file CURRENT",
            found: 2,
            known: 1
        })
    );
    assert_eq!(
        Current::decode(b"something else, and longer than 32 bytes"),
        Err(FormatError::Magic {
            what: "file CURRENT"
        })
    );
}

#[test]
fn extents_follow_one_another_in_one_buffer() {
    let mut out = BytesMut::new();
    let mut lengths = Vec::new();
    for (first, bytes) in [(0, 10), (1, 5000), (2, 4032), (3, 4033)] {
        let place = extent_place(u64::try_from(out.len()).unwrap());
        let header = ExtentHeader {
            kind: ExtentKind::Records,
            payload_bytes: 0,
            first: Offset::new(first),
            last: Offset::new(first),
            max_timestamp: Timestamp(first),
            count: 1,
            previous_index: None,
        };
        let chunks = [
            Bytes::from(vec![1; bytes / 2]),
            Bytes::from(vec![2; bytes - bytes / 2]),
        ];
        lengths.push(encode_extent(&place, &header, &chunks, &mut out).unwrap());
    }
    assert_eq!(lengths, [4096, 8192, 4096, 8192]);
    let file = out.freeze();
    let mut at = 0;
    for (first, length) in lengths.iter().enumerate() {
        let place = extent_place(u64::try_from(at).unwrap());
        let rest = file.slice(at..);
        let peeked = ExtentHeader::peek(&rest[..64]).unwrap();
        assert_eq!(peeked.extent_bytes(), *length);
        let view = ExtentView::decode(&rest, &place).unwrap();
        assert_eq!(view.header, peeked);
        assert_eq!(
            view.header.first,
            Offset::new(i64::try_from(first).unwrap())
        );
        at += length;
    }
    assert_eq!(at, file.len());
}

#[test]
fn an_index_block_takes_64_rows_and_fits_one_block() {
    let mut block = index_block();
    let row = block.rows[0];
    block.rows = vec![row; 64];
    let (header, payload) = block.encode().unwrap();
    let mut out = BytesMut::new();
    let place = extent_place(0);
    assert_eq!(
        encode_extent(&place, &header, &[payload], &mut out),
        Ok(BLOCK_BYTES)
    );
    let view = ExtentView::decode(&out.freeze(), &place).unwrap();
    assert_eq!(IndexBlock::decode(&view), Ok(block.clone()));
    assert!(Footer::decode(&view).is_err());
    block.rows.push(row);
    assert!(matches!(block.encode(), Err(FormatError::TooLarge { .. })));
}

#[test]
fn file_names_read_back_and_nothing_else_does() {
    let id = FileId {
        run: 12,
        lane: 3,
        counter: 4_000_000_000,
    };
    assert_eq!(id.to_string(), "12-3-4000000000");
    assert_eq!(FileId::parse("12-3-4000000000"), Some(id));
    for text in [
        "",
        "1-2",
        "1-2-3-4",
        "01-2-3",
        "+1-2-3",
        "1-2-x",
        "1-70000-1",
        "../1-2-3",
        "1-2-3 ",
    ] {
        assert_eq!(FileId::parse(text), None, "{text:?}");
    }
}

#[test]
fn a_manifest_of_ten_thousand_logs_streams_in_bounded_pieces() {
    let logs: Vec<_> = (0..10_000)
        .map(|counter| log(counter, usize::try_from(counter % 7).unwrap()))
        .collect();
    let head = ManifestHead {
        run: 9,
        sequence: 1234,
        next_counter: 10_001,
        logs: 10_000,
    };
    let mut writer = ManifestWriter::new(manifest_place(), 5, head);
    let mut file = BytesMut::new();
    let mut pieces = 0;
    for log in &logs {
        writer.push(log).unwrap();
        let mut piece = BytesMut::new();
        while writer.next_piece(&mut piece).unwrap() {
            assert!(piece.len() <= 256 << 10);
            file.extend_from_slice(&piece);
            piece.clear();
            pieces += 1;
        }
    }
    writer.finish().unwrap();
    while writer.next_piece(&mut file).unwrap() {
        pieces += 1;
    }
    assert!(pieces > 3, "{pieces}");
    let (number, read_head, read) = read_manifest(&file).unwrap();
    assert_eq!((number, read_head), (5, head));
    assert!(read == logs);
    // A piece of an older manifest of the same slot does not join.
    let mut older = ManifestWriter::new(manifest_place(), 3, head);
    for log in &logs {
        older.push(log).unwrap();
    }
    older.finish().unwrap();
    let mut old_file = BytesMut::new();
    while older.next_piece(&mut old_file).unwrap() {}
    assert_eq!(old_file.len(), file.len());
    for at in (4096..file.len()).step_by(64 << 10) {
        let mut mixed = file[..at].to_vec();
        mixed.extend_from_slice(&old_file[at..]);
        assert!(mixed == file || read_manifest(&mixed).is_err(), "from {at}");
    }
}

#[test]
fn a_row_larger_than_a_piece_spans_pieces() {
    let mut big = log(1, 9000);
    big.producers = engine_log::format::StateImage::Inline(vec![7; 300_000].into());
    let head = ManifestHead {
        run: 9,
        sequence: 1,
        next_counter: 2,
        logs: 1,
    };
    let mut writer = ManifestWriter::new(manifest_place(), 1, head);
    writer.push(&big).unwrap();
    assert!(writer.push(&big).is_err(), "one more than the head says");
    writer.finish().unwrap();
    let mut file = BytesMut::new();
    while writer.next_piece(&mut file).unwrap() {}
    let (_, _, logs) = read_manifest(&file).unwrap();
    assert!(logs == [big]);
}

#[test]
fn a_manifest_with_a_log_too_few_is_none() {
    let head = ManifestHead {
        run: 9,
        sequence: 1,
        next_counter: 2,
        logs: 2,
    };
    let mut writer = ManifestWriter::new(manifest_place(), 1, head);
    writer.push(&log(1, 1)).unwrap();
    assert!(writer.finish().is_err());
    let file = manifest();
    let reader = ManifestReader::new(manifest_place());
    assert!(reader.finish().is_err(), "no piece was read");
    assert!(read_manifest(&file).is_ok());
}

proptest! {
    #[test]
    fn frames_of_any_entries_read_back(payloads in proptest::collection::vec(any_records(), 0..40)) {
        let mut builder = FrameBuilder::new(BytesMut::new());
        let mut expected = Vec::new();
        for (at, records) in payloads.into_iter().enumerate() {
            let first = Offset::new(i64::try_from(at).unwrap());
            let entry = Entry::Append {
                log: log_id(u32::try_from(at % 3).unwrap()),
                generation: 1,
                commit: CommitId::new(u32::try_from(at % 2).unwrap()),
                first,
                last: first,
                leader_epoch: LeaderEpoch::new(3),
                records,
            };
            builder.push(&entry).unwrap();
            expected.push(entry);
        }
        let size = builder.bytes();
        let (finished, _) = builder.finish(frame_place(), 10, 9).unwrap();
        prop_assert_eq!(finished.bytes.len(), size.next_multiple_of(BLOCK_BYTES));
        prop_assert_eq!(finished.header.frame_bytes(), finished.bytes.len());
        let view = FrameView::decode(&finished.bytes, &frame_place()).unwrap();
        let read: Vec<_> = view.entries().map(|(_, entry)| entry.unwrap()).collect();
        prop_assert_eq!(read, expected);
    }
}
