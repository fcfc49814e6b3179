//! The files of a data directory on disk, for checks.

use super::source::unreadable;
use crate::failure::Failure;
use bytes::Bytes;
use engine_log::offline::verify::{Files, Unreadable};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How many bytes are read between two lines of progress.
const PROGRESS_BYTES: u64 = 64 << 20;

/// A directory, and the file that was read last.
pub struct Disk {
    root: PathBuf,
    open: Option<(String, File)>,
    /// Where progress is told.
    is_watched: bool,
    read_bytes: u64,
    told_bytes: u64,
}

impl Disk {
    /// The directory at `root`.
    pub fn new(root: &Path, is_quiet: bool) -> Self {
        Self {
            root: root.to_owned(),
            open: None,
            is_watched: !is_quiet && io::stderr().is_terminal(),
            read_bytes: 0,
            told_bytes: 0,
        }
    }

    /// Whether it holds files of a data directory.
    pub fn is_data_directory(&mut self) -> Result<bool, Failure> {
        let files = self
            .list()
            .map_err(|error| unreadable(&self.root, &io::Error::from_raw_os_error(error.errno)))?;
        let is_ours = |path: &String| {
            use engine_log::offline::{FileKind, file_kind};
            let name = path.rsplit('/').next().unwrap_or(path);
            !matches!(file_kind(name), FileKind::Foreign | FileKind::Empty)
        };
        Ok(files.iter().any(|(path, _)| is_ours(path)))
    }

    /// Takes the line of progress away.
    pub fn end_progress(&mut self) {
        if self.is_watched && self.told_bytes > 0 {
            // Nobody is left to tell if stderr is closed.
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn failed(error: &io::Error) -> Unreadable {
    Unreadable {
        errno: error.raw_os_error().unwrap_or(0),
    }
}

impl Files for Disk {
    fn list(&mut self) -> Result<Vec<(String, u64)>, Unreadable> {
        let mut files = Vec::new();
        for prefix in ["", "segments/"] {
            let entries = match std::fs::read_dir(self.root.join(prefix)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !prefix.is_empty() => {
                    continue;
                }
                Err(error) => return Err(failed(&error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| failed(&error))?;
                // What a running broker deletes meanwhile is not there.
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if metadata.is_file() {
                    let name = entry.file_name();
                    files.push((
                        format!("{prefix}{}", name.to_string_lossy()),
                        metadata.len(),
                    ));
                }
            }
        }
        files.sort();
        Ok(files)
    }

    fn read(&mut self, path: &str, position: u64, bytes: usize) -> Result<Bytes, Unreadable> {
        if self.open.as_ref().is_none_or(|(open, _)| open != path) {
            let file = File::open(self.root.join(path)).map_err(|error| failed(&error))?;
            self.open = Some((path.to_owned(), file));
        }
        let Some((_, file)) = &self.open else {
            return Ok(Bytes::new());
        };
        let mut buffer = vec![0; bytes];
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let from = position.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            match file.read_at(rest, from) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        buffer.truncate(read);
        self.read_bytes = self
            .read_bytes
            .saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(buffer.into())
    }

    fn progress(&mut self, path: &str, _position: u64) {
        if self.is_watched && self.read_bytes >= self.told_bytes.saturating_add(PROGRESS_BYTES) {
            self.told_bytes = self.read_bytes;
            let megabytes = self.read_bytes >> 20;
            // Nobody is left to tell if stderr is closed.
            let _ = write!(
                io::stderr().lock(),
                "\r\x1b[K{megabytes} MiB checked, {path}"
            );
        }
    }
}
