//! What a shard has beside its logs: the mesh to other shards, purgatory, the memory budget.
//!
//! Everything here is local to one shard (`Rc`, `Cell`) but for the letters of the mesh. Nothing
//! knows what a log or a request is.

mod join;
pub mod memory_budget;
pub mod mesh;
pub mod purgatory;

pub use join::{join_all, poll_once};
pub use memory_budget::{Charge, MemoryBudget, MemoryPool};
pub use mesh::{Mesh, MeshError, MeshOptions, MeshSeed};
pub use purgatory::{Mark, Purgatory, PurgatoryFull, WaitEnd, Waiter};
