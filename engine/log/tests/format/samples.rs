//! One sample of every unit, with a reader that accepts it only as a whole.

use bytes::{Bytes, BytesMut};
use engine_log::epochs::LeaderEpochs;
use engine_log::format::{
    Current, Entry, ExtentHeader, ExtentKind, ExtentPlace, ExtentView, FileId, Footer, FormatError,
    FrameBuilder, FramePlace, FrameView, IndexBlock, IndexRow, LaneFile, LaneImage, LogImage,
    ManifestHead, ManifestPlace, ManifestReader, ManifestWriter, SegmentImage, StateImage,
    encode_extent,
};
use engine_log::producers::{Noted, Producers, RememberedBatch};
use engine_model::{
    DirectoryId, LeaderEpoch, LogId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence,
    Timestamp, TopicId, TopicPartition,
};
use proptest::prelude::*;

/// An encoded unit and how it is read: everything checked, the result thrown away.
pub struct Unit {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub read: fn(&[u8]) -> Result<(), FormatError>,
}

pub fn units() -> Vec<Unit> {
    let unit = |name, bytes, read| Unit { name, bytes, read };
    vec![
        unit("frame", frame(), |b| {
            FrameView::decode(&copy(b), &frame_place())?.verify()
        }),
        unit("frame_without_entries", heartbeat(), |b| {
            FrameView::decode(&copy(b), &frame_place())?.verify()
        }),
        unit("extent_of_records", records_extent(), |b| {
            ExtentView::decode(&copy(b), &extent_place(0)).map(drop)
        }),
        unit("extent_of_index", index_extent(), |b| {
            IndexBlock::decode(&ExtentView::decode(&copy(b), &extent_place(8192))?).map(drop)
        }),
        unit("extent_of_footer", footer_extent(), |b| {
            Footer::decode(&ExtentView::decode(&copy(b), &extent_place(12288))?).map(drop)
        }),
        unit(
            "extent_of_producers",
            state_extent(ExtentKind::Producers),
            |b| {
                let view = ExtentView::decode(&copy(b), &extent_place(0))?;
                Producers::decode(&view.payload).map(drop)
            },
        ),
        unit("extent_of_epochs", state_extent(ExtentKind::Epochs), |b| {
            let view = ExtentView::decode(&copy(b), &extent_place(0))?;
            LeaderEpochs::decode(&view.payload).map(drop)
        }),
        unit("manifest", manifest(), |b| read_manifest(b).map(drop)),
        unit("current", current().encode().unwrap(), |b| {
            Current::decode(b).map(drop)
        }),
    ]
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

pub fn log_id(counter: u32) -> LogId {
    LogId {
        run: 6,
        lane: 1,
        counter,
    }
}

fn file_id(counter: u32) -> FileId {
    FileId {
        run: 9,
        lane: 2,
        counter,
    }
}

fn directory() -> DirectoryId {
    DirectoryId::from_bytes(*b"odradek fixture!")
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition {
        topic_id: TopicId::from_bytes([0xab; 16]),
        partition: PartitionIndex::new(index),
    }
}

pub fn frame_place() -> FramePlace {
    FramePlace {
        directory: directory(),
        lane: 2,
        run: 9,
        file: file_id(4),
        position: 8192,
    }
}

pub fn extent_place(position: u64) -> ExtentPlace {
    ExtentPlace {
        log: log_id(7),
        file: file_id(11),
        position,
    }
}

pub fn manifest_place() -> ManifestPlace {
    ManifestPlace {
        directory: directory(),
        lane: 2,
        file: file_id(1),
    }
}

pub fn entries() -> Vec<Entry> {
    let (log, generation) = (log_id(7), 3);
    vec![
        Entry::Create {
            log,
            partition: partition(5),
            start: Offset::new(40),
        },
        Entry::Append {
            log,
            generation,
            commit: None,
            first: Offset::new(40),
            last: Offset::new(44),
            leader_epoch: LeaderEpoch::new(8),
            records: Bytes::from_static(b"batch one"),
        },
        Entry::Epoch {
            log,
            generation,
            leader_epoch: LeaderEpoch::new(9),
            end: Offset::new(45),
        },
        Entry::Truncate {
            log,
            generation: 4,
            cut: Offset::new(42),
            fully: true,
        },
        Entry::LogStart {
            log,
            generation,
            start: Offset::new(41),
        },
        Entry::Replace {
            log,
            generation,
            first: Offset::new(40),
            last: Offset::new(44),
            segments: vec![segment(0), segment(1)],
        },
        Entry::Delete { log, generation },
    ]
}

pub fn frame() -> Vec<u8> {
    let mut builder = FrameBuilder::new(BytesMut::new());
    for entry in entries() {
        builder.push(&entry).unwrap();
    }
    builder
        .finish(frame_place(), 77, 75)
        .unwrap()
        .0
        .bytes
        .to_vec()
}

pub fn heartbeat() -> Vec<u8> {
    let builder = FrameBuilder::new(BytesMut::new());
    builder
        .finish(frame_place(), 78, 76)
        .unwrap()
        .0
        .bytes
        .to_vec()
}

fn extent(position: u64, header: &ExtentHeader, payload: Bytes) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_extent(&extent_place(position), header, &[payload], &mut out).unwrap();
    out.to_vec()
}

