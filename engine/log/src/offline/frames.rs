//! The frames of a lane: found at a block, and judged as recovery would.

use crate::format::{FileId, FormatError, FrameHeader, FramePlace, FrameView};
use bytes::Bytes;
use engine_model::DirectoryId;
use std::collections::BTreeMap;

/// What stands at a block of a lane file.
#[derive(Clone, Debug)]
pub enum FrameAt {
    /// No frame begins here: zeros, or the inside of one.
    Nothing,
    /// A frame begins here whose header is sound and belongs here.
    Header(FrameHeader),
}

/// Looks for the header of a frame at `bytes`, of which 128 suffice, at `position` of `file`.
///
/// Any run is taken; `directory` is compared where it is known.
pub fn frame_at(
    bytes: &[u8],
    directory: Option<DirectoryId>,
    file: FileId,
    position: u64,
) -> FrameAt {
    match FrameHeader::decode(bytes) {
        Ok(header)
            if header.place.file == file
                && header.place.position == position
                && directory.is_none_or(|id| header.place.directory == id) =>
        {
            FrameAt::Header(header)
        }
        _ => FrameAt::Nothing,
    }
}

/// What recovery would make of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would be applied.
    Live,
    /// The manifest holds what it did, or it is of another run.
    Old,
    /// Behind a frame that is missing, and never acknowledged as durable.
    Torn,
    /// Damaged, or behind damage, although it was durable: acknowledged bytes are lost.
    Damaged,
}

/// The frames of one lane by sequence, as recovery goes through them.
#[derive(Clone, Debug)]
pub struct Chain {
    run: u64,
    /// The manifest's sequence: what it holds already.
    manifest_sequence: u64,
    durable_sequence: u64,
    frames: BTreeMap<u64, FramePlace>,
    /// The first sequence that cannot be applied, once `settle` was called.
    end: Option<u64>,
}

impl Chain {
    /// The chain of a lane whose manifest is of `run` and as of `manifest_sequence`.
    pub const fn new(run: u64, manifest_sequence: u64) -> Self {
        Self {
            run,
            manifest_sequence,
            durable_sequence: 0,
            frames: BTreeMap::new(),
            end: None,
        }
    }

    /// Takes a header that was found.
    pub fn add(&mut self, header: &FrameHeader) {
        if header.place.run == self.run {
            self.durable_sequence = self.durable_sequence.max(header.durable_sequence);
            self.frames.insert(header.sequence, header.place);
        }
    }

    /// The places of the frames that follow the manifest, in order, as far as there is no gap.
    pub fn following(&self) -> impl Iterator<Item = (u64, FramePlace)> {
        let first = self.manifest_sequence.saturating_add(1);
        let frames = self.frames.range(first..);
        frames
            .zip(first..)
            .take_while(|((sequence, _), expected)| *sequence == expected)
            .map(|((sequence, place), _)| (*sequence, *place))
    }

    /// Where the frame of a sequence lies, if one was found.
    pub fn place(&self, sequence: u64) -> Option<FramePlace> {
        self.frames.get(&sequence).copied()
    }

    /// How many frames of the run were found from `sequence` on.
    pub fn count_from(&self, sequence: u64) -> u64 {
        crate::number::to_u64(self.frames.range(sequence..).count())
    }

    /// Says that the frames before `sequence` are sound and that one is not, or not there.
    pub const fn settle(&mut self, sequence: u64) {
        self.end = Some(sequence);
    }

    /// What recovery makes of a frame.
    pub fn verdict(&self, header: &FrameHeader) -> Verdict {
        let sequence = header.sequence;
        if header.place.run != self.run || sequence <= self.manifest_sequence {
            return Verdict::Old;
        }
        match self.end {
            Some(end) if sequence >= end && self.is_damaged() => Verdict::Damaged,
            Some(end) if sequence >= end => Verdict::Torn,
            _ => Verdict::Live,
        }
    }

    /// Whether a frame is missing or damaged that was known to be durable.
    pub fn is_damaged(&self) -> bool {
        self.end.is_some_and(|end| self.durable_sequence >= end)
    }

    /// The largest sequence any frame knows to be durable.
    pub const fn durable_sequence(&self) -> u64 {
        self.durable_sequence
    }
}

/// Reads a whole frame: header, table, padding and every payload.
///
/// Errors: `Short` with the bytes needed; any other: it is damaged.
pub fn whole_frame(bytes: &Bytes, place: &FramePlace) -> Result<FrameView, FormatError> {
    let view = FrameView::decode(bytes, place)?;
    view.verify()?;
    Ok(view)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(run: u64, sequence: u64, durable_sequence: u64) -> FrameHeader {
        FrameHeader {
            place: FramePlace {
                directory: DirectoryId::from_bytes([7; 16]),
                lane: 0,
                run,
                file: FileId::default(),
                position: sequence.saturating_mul(4096),
            },
            sequence,
            durable_sequence,
            entries: 0,
            payload_bytes: 0,
            table_crc: 0,
        }
    }

    #[test]
    fn frames_are_judged_as_recovery_does() {
        let mut chain = Chain::new(5, 10);
        for found in [
            header(5, 9, 8),
            header(5, 11, 10),
            header(5, 12, 11),
            header(5, 14, 12),
        ] {
            chain.add(&found);
        }
        chain.add(&header(4, 13, 99));
        let following: Vec<u64> = chain.following().map(|(sequence, _)| sequence).collect();
        assert_eq!(following, [11, 12]);
        chain.settle(13);
        assert!(!chain.is_damaged());
        for (found, verdict) in [
            (header(4, 13, 0), Verdict::Old),
            (header(5, 9, 0), Verdict::Old),
            (header(5, 12, 0), Verdict::Live),
            (header(5, 14, 0), Verdict::Torn),
        ] {
            assert_eq!(chain.verdict(&found), verdict, "{found:?}");
        }
        // Some later frame knew 13 to be durable.
        chain.add(&header(5, 15, 13));
        assert!(chain.is_damaged());
        assert_eq!(chain.verdict(&header(5, 14, 0)), Verdict::Damaged);
    }
}
