//! The frames of a lane behind its manifest, judged and applied as recovery does.

use super::finding::{Finding, Problem, Severity};
use super::{Files, WINDOW_BYTES};
use crate::directory::lane_file_name;
use crate::format::{
    BLOCK_BYTES, Current, FRAME_HEADER_BYTES, FramePlace, FrameView, LaneImage, ManifestHead,
};
use crate::number::{to_u64, to_usize};
use crate::offline::{Chain, FrameAt, Picture, frame_at};
use bytes::Bytes;
use engine_model::LogId;

/// What a lane's frames say.
pub(super) struct Replayed {
    /// Logs that the frames made.
    pub(super) created: Vec<LogId>,
    /// A durable frame is missing or damaged: which logs it changed is not known.
    pub(super) is_cut: bool,
    /// Bytes that were looked at.
    pub(super) bytes: u64,
}

/// Finds the frames of a lane file.
fn walk(
    files: &mut impl Files,
    path: &str,
    size: u64,
    mut found: impl FnMut(&Bytes, u64) -> u64,
) -> Result<(), (u64, Problem)> {
    let mut position = 0_u64;
    while position < size {
        let window = files
            .read(path, position, WINDOW_BYTES)
            .map_err(|error| (position, Problem::Unreadable { errno: error.errno }))?;
        if window.len() < FRAME_HEADER_BYTES {
            return Ok(());
        }
        let mut at = 0_usize;
        while let Some(rest) = window.get(at..).filter(|r| r.len() >= FRAME_HEADER_BYTES) {
            let rest = window.slice_ref(rest);
            let step = found(&rest, position.saturating_add(to_u64(at)));
            at = at.saturating_add(to_usize(step));
        }
        position = position.saturating_add(to_u64(at));
        files.progress(path, position);
    }
    Ok(())
}

/// Reads the frames of a lane and applies those behind the manifest.
pub(super) fn replay(
    files: &mut impl Files,
    sizes: &impl Fn(&str) -> Option<u64>,
    current: &Current,
    lane: &LaneImage,
    head: &ManifestHead,
    picture: &mut Picture,
    find: &mut impl FnMut(Finding),
) -> Replayed {
    let mut chain = Chain::new(current.run, head.sequence);
    let mut replayed = Replayed {
        created: Vec::new(),
        is_cut: false,
        bytes: 0,
    };
    for file in &lane.files {
        let path = lane_file_name(file.file);
        let Some(size) = sizes(&path) else {
            find(Finding::new(&path, 0, Problem::Missing, Severity::Damage));
            continue;
        };
        if size < file.bytes {
            let problem = Problem::Short {
                needed: file.bytes,
                found: size,
            };
            // What it held and nothing else has is missing below, as frames.
            find(Finding::new(&path, size, problem, Severity::Spare));
        }
        let walked = walk(files, &path, size, |bytes, position| {
            match frame_at(bytes, Some(current.directory), file.file, position) {
                FrameAt::Nothing => to_u64(BLOCK_BYTES),
                FrameAt::Header(header) if header.place.run != current.run => to_u64(BLOCK_BYTES),
                FrameAt::Header(header) => {
                    chain.add(&header);
                    to_u64(header.frame_bytes())
                }
            }
        });
        replayed.bytes = replayed.bytes.saturating_add(size);
        if let Err((position, problem)) = walked {
            find(Finding::new(&path, position, problem, Severity::Damage));
        }
    }
    let default_path = lane
        .files
        .first()
        .map_or_else(String::new, |file| lane_file_name(file.file));
    let mut expected = head.sequence.saturating_add(1);
    loop {
        let is_durable = chain.durable_sequence() >= expected;
        let place = chain.place(expected);
        let frame = place.map(|place| read_frame(files, &place));
        let torn = |find: &mut dyn FnMut(Finding)| {
            let frames = chain.count_from(expected);
            if let Some(place) = place.filter(|_| frames > 0) {
                let path = lane_file_name(place.file);
                let problem = Problem::Torn { frames };
                find(Finding::new(&path, place.position, problem, Severity::Note));
            }
        };
        let view = match frame {
            Some(Ok(view)) if is_durable || view.verify().is_ok() => view,
            _ if !is_durable => {
                torn(find);
                return replayed;
            }
            other => {
                let (path, position) = place.map_or((default_path, 0), |place| {
                    (lane_file_name(place.file), place.position)
                });
                let problem = match other {
                    Some(Err(Problem::Extent(error))) => Problem::Frame {
                        sequence: expected,
                        error,
                    },
                    Some(Err(problem)) => problem,
                    _ => Problem::FrameMissing { sequence: expected },
                };
                find(Finding::new(&path, position, problem, Severity::Damage));
                replayed.is_cut = true;
                return replayed;
            }
        };
        apply(&view, expected, picture, &mut replayed, find);
        expected = expected.saturating_add(1);
    }
}

fn apply(
    view: &FrameView,
    sequence: u64,
    picture: &mut Picture,
    replayed: &mut Replayed,
    find: &mut impl FnMut(Finding),
) {
    let place = view.header().place;
    // A commit counts whole or not at all.
    let torn_commits: Vec<_> = view
        .entries()
        .filter(|(_, entry)| entry.is_err())
        .filter_map(|(row, _)| row.commit)
        .collect();
    for (number, (row, entry)) in view.entries().enumerate() {
        let is_torn = row
            .commit
            .is_some_and(|commit| torn_commits.contains(&commit));
        match entry {
            Ok(entry) if !is_torn => {
                if matches!(entry, crate::format::Entry::Create { .. }) {
                    replayed.created.push(row.log);
                }
                picture.apply(&entry, sequence, number);
            }
            Ok(_) => picture.set_apart(row.log),
            Err(error) => {
                let path = lane_file_name(place.file);
                let problem = Problem::Entry { sequence, error };
                let mut finding = Finding::new(&path, place.position, problem, Severity::Damage);
                finding.log = Some(row.log);
                if row.first <= row.last {
                    finding.offsets = Some((row.first, row.last));
                }
                find(finding);
                picture.set_apart(row.log);
            }
        }
    }
}

/// Reads a frame whose header was right.
fn read_frame(files: &mut impl Files, place: &FramePlace) -> Result<FrameView, Problem> {
    let path = lane_file_name(place.file);
    let mut read = |bytes| {
        files
            .read(&path, place.position, bytes)
            .map_err(|error| Problem::Unreadable { errno: error.errno })
    };
    let head = read(FRAME_HEADER_BYTES)?;
    let needed = crate::format::FrameHeader::decode(&head)
        .map_err(Problem::Extent)?
        .frame_bytes();
    FrameView::decode(&read(needed)?, place).map_err(Problem::Extent)
}
