//! Files, read in windows.

use crate::failure::{Failure, Kind};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much is read at once, in bytes.
const WINDOW_BYTES: usize = 1 << 20;

/// A file that is being read.
pub struct Source {
    path: PathBuf,
    file: File,
    size: u64,
    start: u64,
    window: Bytes,
}

/// The failure of a file that cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::PermissionDenied => Kind::Refused,
        _ => Kind::Failed,
    };
    Failure::new(kind, format!("cannot read {}: {error}", path.display()))
}

impl Source {
    /// Opens a file for reading.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| unreadable(path, &error);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            start: 0,
            window: Bytes::new(),
        })
    }

    /// Its size when it was opened.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The bytes from `position` on: at least `needed`, or as many as there are.
    pub fn at(&mut self, position: u64, needed: usize) -> Result<Bytes, Failure> {
        let inside = position.checked_sub(self.start);
        let inside = inside.and_then(|inside| usize::try_from(inside).ok());
        if let Some(inside) = inside
            && inside <= self.window.len()
            && self.window.len() - inside >= needed
        {
            return Ok(self.window.slice(inside..));
        }
        let left = usize::try_from(self.size.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; WINDOW_BYTES.max(needed).min(left)];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let from = position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            match self.file.read_at(rest, from) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&self.path, &error)),
            }
        }
        bytes.truncate(read);
        self.start = position;
        self.window = bytes.into();
        Ok(self.window.clone())
    }
}
