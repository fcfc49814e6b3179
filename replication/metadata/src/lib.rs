//! The cluster metadata controller as a replayed machine, and the image it publishes.
