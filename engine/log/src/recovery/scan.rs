//! Finding the frames of a run in the files of a lane (step 13).
//!
//! A frame's header has its own checksum and names directory, lane, run, file and position, so one
//! that decodes is a frame written there in this run; its length leads to the next one. Where none
//! begins, every block is looked at: behind a torn frame later ones may lie.
//!
//! A lane file that is shorter than CURRENT says, or begins with a frame of another, has lost what it
//! held; how much that was, nobody knows. One that went back to an earlier state, zeros included,
//! cannot be told from one that nothing more was written to.

use super::{Recovery, length};
use crate::directory::lane_file_name;
use crate::error::OpenError;
use crate::format::{BLOCK_BYTES, FRAME_HEADER_BYTES, FileId, FrameHeader, FramePlace, LaneImage};
use crate::number::to_u64;
use bytes::Bytes;
use engine_model::planted::{self, Bug};
use engine_rt::{File, FileOptions};
use std::collections::BTreeMap;

/// Bytes of one read of the scan.
const WINDOW_BYTES: u64 = 1 << 20;

/// Where a frame lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) half: usize,
    pub(super) place: FramePlace,
    pub(super) bytes: u64,
}

/// The frames of one lane.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) files: Vec<File>,
    /// By sequence.
    pub(super) frames: BTreeMap<u64, Found>,
    /// The largest durable sequence any of them carries.
    pub(super) durable_sequence: u64,
    /// A frame in its right place says that it is of a run that never was. The next run must not
    /// meet it there.
    pub(super) is_ahead: bool,
    /// A file is not the one that was here, or not all of it: what it held may have been durable.
    pub(super) is_incomplete: bool,
}

/// A part of a file in memory.
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Window {
    /// The bytes at `position`, read if they are not here.
    async fn at(&mut self, file: &File, position: u64) -> Result<&[u8], OpenError> {
        let is_inside = |window: &Self| {
            position >= window.start
                && position.saturating_add(to_u64(FRAME_HEADER_BYTES))
                    <= window.start.saturating_add(to_u64(window.bytes.len()))
        };
        if !is_inside(self) {
            self.bytes = file.read_at(position, length(WINDOW_BYTES)).await?;
            self.start = position;
        }
        let from = length(position.saturating_sub(self.start));
        Ok(self.bytes.get(from..).unwrap_or_default())
    }
}

impl Recovery<'_> {
    pub(super) async fn scan(&self, lane: &LaneImage) -> Result<Scan, OpenError> {
        let mut scan = Scan::default();
        for (half, image) in lane.files.iter().enumerate() {
            let name = lane_file_name(image.file);
            let file = self
                .root
                .open_file(&name, FileOptions::READ.direct())
                .await?;
            let size = file.size().await?;
            if size < image.bytes {
                tracing::error!(
                    name,
                    size,
                    expected = image.bytes,
                    "a lane file was cut short"
                );
                scan.is_incomplete = true;
            }
            self.scan_file(lane.lane, half, image.file, &file, &mut scan)
                .await?;
            scan.files.push(file);
        }
        Ok(scan)
    }

    async fn scan_file(
        &self,
        lane: u16,
        half: usize,
        id: FileId,
        file: &File,
        scan: &mut Scan,
    ) -> Result<(), OpenError> {
        let size = file.size().await?;
        let mut window = Window {
            start: 0,
            bytes: Bytes::new(),
        };
        let mut position = 0_u64;
        while position < size {
            let bytes = window.at(file, position).await?;
            let place = FramePlace {
                directory: self.before.directory,
                lane,
                run: self.before.run,
                file: id,
                position,
            };
            let decoded = FrameHeader::decode(bytes).ok();
            if let Some(header) = &decoded {
                let later = FramePlace {
                    run: header.place.run,
                    ..place
                };
                scan.is_ahead |= header.place.run > place.run && header.place == later;
            }
            // Half of a lane always begins with a frame of its own, in whatever way it is torn.
            let astray = |header: &FrameHeader| is_astray(header, &place);
            if position == 0 && decoded.as_ref().is_some_and(astray) {
                tracing::error!(file = %id, "a lane file holds what belongs into another");
                scan.is_incomplete = true;
            }
            let header = decoded.filter(|header| {
                if planted::is(Bug::OlderRunAccepted) {
                    return header.place.position == position && header.place.file == id;
                }
                header.expect_place(&place).is_ok()
            });
            let step = match header {
                Some(header) => {
                    let bytes = to_u64(header.frame_bytes());
                    let durable = scan.durable_sequence.max(header.durable_sequence);
                    scan.durable_sequence = durable;
                    let found = Found {
                        half,
                        place: header.place,
                        bytes,
                    };
                    scan.frames.insert(header.sequence, found);
                    bytes
                }
                None => to_u64(BLOCK_BYTES),
            };
            position = position.saturating_add(step);
            engine_rt::yield_if_due().await;
        }
        Ok(())
    }
}

/// Whether a frame of this directory and run lies where another belongs.
fn is_astray(header: &FrameHeader, place: &FramePlace) -> bool {
    let found = &header.place;
    found.directory == place.directory
        && found.run == place.run
        && header.expect_place(place).is_err()
}
