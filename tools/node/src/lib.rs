//! One node, wired from all the crates below.
