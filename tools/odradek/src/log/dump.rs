//! `odradek log dump`.

use super::directory::{DECOMPRESSED_BYTES_MAX, Directory, read_current, read_manifest};
use super::item::{BatchItem, Item, RecordItem};
use super::printer::Printer;
use super::source::{Source, unreadable};
use super::walk::{Stands, batches_of, to_u64, walk_lane, walk_segment};
use crate::cli::{DumpArguments, Format, Global};
use crate::failure::{Failure, Kind};
use crate::output;
use bytes::Bytes;
use engine_codec::Batch;
use engine_log::format::{
    Current, EntryKind, ExtentKind, FileId, FrameHeader, FrameView, LogImage,
};
use engine_log::offline::{Chain, FileKind, LogPicture, Verdict, file_kind, manifest_place};
use engine_model::{LogId, TopicId};
use std::path::{Path, PathBuf};

/// Runs it.
pub fn run(global: &Global, arguments: &DumpArguments) -> Result<(), Failure> {
    let metadata =
        std::fs::metadata(&arguments.path).map_err(|error| unreadable(&arguments.path, &error))?;
    if metadata.is_dir() {
        let directory = Directory::load(&arguments.path)?;
        if !directory.current.clean && global.format() == Format::Table {
            let what = "not stopped clean, or in use: this is a moment of it";
            output::note(global.quiet, what);
        }
        let mut printer = Printer::new(global.format())?;
        let result = dump_directory(&mut printer, &directory, arguments);
        let count = printer.finish()?;
        result?;
        return super::damaged(count);
    }
    let kind = file_kind(&file_name(&arguments.path));
    if kind == FileKind::Foreign {
        let what = format!(
            "{} is no file of a data directory",
            arguments.path.display()
        );
        return Err(Failure::new(Kind::Usage, what)
            .hint("CURRENT, *.lane, *.manifest, segments/*.segment, or the directory"));
    }
    let mut printer = Printer::new(global.format())?;
    let result = dump_file(&mut printer, kind, arguments);
    let count = printer.finish()?;
    result?;
    super::damaged(count)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn dump_file(
    printer: &mut Printer,
    kind: FileKind,
    arguments: &DumpArguments,
) -> Result<(), Failure> {
    let path = &arguments.path;
    match kind {
        FileKind::Current => match read_current(path) {
            Ok(current) => dump_current(printer, &current),
            Err(failure) => printer.damage(path, 0, failure),
        },
        FileKind::Manifest(file) => dump_manifest(printer, path, file),
        FileKind::Lane(file) => {
            let current = path.parent().map(|root| root.join("CURRENT"));
            let current = current.and_then(|path| read_current(&path).ok());
            dump_lane(printer, path, file, current.as_ref(), None, arguments.deep)
        }
        FileKind::Segment(file) => {
            let root = path.parent().and_then(Path::parent).map(PathBuf::from);
            let directory = root.and_then(|root| Directory::load(&root).ok());
            let log = directory.as_ref().and_then(|d| owner(d, file));
            dump_segment(printer, path, file, log.map(|log| log.id), arguments.deep)
        }
        FileKind::Empty | FileKind::Foreign => Ok(()),
    }
}

/// The log that has this segment.
fn owner(directory: &Directory, file: FileId) -> Option<&LogPicture> {
    let mut logs = directory.picture.logs.values();
    logs.find(|log| log.segments.iter().any(|segment| segment.file == file))
}

fn dump_current(printer: &mut Printer, current: &Current) -> Result<(), Failure> {
    printer.item(&Item::Current {
        directory_id: current.directory.to_string(),
        run: current.run,
        clean: current.clean,
        lanes: current.lanes.len(),
    })?;
    for lane in &current.lanes {
        for file in &lane.files {
            printer.item(&Item::Lane {
                lane: lane.lane,
                file: file.file.to_string(),
                bytes: file.bytes,
            })?;
        }
    }
    Ok(())
}

fn dump_manifest(printer: &mut Printer, path: &Path, file: FileId) -> Result<(), Failure> {
    let head = Source::open(path)?.at(0, 64)?;
    let place = match manifest_place(&head) {
        Ok(place) if place.file == file => place,
        Ok(_) => return printer.damage(path, 0, "a manifest piece of another file"),
        Err(error) => return printer.damage(path, 0, error),
    };
    match read_manifest(path, place)? {
        Ok(manifest) => {
            printer.item(&Item::Manifest {
                lane: place.lane,
                file: manifest.file.to_string(),
                number: manifest.number,
                run: manifest.head.run,
                sequence: manifest.head.sequence,
                logs: manifest.head.logs,
            })?;
            for log in &manifest.logs {
                dump_image(printer, log)?;
            }
            Ok(())
        }
        Err((position, error)) => printer.damage(path, position, error),
    }
}

fn dump_image(printer: &mut Printer, log: &LogImage) -> Result<(), Failure> {
    printer.item(&Item::Log {
        log: log.id.to_string(),
        topic: None,
        topic_id: log.partition.topic_id.to_string(),
        partition: log.partition.partition.get(),
        generation: log.generation,
        quarantined: log.quarantined,
        start_offset: log.log_start.get(),
        end_offset: log.log_end.get(),
        segments: log.segments.len(),
        lane_batches: 0,
    })?;
    for segment in &log.segments {
        printer.item(&segment_item(Some(log.id), segment))?;
    }
    Ok(())
}

fn segment_item(log: Option<LogId>, segment: &engine_log::format::SegmentImage) -> Item {
    Item::Segment {
        file: segment.file.to_string(),
        log: log.map(|log| log.to_string()),
        base_offset: Some(segment.base_offset.get()),
        end_offset: Some(segment.end_offset.get()),
        bytes: segment.bytes,
        sealed: Some(segment.sealed),
    }
}

fn dump_directory(
    printer: &mut Printer,
    directory: &Directory,
    arguments: &DumpArguments,
) -> Result<(), Failure> {
    for damage in &directory.damage {
        printer.damage(&damage.path, damage.position, &damage.what)?;
    }
    if arguments.physical {
        return dump_physical(printer, directory, arguments.deep);
    }
    if arguments.topic.is_none() && arguments.partition.is_none() {
        dump_current(printer, &directory.current)?;
    }
    let mut is_found = false;
    for log in directory.picture.logs.values() {
        let id = log.partition.topic_id;
        let name = directory.names.get(&id).map(String::as_str);
        let is_topic = arguments
            .topic
            .as_ref()
            .is_none_or(|wanted| name == Some(wanted) || id.to_string() == *wanted);
        let partition = log.partition.partition.get();
        if is_topic && arguments.partition.is_none_or(|wanted| wanted == partition) {
            is_found = true;
            dump_log(printer, directory, log, name, arguments.deep)?;
        }
    }
    if !is_found && (arguments.topic.is_some() || arguments.partition.is_some()) {
        let what = "the directory has no such log";
        return Err(
            Failure::new(Kind::NotFound, what).hint("`odradek log stat` shows those there are")
        );
    }
    Ok(())
}

fn dump_log(
    printer: &mut Printer,
    directory: &Directory,
    log: &LogPicture,
    name: Option<&str>,
    deep: bool,
) -> Result<(), Failure> {
    printer.item(&Item::Log {
        log: log.id.to_string(),
        topic: name.map(str::to_owned),
        topic_id: log.partition.topic_id.to_string(),
        partition: log.partition.partition.get(),
        generation: log.generation,
        quarantined: log.quarantined,
        start_offset: log.log_start.get(),
        end_offset: log.log_end.get(),
        segments: log.segments.len(),
        lane_batches: log.lane.len(),
    })?;
    for segment in &log.segments {
        printer.item(&segment_item(None, segment))?;
    }
    if let Some(what) = log.misfit {
        printer.damage(&directory.path, 0, format!("log {}: {what}", log.id))?;
    }
    let is_metadata = log.partition.topic_id == TopicId::CLUSTER_METADATA;
    let path = &directory.path;
    directory.batches(log, |found| match found {
        Ok(found) => dump_batch(
            printer,
            path,
            &found.batch,
            found.position,
            deep,
            is_metadata,
        ),
        Err(damage) => printer.damage(&damage.path, damage.position, damage.what),
    })
}

fn dump_batch(
    printer: &mut Printer,
    path: &Path,
    batch: &Batch,
    position: u64,
    deep: bool,
    is_metadata: bool,
) -> Result<(), Failure> {
    let checked = batch.check_crc();
    let item = BatchItem::new(batch, position, checked.is_ok());
    printer.item(&Item::Batch(item))?;
    if let Err(error) = checked {
        return printer.damage(path, position, error);
    }
    if !deep {
        return Ok(());
    }
    if is_metadata {
        return match replication_metadata::decode_batch(batch) {
            Ok(records) => {
                for (offset, record) in records {
                    let (offset, record) = (offset.get(), format!("{record:?}"));
                    printer.item(&Item::MetadataRecord { offset, record })?;
                }
                Ok(())
            }
            Err(error) => printer.damage(path, position, error),
        };
    }
    for record in batch.records(DECOMPRESSED_BYTES_MAX) {
        match record {
            Ok(record) => printer.item(&Item::Record(RecordItem::new(batch, &record)))?,
            Err(error) => return printer.damage(path, position, error),
        }
    }
    Ok(())
}

/// The batches of a payload that begins at `start`.
fn dump_payload(
    printer: &mut Printer,
    path: &Path,
    payload: &Bytes,
    start: u64,
    deep: bool,
) -> Result<(), Failure> {
    let (found, problem) = batches_of(payload, start);
    for found in found {
        dump_batch(printer, path, &found.batch, found.position, deep, false)?;
    }
    match problem {
        Some((position, what)) => printer.damage(path, position, what),
        None => Ok(()),
    }
}

fn dump_physical(printer: &mut Printer, directory: &Directory, deep: bool) -> Result<(), Failure> {
    dump_current(printer, &directory.current)?;
    for lane in &directory.lanes {
        if let Some((file, number, head)) = lane.manifest {
            printer.item(&Item::Manifest {
                lane: lane.image.lane,
                file: file.to_string(),
                number,
                run: head.run,
                sequence: head.sequence,
                logs: head.logs,
            })?;
        }
        for file in &lane.image.files {
            printer.item(&Item::Lane {
                lane: lane.image.lane,
                file: file.file.to_string(),
                bytes: file.bytes,
            })?;
            let path = directory.lane_path(file.file);
            if path.exists() {
                let current = Some(&directory.current);
                dump_lane(printer, &path, file.file, current, Some(&lane.chain), deep)?;
            }
        }
    }
    for log in directory.picture.logs.values() {
        for segment in &log.segments {
            let path = directory.segment_path(segment.file);
            if path.exists() {
                dump_segment(printer, &path, segment.file, Some(log.id), deep)?;
            }
        }
    }
    Ok(())
}

fn dump_lane(
    printer: &mut Printer,
    path: &Path,
    file: FileId,
    current: Option<&Current>,
    chain: Option<&Chain>,
    deep: bool,
) -> Result<(), Failure> {
    let mut source = Source::open(path)?;
    let mut headers: Vec<FrameHeader> = Vec::new();
    walk_lane(&mut source, current, file, |header| {
        headers.push(*header);
        Ok(())
    })?;
    for header in headers {
        let verdict = match chain.map(|chain| chain.verdict(&header)) {
            Some(Verdict::Live) => "live",
            Some(Verdict::Old) => "old",
            Some(Verdict::Torn) => "torn",
            Some(Verdict::Damaged) => "damaged",
            None => "",
        };
        printer.item(&Item::Frame {
            position: header.place.position,
            bytes: header.frame_bytes(),
            run: header.place.run,
            sequence: header.sequence,
            durable_sequence: header.durable_sequence,
            entries: header.entries,
            verdict,
        })?;
        let bytes = source.at(header.place.position, header.frame_bytes())?;
        match FrameView::decode(&bytes, &header.place) {
            Ok(view) => dump_entries(printer, path, &view, deep)?,
            // The rest of an old frame was written over; of a live one it should be there.
            Err(_) if matches!(verdict, "old" | "torn") => {}
            Err(error) => printer.damage(path, header.place.position, error)?,
        }
    }
    Ok(())
}

fn dump_entries(
    printer: &mut Printer,
    path: &Path,
    view: &FrameView,
    deep: bool,
) -> Result<(), Failure> {
    let position = view.header().place.position;
    for (row, entry) in view.entries() {
        printer.item(&Item::Entry {
            entry: entry_name(row.kind),
            log: row.log.to_string(),
            generation: row.generation,
            first_offset: row.first.get(),
            last_offset: row.last.get(),
            bytes: row.length,
        })?;
        match entry {
            Ok(engine_log::format::Entry::Append { records, .. }) if deep => {
                dump_payload(printer, path, &records, position, deep)?;
            }
            Ok(_) => {}
            Err(error) => printer.damage(path, position, error)?,
        }
    }
    Ok(())
}

const fn entry_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Create => "create",
        EntryKind::Append => "append",
        EntryKind::Epoch => "epoch",
        EntryKind::Truncate => "truncate",
        EntryKind::LogStart => "log_start",
        EntryKind::Replace => "replace",
        EntryKind::Delete => "delete",
    }
}

