//! The fence: once raised, no store of the directory takes a change or acknowledges one.
//!
//! Keeps: it is raised once and for good; the first cause stays. A directory that was unfenced has
//! a new one.

use crate::error::FenceCause;
use std::sync::{Arc, OnceLock};

/// Shared by all stores of a directory, across shards.
#[derive(Clone, Debug, Default)]
pub(crate) struct FenceSignal {
    cause: Arc<OnceLock<FenceCause>>,
}

impl FenceSignal {
    /// Raises the fence; later causes are ignored.
    pub(crate) fn raise(&self, cause: FenceCause) {
        let text = cause.to_string();
        if self.cause.set(cause).is_ok() {
            tracing::error!(cause = text, "the data directory is fenced");
        }
    }

    /// Why it is raised, if it is.
    #[inline]
    pub(crate) fn cause(&self) -> Option<&FenceCause> {
        self.cause.get()
    }
}