fn header(kind: ExtentKind) -> ExtentHeader {
    ExtentHeader {
        kind,
        payload_bytes: 0,
        first: Offset::new(100),
        last: Offset::new(109),
        max_timestamp: Timestamp(1_700_000_000_000),
        count: 2,
        previous_index: None,
    }
}

pub fn records_extent() -> Vec<u8> {
    let payload: Vec<u8> = (0..5000_u32).map(|i| i.to_le_bytes()[0]).collect();
    extent(0, &header(ExtentKind::Records), payload.into())
}

pub fn index_block() -> IndexBlock {
    let row = |at: u32| IndexRow {
        first: Offset::new(i64::from(at) * 10),
        last: Offset::new(i64::from(at) * 10 + 9),
        max_timestamp: Timestamp(1_700_000_000_000 + i64::from(at)),
        position: u64::from(at) * 4096,
        length: 4096,
    };
    IndexBlock {
        previous: Some(4096),
        rows: (0..3).map(row).collect(),
    }
}

fn index_extent() -> Vec<u8> {
    let (header, payload) = index_block().encode().unwrap();
    extent(8192, &header, payload)
}

fn footer_extent() -> Vec<u8> {
    let footer = Footer {
        base_offset: Offset::new(100),
        end_offset: Offset::new(130),
        max_timestamp: Timestamp(1_700_000_000_002),
        record_bytes: 3000,
        last_index: Some(8192),
    };
    let (header, payload) = footer.encode();
    extent(12288, &header, payload)
}

fn state_extent(kind: ExtentKind) -> Vec<u8> {
    let payload = match kind {
        ExtentKind::Producers => {
            let mut producers = Producers::new();
            for id in 1..4 {
                for batch in 0..i32::try_from(id).unwrap() {
                    producers.note(&noted(id, batch), Timestamp(1_700_000_000_500));
                }
            }
            producers.encode()
        }
        _ => {
            let mut epochs = LeaderEpochs::new();
            for (epoch, start) in [(0, 0), (3, 17), (4, 90)] {
                epochs
                    .assign(LeaderEpoch::new(epoch), Offset::new(start))
                    .unwrap();
            }
            epochs.encode()
        }
    };
    extent(0, &header(kind), payload.into())
}

fn noted(id: i64, batch: i32) -> Noted {
    Noted {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch::new(1),
        batch: RememberedBatch {
            first_sequence: Sequence::new(batch * 2),
            last_sequence: Sequence::new(batch * 2 + 1),
            first_offset: Offset::new(id * 100 + i64::from(batch) * 2),
            last_offset: Offset::new(id * 100 + i64::from(batch) * 2 + 1),
            max_timestamp: Timestamp(1_700_000_000_000),
        },
        transactional: id == 3,
        control: false,
    }
}

fn segment(at: u32) -> SegmentImage {
    SegmentImage {
        file: file_id(20 + at),
        base_offset: Offset::new(i64::from(at) * 100),
        end_offset: Offset::new(i64::from(at) * 100 + 100),
        bytes: 1 << 20,
        record_bytes: 1_000_000,
        max_timestamp: Timestamp(1_700_000_000_000),
        last_index: (at > 0).then_some(524_288),
        sealed: at.is_multiple_of(2),
        compacted: at.is_multiple_of(4),
    }
}

pub fn log(counter: u32, segments: usize) -> LogImage {
    let segments = (0..u32::try_from(segments).unwrap()).map(segment).collect();
    LogImage {
        id: log_id(counter),
        partition: partition(i32::try_from(counter).unwrap()),
        generation: 2,
        quarantined: counter % 2 == 1,
        log_start: Offset::new(3),
        log_end: Offset::new(1000),
        segments,
        epochs: StateImage::Inline(Bytes::from_static(b"epochs")),
        producers: StateImage::Extent {
            file: file_id(30),
            position: 4096,
            bytes: 8192,
        },
        aborted_transactions: StateImage::Empty,
    }
}

pub fn manifest() -> Vec<u8> {
    let head = ManifestHead {
        run: 9,
        sequence: 1234,
        next_counter: 50,
        logs: 2,
    };
    let mut writer = ManifestWriter::new(manifest_place(), 17, head);
    writer.push(&log(1, 2)).unwrap();
    writer.push(&log(2, 0)).unwrap();
    writer.finish().unwrap();
    let mut out = BytesMut::new();
    while writer.next_piece(&mut out).unwrap() {}
    out.to_vec()
}

pub fn read_manifest(file: &[u8]) -> Result<(u64, ManifestHead, Vec<LogImage>), FormatError> {
    let mut reader = ManifestReader::new(manifest_place());
    let mut logs = Vec::new();
    let mut rest = file;
    while !reader.is_complete() {
        let taken = reader.piece(rest, &mut logs)?;
        rest = &rest[taken..];
    }
    let (number, head) = reader.finish()?;
    Ok((number, head, logs))
}

pub fn current() -> Current {
    let lane = |lane| LaneImage {
        lane,
        files: (0..2)
            .map(|at| LaneFile {
                file: file_id(at),
                bytes: 8 << 20,
            })
            .collect(),
        manifests: [file_id(2), file_id(3)],
    };
    Current {
        directory: directory(),
        run: 9,
        clean: true,
        lanes: vec![lane(0), lane(1)],
    }
}

pub fn any_records() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..200),
        (1..20_000_usize).prop_map(|length| vec![0xcd; length]),
    ]
    .prop_map(Bytes::from)
}
