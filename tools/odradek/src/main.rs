//! The odradek binary: server and command line.

fn main() {}
