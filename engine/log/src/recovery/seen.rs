//! How far logs that are damaged once went, as the frames tell that are still there.
//!
//! Keeps: only tells; what is found counts for nothing but the report of a repair.

use super::{Recovery, length};
use crate::error::OpenError;
use crate::format::{BLOCK_BYTES, EntryKind, FRAME_HEADER_BYTES, FileId, FrameHeader, FrameView};
use crate::number::to_u64;
use bytes::Bytes;
use engine_rt::FileOptions;

/// Bytes of one read.
const WINDOW_BYTES: usize = 1 << 20;

impl Recovery<'_> {
    /// Looks through every lane file of the directory, also those that nothing names any more.
    pub(super) async fn look_for_ends(&mut self) -> Result<(), OpenError> {
        if !self.logs.values().any(|log| log.is_quarantined) {
            return Ok(());
        }
        for entry in self.root.list().await? {
            let id = entry.name.strip_suffix(".lane").and_then(FileId::parse);
            if let Some(id) = id {
                self.look_into(&entry.name, id).await?;
            }
        }
        Ok(())
    }

    async fn look_into(&mut self, name: &str, id: FileId) -> Result<(), OpenError> {
        let file = self
            .root
            .open_file(name, FileOptions::READ.direct())
            .await?;
        let size = file.size().await?;
        let mut window = Bytes::new();
        let mut start = 0_u64;
        let mut position = 0_u64;
        while position < size {
            let end = position.saturating_add(to_u64(FRAME_HEADER_BYTES));
            if position < start || end > start.saturating_add(to_u64(window.len())) {
                // A part that cannot be read tells nothing.
                window = file
                    .read_at(position, WINDOW_BYTES)
                    .await
                    .unwrap_or_default();
                start = position;
            }
            let at = length(position.saturating_sub(start));
            let rest = window.get(at..).unwrap_or_default();
            let header = FrameHeader::decode(rest).ok().filter(|header| {
                let place = &header.place;
                place.directory == self.before.directory
                    && place.file == id
                    && place.position == position
            });
            let step = if let Some(header) = header {
                let bytes = file.read_at(position, header.frame_bytes()).await;
                if let Some(view) = bytes
                    .ok()
                    .and_then(|bytes| FrameView::decode(&bytes, &header.place).ok())
                {
                    self.note_rows(&view);
                }
                header.frame_bytes()
            } else {
                BLOCK_BYTES
            };
            position = position.saturating_add(to_u64(step));
            engine_rt::yield_if_due().await;
        }
        Ok(())
    }

    fn note_rows(&mut self, view: &FrameView) {
        for row in view.rows() {
            let Some(log) = self.logs.get(&row.log).filter(|log| log.is_quarantined) else {
                continue;
            };
            let is_behind = row.last >= log.log_end && row.generation >= log.generation;
            if row.kind == EntryKind::Append && is_behind {
                let end = row.last.saturating_next();
                let seen = self.seen_ends.entry(row.log).or_insert(end);
                *seen = end.max(*seen);
            }
        }
    }
}
