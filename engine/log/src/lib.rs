//! The storage engine: lane, logs, segments, checkpoints, recovery.
