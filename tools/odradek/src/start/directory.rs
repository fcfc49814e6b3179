//! Where the data is: a directory that stays, or one that goes at the end.

use crate::failure::{Failure, Kind};
use engine_config::BrokerConfig;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The data directory of one run.
pub struct DataDirectory {
    path: PathBuf,
    is_ephemeral: bool,
}

impl DataDirectory {
    /// The one of the settings, or a new one below the system's directory for temporary files.
    pub fn new(config: &BrokerConfig, is_ephemeral: bool) -> Result<Self, Failure> {
        let path = if is_ephemeral {
            let path = unused_path();
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(|error| {
                    let what = format!("cannot make {}: {error}", path.display());
                    Failure::new(Kind::Failed, what)
                })?;
            path
        } else {
            PathBuf::from(&config.data_dir)
        };
        Ok(Self { path, is_ephemeral })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is removed at the end.
    pub const fn is_ephemeral(&self) -> bool {
        self.is_ephemeral
    }

    /// The path to remove at the end, if it is to be.
    pub fn to_remove(&self) -> Option<PathBuf> {
        self.is_ephemeral.then(|| self.path.clone())
    }

    /// Removes what is to be removed.
    pub fn remove(&self) -> Result<(), Failure> {
        if !self.is_ephemeral {
            return Ok(());
        }
        std::fs::remove_dir_all(&self.path).map_err(|error| {
            let what = format!("cannot remove {}: {error}", self.path.display());
            Failure::new(Kind::Failed, what)
        })
    }
}

impl Drop for DataDirectory {
    /// After a failure too. What is gone already, or cannot be removed, stays as it is.
    fn drop(&mut self) {
        let _ = self.remove();
    }
}

/// A name nobody else has; making the directory fails if somebody does.
fn unused_path() -> PathBuf {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!("odradek-{}-{:x}", std::process::id(), since.as_nanos());
    std::env::temp_dir().join(name)
}
