//! What stands in the files of lanes and segments, from their beginnings on, and the batches in it.

use super::source::Source;
use crate::failure::Failure;
use bytes::Bytes;
use engine_codec::{Batch, batches};
use engine_log::format::{
    BLOCK_BYTES, Current, ExtentPlace, ExtentView, FRAME_HEADER_BYTES, FileId, FormatError,
};
use engine_log::offline::{ExtentAt, FrameAt, extent_at, frame_at};
use engine_model::LogId;

/// A batch and where it was found.
pub struct Found {
    pub batch: Batch,
    /// Bytes from the start of the file it lies in.
    pub position: u64,
}

pub fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Shows the header of every frame in a lane file, of any run.
pub fn walk_lane(
    source: &mut Source,
    current: Option<&Current>,
    file: FileId,
    mut show: impl FnMut(&engine_log::format::FrameHeader) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut position = 0_u64;
    while position < source.size() {
        let bytes = source.at(position, FRAME_HEADER_BYTES)?;
        let directory = current.map(|current| current.directory);
        let step = match frame_at(&bytes, directory, file, position) {
            FrameAt::Nothing => to_u64(BLOCK_BYTES),
            FrameAt::Header(header) => {
                show(&header)?;
                to_u64(header.frame_bytes())
            }
        };
        position = position.saturating_add(step);
    }
    Ok(())
}

/// What stands in a segment file.
pub enum Stands {
    Extent {
        position: u64,
        view: ExtentView,
        checked: bool,
    },
    /// From here on, so many bytes are no sound extent.
    Damage {
        position: u64,
        bytes: u64,
        error: FormatError,
    },
}

/// Shows what stands in a segment file up to `end`, or to where nothing was written.
pub fn walk_segment(
    source: &mut Source,
    place: Option<(LogId, FileId)>,
    end: Option<u64>,
    mut show: impl FnMut(Stands) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let is_bounded = end.is_some();
    let end = end.unwrap_or(u64::MAX).min(source.size());
    let mut position = 0_u64;
    let mut broken: Option<(u64, FormatError)> = None;
    let mut is_blank = true;
    while position < end {
        let place = place.map(|(log, file)| ExtentPlace {
            log,
            file,
            position,
        });
        let mut bytes = source.at(position, BLOCK_BYTES)?;
        let mut at = extent_at(&bytes, place.as_ref());
        if let ExtentAt::Short { needed } = at {
            bytes = source.at(position, needed)?;
            at = extent_at(&bytes, place.as_ref());
        }
        let error = match at {
            ExtentAt::Extent { view, verified } => {
                if let Some((from, error)) = broken.take() {
                    let bytes = position.saturating_sub(from);
                    show(Stands::Damage {
                        position: from,
                        bytes,
                        error,
                    })?;
                }
                let bytes = to_u64(view.header.extent_bytes());
                is_blank = true;
                show(Stands::Extent {
                    position,
                    view,
                    checked: verified,
                })?;
                position = position.saturating_add(bytes);
                continue;
            }
            ExtentAt::End => FormatError::Magic { what: "extent" },
            ExtentAt::Damaged(error) => {
                is_blank = false;
                error
            }
            ExtentAt::Short { needed } => {
                is_blank = false;
                FormatError::Short {
                    what: "extent",
                    needed,
                    found: bytes.len(),
                }
            }
        };
        broken.get_or_insert((position, error));
        position = position.saturating_add(to_u64(BLOCK_BYTES));
    }
    match broken {
        // Room that nothing was written to yet.
        Some(_) if is_blank && !is_bounded => Ok(()),
        Some((from, error)) => show(Stands::Damage {
            position: from,
            bytes: end.saturating_sub(from),
            error,
        }),
        None => Ok(()),
    }
}

/// The batches of a payload, each with its place behind `start`, and what is wrong where it ends.
pub fn batches_of(payload: &Bytes, start: u64) -> (Vec<Found>, Option<(u64, String)>) {
    let mut found = Vec::new();
    let mut position = start;
    for batch in batches(payload) {
        match batch {
            Ok(batch) => {
                let bytes = to_u64(batch.bytes().len());
                found.push(Found { batch, position });
                position = position.saturating_add(bytes);
            }
            Err(error) => return (found, Some((position, error.to_string()))),
        }
    }
    (found, None)
}
