//! The check of one file by itself, where no directory says what it should be.

use super::directory::read_current;
use super::finding::{Finding, Problem, Severity};
use super::manifest::{Slot, read_slot};
use super::segment::{Seen, SegmentCheck};
use super::{Files, Unreadable};
use crate::format::{BLOCK_BYTES, FileId, FormatError, FrameView, manifest_place};
use crate::number::to_u64;
use crate::offline::{FileKind, FrameAt, file_kind, frame_at};

/// Checks one file by itself: what it tells of itself must be right.
///
/// Damage of a frame is told although a broker may not need that frame any more.
/// Errors: there is no such file.
pub fn verify_file(
    files: &mut impl Files,
    path: &str,
    mut find: impl FnMut(Finding),
) -> Result<(), Unreadable> {
    let size = files
        .list()?
        .into_iter()
        .find(|(other, _)| other == path)
        .map(|(_, size)| size)
        .ok_or(Unreadable { errno: 2 })?;
    let name = path.rsplit('/').next().unwrap_or(path);
    match file_kind(name) {
        FileKind::Current => {
            if let Err(problem) = read_current(files) {
                find(Finding::new(path, 0, problem, Severity::Damage));
            }
        }
        FileKind::Manifest(file) => manifest(files, path, size, file, &mut find)?,
        FileKind::Lane(file) => lane(files, path, size, file, &mut find)?,
        FileKind::Segment(file) => {
            let mut check = SegmentCheck::unnamed(file, None, size);
            let mut see = |seen: Seen<'_>| {
                if let Seen::Finding(mut finding) = seen {
                    path.clone_into(&mut finding.file);
                    find(finding);
                }
            };
            while let Some((position, bytes)) = check.wants() {
                match files.read(path, position, bytes) {
                    Ok(bytes) => check.take(&bytes, &mut see),
                    Err(error) => check.unreadable(error.errno),
                }
            }
            check.finish(&mut see);
        }
        FileKind::Empty => {}
        FileKind::Foreign => find(Finding::new(path, 0, Problem::Foreign, Severity::Note)),
    }
    Ok(())
}

fn manifest(
    files: &mut impl Files,
    path: &str,
    size: u64,
    file: FileId,
    find: &mut impl FnMut(Finding),
) -> Result<(), Unreadable> {
    if size == 0 {
        return Ok(());
    }
    let place = manifest_place(&files.read(path, 0, BLOCK_BYTES)?);
    let place = place.and_then(|place| {
        let foreign = FormatError::Foreign {
            what: "manifest piece",
            field: "file",
        };
        if place.file == file {
            Ok(place)
        } else {
            Err(foreign)
        }
    });
    let (position, problem) = match place {
        Err(error) => (0, Problem::Manifest(error)),
        Ok(place) => match read_slot(files, path, Some(size), place) {
            Slot::Broken { position, problem } => (position, problem),
            _ => return Ok(()),
        },
    };
    find(Finding::new(path, position, problem, Severity::Damage));
    Ok(())
}

fn lane(
    files: &mut impl Files,
    path: &str,
    size: u64,
    file: FileId,
    find: &mut impl FnMut(Finding),
) -> Result<(), Unreadable> {
    let mut position = 0_u64;
    while position < size {
        let head = files.read(path, position, BLOCK_BYTES)?;
        let step = match frame_at(&head, None, file, position) {
            FrameAt::Nothing => BLOCK_BYTES,
            FrameAt::Header(header) => {
                let bytes = files.read(path, position, header.frame_bytes())?;
                let checked =
                    FrameView::decode(&bytes, &header.place).and_then(|view| view.verify());
                match checked {
                    Ok(()) => header.frame_bytes(),
                    Err(error) => {
                        let sequence = header.sequence;
                        let problem = Problem::Frame { sequence, error };
                        // An old frame whose end was written over looks the same.
                        find(Finding::new(path, position, problem, Severity::Spare));
                        BLOCK_BYTES
                    }
                }
            }
        };
        position = position.saturating_add(to_u64(step));
    }
    Ok(())
}
