//! Guards the shape of the tree: floors, licences, sources, duplicate versions, `unsafe`.
//!
//! Everything is in `tests/`; this library only gives the tests a package to live in.
