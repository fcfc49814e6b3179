//! One node, wired from all the crates below, on either backend of `engine_rt`.
//!
//! ```text
//! shard 0                                  every other shard
//! --------------------------------------   ---------------------------------
//! open the data directory (recovery)
//! probe the ports
//! hand out the seeds           ----------> store, replicas, mesh
//!                              <---------- up
//! load the controller, publish the image
//! say where to listen          ----------> listen
//!                              <---------- listening
//! ready
//!   .. the directory is fenced ..
//! probe the disk until it works
//! stop the controller, the store  ---------> stop the store
//!                              <---------- what it had acknowledged
//! recover the directory
//! start the store              ----------> start the store
//!                              <---------- done
//! load the controller, publish the image
//!   .. stop is requested ..
//! connections answered and closed          connections answered and closed
//!                              <---------- quiet
//! nobody calls any more        ----------> leave the mesh, stop the store
//!                              <---------- stored
//! leave the mesh, stop the store,
//! mark the directory clean
//! ```
//!
//! Keeps: nobody is served before everything acknowledged is back and every shard listens; a stop
//! that answered everything and wrote a checkpoint on every shard is marked clean, no other is.
//! Does not: print, parse flags, or catch signals (`tools/odradek`).

mod error;
mod options;
mod orders;
mod shard;
mod wiring;

pub use error::{ExitClass, NodeError};
pub use options::{NodeOptions, Ready};
pub use wiring::Node;
