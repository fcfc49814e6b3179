//! Reading a slot of a lane's manifests.

use super::Files;
use super::finding::Problem;
use crate::format::{
    FormatError, LogImage, MANIFEST_PIECE_BYTES, ManifestHead, ManifestPlace, ManifestReader,
};
use crate::number::to_u64;

/// A manifest as read.
pub(super) struct Manifest {
    pub(super) path: String,
    pub(super) number: u64,
    pub(super) head: ManifestHead,
    pub(super) logs: Vec<LogImage>,
}

/// What a slot holds.
pub(super) enum Slot {
    /// The file is not there.
    Missing,
    /// Nothing was written to it yet.
    Empty,
    /// A whole manifest, of this run or another.
    Whole(Manifest),
    /// Something else.
    Broken { position: u64, problem: Problem },
}

/// Reads the slot at `path`.
pub(super) fn read_slot(
    files: &mut impl Files,
    path: &str,
    size: Option<u64>,
    place: ManifestPlace,
) -> Slot {
    match size {
        None => return Slot::Missing,
        Some(0) => return Slot::Empty,
        Some(_) => {}
    }
    let mut reader = ManifestReader::new(place);
    let mut logs = Vec::new();
    let mut position = 0_u64;
    while !reader.is_complete() {
        let bytes = match files.read(path, position, MANIFEST_PIECE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                let problem = Problem::Unreadable { errno: error.errno };
                return Slot::Broken { position, problem };
            }
        };
        match reader.piece(&bytes, &mut logs) {
            Ok(taken) => position = position.saturating_add(to_u64(taken)),
            Err(error) => return broken(position, error),
        }
    }
    match reader.finish() {
        Ok((number, head)) => Slot::Whole(Manifest {
            path: path.to_owned(),
            number,
            head,
            logs,
        }),
        Err(error) => broken(position, error),
    }
}

const fn broken(position: u64, error: FormatError) -> Slot {
    Slot::Broken {
        position,
        problem: Problem::Manifest(error),
    }
}