const fn holds(kind: ExtentKind) -> &'static str {
    match kind {
        ExtentKind::Records => "records",
        ExtentKind::Index => "index",
        ExtentKind::Footer => "footer",
        ExtentKind::Producers => "producers",
        ExtentKind::Epochs => "epochs",
        ExtentKind::AbortedTransactions => "aborted_transactions",
    }
}

fn dump_segment(
    printer: &mut Printer,
    path: &Path,
    file: FileId,
    log: Option<LogId>,
    deep: bool,
) -> Result<(), Failure> {
    let mut source = Source::open(path)?;
    printer.item(&Item::Segment {
        file: file.to_string(),
        log: log.map(|log| log.to_string()),
        base_offset: None,
        end_offset: None,
        bytes: source.size(),
        sealed: None,
    })?;
    walk_segment(
        &mut source,
        log.map(|log| (log, file)),
        None,
        |stands| match stands {
            Stands::Damage {
                position,
                bytes,
                error,
            } => printer.damage(
                path,
                position,
                format!("{error}; {bytes} bytes passed over"),
            ),
            Stands::Extent {
                position,
                view,
                checked,
            } => {
                let header = view.header;
                printer.item(&Item::Extent {
                    position,
                    bytes: header.extent_bytes(),
                    holds: holds(header.kind),
                    first_offset: header.first.get(),
                    last_offset: header.last.get(),
                    count: header.count,
                    checked,
                })?;
                if header.kind != ExtentKind::Records {
                    return Ok(());
                }
                let start = to_u64(engine_log::format::EXTENT_HEADER_BYTES);
                let start = position.saturating_add(start);
                dump_payload(printer, path, &view.payload, start, deep)
            }
        },
    )
}
