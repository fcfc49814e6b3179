//! `odradek log stat`.

use super::directory::Directory;
use super::walk::to_u64;
use crate::cli::{Format, Global, StatArguments};
use crate::failure::Failure;
use crate::output::{self, Row};
use engine_log::offline::LogPicture;
use serde::Serialize;

#[derive(Serialize)]
struct LogRow {
    topic: Option<String>,
    topic_id: String,
    partition: i32,
    log: String,
    generation: u32,
    start_offset: i64,
    end_offset: i64,
    segments: usize,
    segment_bytes: u64,
    batches: u64,
    records: u64,
    record_bytes: u64,
    lane_batches: u64,
    lane_bytes: u64,
    garbage_bytes: u64,
    quarantined: bool,
    damaged_places: u64,
}

impl Row for LogRow {
    const COLUMNS: &'static [&'static str] = &[
        "TOPIC",
        "PARTITION",
        "START",
        "END",
        "SEGMENTS",
        "BATCHES",
        "RECORDS",
        "BYTES",
        "IN LANE",
        "GARBAGE",
        "STATE",
    ];

    fn cells(&self) -> Vec<String> {
        let state = match (self.quarantined, self.damaged_places) {
            (true, _) => "quarantined",
            (_, 0) => "",
            _ => "damaged",
        };
        vec![
            self.topic.clone().unwrap_or_else(|| self.topic_id.clone()),
            self.partition.to_string(),
            self.start_offset.to_string(),
            self.end_offset.to_string(),
            self.segments.to_string(),
            self.batches.to_string(),
            self.records.to_string(),
            self.record_bytes.to_string(),
            self.lane_bytes.to_string(),
            self.garbage_bytes.to_string(),
            state.to_owned(),
        ]
    }

    fn name(&self) -> String {
        let topic = self.topic.as_ref().unwrap_or(&self.topic_id);
        format!("{topic}-{}", self.partition)
    }
}

#[derive(Serialize)]
struct LaneRow {
    lane: u16,
    files: usize,
    bytes: u64,
    manifest: Option<u64>,
    manifest_sequence: Option<u64>,
    durable_sequence: u64,
    live_frames: u64,
    live_bytes: u64,
    old_frames: u64,
    torn_frames: u64,
    damaged_frames: u64,
}

impl Row for LaneRow {
    const COLUMNS: &'static [&'static str] = &[
        "LANE",
        "BYTES",
        "MANIFEST",
        "SEQUENCE",
        "DURABLE",
        "LIVE FRAMES",
        "LIVE BYTES",
        "OLD",
        "TORN",
        "DAMAGED",
    ];

    fn cells(&self) -> Vec<String> {
        let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
        vec![
            self.lane.to_string(),
            self.bytes.to_string(),
            number(self.manifest),
            number(self.manifest_sequence),
            self.durable_sequence.to_string(),
            self.live_frames.to_string(),
            self.live_bytes.to_string(),
            self.old_frames.to_string(),
            self.torn_frames.to_string(),
            self.damaged_frames.to_string(),
        ]
    }

    fn name(&self) -> String {
        self.lane.to_string()
    }
}

/// Runs it.
pub fn run(global: &Global, arguments: &StatArguments) -> Result<(), Failure> {
    let directory = Directory::load(&arguments.path)?;
    for damage in &directory.damage {
        eprintln!(
            "damaged: {} at {}: {}",
            damage.path.display(),
            damage.position,
            damage.what
        );
    }
    let mut damage_count = to_u64(directory.damage.len());
    if arguments.lanes {
        output::print(global.format(), &lanes(&directory))?;
        return super::damaged(damage_count);
    }
    let mut rows = Vec::new();
    for log in directory.picture.logs.values() {
        let row = log_row(&directory, log)?;
        damage_count = damage_count.saturating_add(row.damaged_places);
        rows.push(row);
    }
    rows.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    let (count, bytes) = directory.unnamed_segments()?;
    output::print(global.format(), &rows)?;
    if global.format() == Format::Table {
        if count > 0 {
            let what = "segment files that nothing names; the next start of a broker removes them";
            output::note(global.quiet, &format!("{count} {what} ({bytes} bytes)"));
        }
        if !directory.current.clean {
            let what = "not stopped clean, or in use: this is a moment of it";
            output::note(global.quiet, what);
        }
    }
    super::damaged(damage_count)
}

fn lanes(directory: &Directory) -> Vec<LaneRow> {
    let row = |lane: &super::directory::Lane| LaneRow {
        lane: lane.image.lane,
        files: lane.image.files.len(),
        bytes: lane.image.files.iter().map(|file| file.bytes).sum(),
        manifest: lane.manifest.map(|(_, number, _)| number),
        manifest_sequence: lane.manifest.map(|(_, _, head)| head.sequence),
        durable_sequence: lane.chain.durable_sequence(),
        live_frames: lane.frames.live,
        live_bytes: lane.frames.live_bytes,
        old_frames: lane.frames.old,
        torn_frames: lane.frames.torn,
        damaged_frames: lane.frames.damaged,
    };
    directory.lanes.iter().map(row).collect()
}

fn log_row(directory: &Directory, log: &LogPicture) -> Result<LogRow, Failure> {
    let mut row = LogRow {
        topic: directory.names.get(&log.partition.topic_id).cloned(),
        topic_id: log.partition.topic_id.to_string(),
        partition: log.partition.partition.get(),
        log: log.id.to_string(),
        generation: log.generation,
        start_offset: log.log_start.get(),
        end_offset: log.log_end.get(),
        segments: log.segments.len(),
        segment_bytes: log.segments.iter().map(|segment| segment.bytes).sum(),
        batches: 0,
        records: 0,
        record_bytes: 0,
        lane_batches: to_u64(log.lane.len()),
        lane_bytes: log.lane.iter().map(|batch| batch.bytes).sum(),
        garbage_bytes: garbage(directory, log),
        quarantined: log.quarantined,
        damaged_places: u64::from(log.misfit.is_some()),
    };
    if let Some(what) = log.misfit {
        eprintln!("damaged: log {}: {what}", log.id);
    }
    directory.batches(log, |found| {
        match found {
            Ok(found) => {
                let header = found.batch.header();
                if found.batch.check_crc().is_err() {
                    let offset = header.base_offset;
                    eprintln!("damaged: log {}: the batch at offset {offset}", log.id);
                    row.damaged_places = row.damaged_places.saturating_add(1);
                }
                // What lies before the start was deleted, and goes with its segment.
                if header.last_offset() >= log.log_start {
                    let records = u64::try_from(header.record_count).unwrap_or(0);
                    row.batches = row.batches.saturating_add(1);
                    row.records = row.records.saturating_add(records);
                    let bytes = to_u64(found.batch.bytes().len());
                    row.record_bytes = row.record_bytes.saturating_add(bytes);
                }
            }
            Err(damage) => {
                eprintln!(
                    "damaged: {} at {}: {}",
                    damage.path.display(),
                    damage.position,
                    damage.what
                );
                row.damaged_places = row.damaged_places.saturating_add(1);
            }
        }
        Ok(())
    })?;
    Ok(row)
}

/// Bytes in the files of a log's segments that do not count: behind what the manifest names.
fn garbage(directory: &Directory, log: &LogPicture) -> u64 {
    let of = |segment: &engine_log::format::SegmentImage| {
        let path = directory.segment_path(segment.file);
        let size = std::fs::metadata(path).map_or(segment.bytes, |metadata| metadata.len());
        size.saturating_sub(segment.bytes)
    };
    log.segments.iter().map(of).sum()
}
