//! CURRENT from the other files of a directory, where it is gone or does not parse.
//!
//! Every manifest and frame names directory, lane, run and file, and every file its run and lane by
//! its name, so the files of the newest run make it up again.
//!
//! Keeps: refuses where that is not certain. Does not: write it; the recovery that follows does.

use crate::directory::manifest_file_name;
use crate::error::OpenError;
use crate::format::{
    BLOCK_BYTES, Current, FRAME_HEADER_BYTES, FileId, FrameHeader, LaneFile, LaneImage,
    MANIFEST_PIECE_BYTES, ManifestPlace, ManifestReader, manifest_place,
};
use crate::number::{to_u64, to_usize};
use engine_model::DirectoryId;
use engine_rt::{Dir, FileOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Bytes of one read.
const WINDOW_BYTES: usize = 1 << 20;

/// Puts CURRENT together. Errors: `Unreadable` with the reason.
pub(crate) async fn rebuild_current(root: &Dir, path: &Path) -> Result<Current, OpenError> {
    let refuse = |reason: String| OpenError::Unreadable {
        path: path.join("CURRENT").display().to_string(),
        reason: format!("it cannot be put together from the other files: {reason}"),
    };
    let mut slots: BTreeSet<FileId> = BTreeSet::new();
    let mut lane_files: BTreeSet<FileId> = BTreeSet::new();
    for entry in root.list().await? {
        let of = |ending| entry.name.strip_suffix(ending).and_then(FileId::parse);
        slots.extend(of(".manifest"));
        lane_files.extend(of(".lane"));
    }
    // Lanes with a whole manifest, by run; all of one directory.
    let mut runs: BTreeMap<u64, BTreeSet<u16>> = BTreeMap::new();
    let mut directory: Option<DirectoryId> = None;
    for slot in &slots {
        let Some((place, run)) = whole_manifest(root, *slot).await? else {
            continue;
        };
        if directory.is_some_and(|known| known != place.directory) {
            return Err(refuse("there are manifests of two directories".to_owned()));
        }
        directory = Some(place.directory);
        runs.entry(run).or_default().insert(place.lane);
    }
    let Some(directory) = directory else {
        return Err(refuse("no manifest can be read".to_owned()));
    };
    let mut written = 0_u64;
    for file in &lane_files {
        written = written.max(newest_run(root, *file, directory).await?);
    }
    let is_whole = |lanes: &BTreeSet<u16>| {
        lanes
            .iter()
            .zip(0_u16..)
            .all(|(lane, number)| *lane == number)
    };
    // What a run wrote into a lane says that its CURRENT stood. Without that the older of two may be
    // the one that counts, and says the same.
    let run = if runs.get(&written).is_some_and(is_whole) {
        written
    } else {
        let mut whole = runs
            .iter()
            .filter(|(run, lanes)| **run > written && is_whole(lanes));
        match whole.next() {
            Some((run, _)) => *run,
            None => return Err(refuse(format!("no manifest of run {written} can be read"))),
        }
    };
    let lanes = runs.remove(&run).unwrap_or_default();
    let mut images = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let mut of_lane = slots.iter().filter(|s| s.run == run && s.lane == lane);
        let (Some(even), Some(odd)) = (of_lane.next(), of_lane.next()) else {
            return Err(refuse(format!(
                "lane {lane} does not have two manifest files"
            )));
        };
        let mut files = Vec::new();
        for file in lane_files.iter().filter(|file| file.lane == lane) {
            let name = crate::directory::lane_file_name(*file);
            let opened = root.open_file(&name, FileOptions::READ).await?;
            files.push(LaneFile {
                file: *file,
                bytes: opened.size().await?,
            });
        }
        images.push(LaneImage {
            lane,
            files,
            manifests: [*even, *odd],
        });
    }
    Ok(Current {
        directory,
        run,
        clean: false,
        lanes: images,
    })
}

/// Place and run of the manifest in a slot, if a whole one is there.
async fn whole_manifest(
    root: &Dir,
    slot: FileId,
) -> Result<Option<(ManifestPlace, u64)>, OpenError> {
    let options = FileOptions::READ.direct();
    let file = root.open_file(&manifest_file_name(slot), options).await?;
    let Ok(bytes) = file.read_at(0, BLOCK_BYTES).await else {
        return Ok(None);
    };
    let place = manifest_place(&bytes)
        .ok()
        .filter(|place| place.file == slot);
    let Some(place) = place else {
        return Ok(None);
    };
    let mut reader = ManifestReader::new(place);
    let mut position = 0_u64;
    let mut logs = Vec::new();
    while !reader.is_complete() {
        let Ok(bytes) = file.read_at(position, MANIFEST_PIECE_BYTES).await else {
            return Ok(None);
        };
        match reader.piece(&bytes, &mut logs) {
            Ok(taken) => position = position.saturating_add(to_u64(taken)),
            Err(_) => return Ok(None),
        }
        logs.clear();
        engine_rt::yield_if_due().await;
    }
    Ok(reader.finish().ok().map(|(_, head)| (place, head.run)))
}

/// The newest run whose frames a lane file holds; 0 if there are none.
async fn newest_run(root: &Dir, id: FileId, directory: DirectoryId) -> Result<u64, OpenError> {
    let name = crate::directory::lane_file_name(id);
    let file = root.open_file(&name, FileOptions::READ.direct()).await?;
    let size = file.size().await?;
    let mut newest = 0;
    let mut start = 0_u64;
    while start < size {
        let window = file.read_at(start, WINDOW_BYTES).await.unwrap_or_default();
        let mut at = 0_usize;
        while let Some(rest) = window.get(at..).filter(|r| r.len() >= FRAME_HEADER_BYTES) {
            if let Ok(header) = FrameHeader::decode(rest) {
                let place = header.place;
                let position = start.saturating_add(to_u64(at));
                let is_here = place.file == id && place.position == position;
                if is_here && place.directory == directory {
                    newest = newest.max(place.run);
                }
            }
            at = at.saturating_add(BLOCK_BYTES);
        }
        start = start.saturating_add(to_u64(at.max(to_usize(to_u64(BLOCK_BYTES)))));
        engine_rt::yield_if_due().await;
    }
    Ok(newest)
}
