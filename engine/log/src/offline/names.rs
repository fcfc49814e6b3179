//! Which file is what, by its name.

use crate::format::FileId;
use crate::segment;

/// What a file of a data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `CURRENT`, or one that was about to become it.
    Current,
    /// One half of a lane.
    Lane(FileId),
    /// One slot of a lane's manifests.
    Manifest(FileId),
    /// Batches that left a lane.
    Segment(FileId),
    /// `LOCK` and `PROBE`, which hold nothing.
    Empty,
    /// None of ours.
    Foreign,
}

/// What the file of this name is.
pub fn file_kind(name: &str) -> FileKind {
    let of = |ending: &str| name.strip_suffix(ending).and_then(FileId::parse);
    match name {
        "CURRENT" | "CURRENT.new" => FileKind::Current,
        "LOCK" | "PROBE" => FileKind::Empty,
        _ => of(".lane")
            .map(FileKind::Lane)
            .or_else(|| of(".manifest").map(FileKind::Manifest))
            .or_else(|| segment::parse_file_name(name).map(FileKind::Segment))
            .unwrap_or(FileKind::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        let id = FileId {
            run: 3,
            lane: 1,
            counter: 7,
        };
        for (name, kind) in [
            ("CURRENT", FileKind::Current),
            ("LOCK", FileKind::Empty),
            ("3-1-7.lane", FileKind::Lane(id)),
            ("3-1-7.manifest", FileKind::Manifest(id)),
            ("3-1-7.segment", FileKind::Segment(id)),
            ("3-1-07.segment", FileKind::Foreign),
            ("3-1.lane", FileKind::Foreign),
            ("thesis.txt", FileKind::Foreign),
        ] {
            assert_eq!(file_kind(name), kind, "{name}");
        }
    }
}
