//! Reading the newest valid manifest of a lane (step 12), and what a crashed recovery left.

use super::{Recovery, length};
use crate::directory::{manifest_file_name, segments_directory};
use crate::error::OpenError;
use crate::format::{
    FileId, FormatError, LaneImage, LogImage, MANIFEST_PIECE_BYTES, ManifestHead, ManifestPlace,
    ManifestReader,
};
use crate::number::to_u64;
use engine_rt::FileOptions;

/// A manifest as read.
pub(super) struct Manifest {
    pub(super) number: u64,
    pub(super) head: ManifestHead,
    pub(super) logs: Vec<LogImage>,
}

impl Recovery<'_> {
    /// The newest valid manifest of a lane.
    ///
    /// Errors: `Unreadable` if neither slot holds one: without it nothing of the lane can be told.
    pub(super) async fn read_manifest(&self, lane: &LaneImage) -> Result<Manifest, OpenError> {
        let mut newest: Option<Manifest> = None;
        let mut reason = String::from("neither slot holds a manifest");
        for slot in lane.manifests {
            match self.read_slot(lane.lane, slot).await? {
                Ok(manifest) if manifest.head.run == self.before.run => {
                    if newest.as_ref().is_none_or(|n| n.number < manifest.number) {
                        newest = Some(manifest);
                    }
                }
                Ok(manifest) => reason = format!("its run is {}", manifest.head.run),
                Err(error @ FormatError::Newer { .. }) => {
                    return Err(self.unreadable(slot, error.to_string()));
                }
                Err(error) => reason = error.to_string(),
            }
        }
        let [slot, _] = lane.manifests;
        newest.ok_or_else(|| self.unreadable(slot, reason))
    }

    fn unreadable(&self, slot: FileId, reason: String) -> OpenError {
        OpenError::Unreadable {
            path: self
                .path
                .join(manifest_file_name(slot))
                .display()
                .to_string(),
            reason,
        }
    }

    async fn read_slot(
        &self,
        lane: u16,
        slot: FileId,
    ) -> Result<Result<Manifest, FormatError>, OpenError> {
        let name = manifest_file_name(slot);
        let file = match self.root.open_file(&name, FileOptions::READ.direct()).await {
            Err(error) if error.is_not_found() => {
                return Ok(Err(FormatError::Magic { what: "manifest" }));
            }
            other => other?,
        };
        let mut reader = ManifestReader::new(ManifestPlace {
            directory: self.before.directory,
            lane,
            file: slot,
        });
        let mut logs = Vec::new();
        let mut position = 0_u64;
        while !reader.is_complete() {
            let bytes = file.read_at(position, MANIFEST_PIECE_BYTES).await?;
            match reader.piece(&bytes, &mut logs) {
                Ok(taken) => position = position.saturating_add(to_u64(taken)),
                Err(error) => return Ok(Err(error)),
            }
            engine_rt::yield_if_due().await;
        }
        Ok(reader
            .finish()
            .map(|(number, head)| Manifest { number, head, logs }))
    }

    /// Removes files that an earlier attempt at this run made: nothing ever named them.
    pub(super) async fn remove_failed_attempt(&self) -> Result<(), OpenError> {
        for directory in [self.root, &self.segments] {
            for entry in directory.list().await? {
                let stem = entry.name.split('.').next().unwrap_or_default();
                if FileId::parse(stem).is_some_and(|id| id.run == self.run) {
                    directory.remove_file(&entry.name).await?;
                }
            }
        }
        debug_assert_eq!(length(0), 0);
        debug_assert!(!segments_directory().is_empty());
        Ok(())
    }
}
