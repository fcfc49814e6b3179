//! Reading a data directory without opening it: what its files hold, judged unit by unit.
//!
//! Keeps: pure functions over bytes: nothing here reads a file, let alone writes one; damaged bytes
//! are told with their place, never a panic, and reading goes on behind them.
//! Does not: decide what a broker would serve where that needs more than the rules of recovery
//! (truncated producer state, sweeping). Whoever reads a directory that is in use sees a moment
//! that may never have been.
//! Source: ../FORMAT.md; the storage design, "Recovery", steps 12 to 15.

mod extents;
mod frames;
mod names;
mod picture;
pub mod verify;

pub use crate::format::manifest_place;
pub use extents::{ExtentAt, extent_at};
pub use frames::{Chain, FrameAt, Verdict, frame_at, whole_frame};
pub use names::{FileKind, file_kind};
pub use picture::{LaneBatch, LogPicture, Picture};
