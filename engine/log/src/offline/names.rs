//! Which file is what, by its name; and where a manifest says it lies.

use crate::format::{FileId, FormatError, ManifestPlace};
use crate::segment;
use engine_model::DirectoryId;

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

/// Where the manifest piece at the start of `bytes` says it lies: for reading a slot without
/// `CURRENT`. Nothing of it is checked; `ManifestReader` does that.
pub fn manifest_place(bytes: &[u8]) -> Result<ManifestPlace, FormatError> {
    let mut fields = crate::format::Fields::new("manifest piece", bytes);
    if fields.array()? != *b"ODMF" {
        return Err(FormatError::Magic {
            what: "manifest piece",
        });
    }
    fields.take(2)?;
    let lane = fields.u16()?;
    fields.take(8)?;
    let directory = DirectoryId::from_bytes(fields.array()?);
    fields.take(16)?;
    let file = fields.file_id()?;
    Ok(ManifestPlace {
        directory,
        lane,
        file,
    })
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
