//! Drivers that tie state machines to logs and to peers.
