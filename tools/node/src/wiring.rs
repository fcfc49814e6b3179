//! Makes the mains of a node's shards and the links between them, before any of them runs.

use core::future::Future;
use core::pin::Pin;
use engine_model::ShardId;
use engine_rt::{ShardMain, System};
use engine_shard::{MemoryPool, MeshOptions, MeshSeed, mesh};
use net_broker::{Answer, Question};
use net_transport::{CONNECTION_BYTES, Door, DoorLimits};

use crate::options::NodeOptions;
use crate::orders;
use crate::shard::{self, ShardParts};

/// A node of one or more shards.
#[derive(Clone, Copy, Debug)]
pub struct Node;

impl Node {
    /// The mains of all shards of `system`, to be given to it (or to a simulation) to run.
    ///
    /// They end when the system is asked to stop, or when the node cannot start; what went wrong is
    /// told through `options.on_error`.
    pub fn mains(system: &System, options: NodeOptions) -> Vec<ShardMain> {
        let shards = system.shard_count();
        let mut seeds = mesh::build::<Question, Answer>(system, MeshOptions::default()).into_iter();
        let (followers, leaders) = orders::wire(system);
        let memory = MemoryPool::new(
            options.request_memory_bytes,
            options.transport.request_bytes_max,
            shards,
        );
        // What idle connections hold stays theirs: enough must be left for requests.
        let room = memory.shared_bytes() / 2 / CONNECTION_BYTES;
        let door = Door::new(DoorLimits {
            connections_max: options.door.connections_max.min(room),
            ..options.door.clone()
        });
        let parts = |index: usize, mesh: MeshSeed<Question, Answer>| ShardParts {
            shard: ShardId(u16::try_from(index).unwrap_or(u16::MAX)),
            shards,
            mesh,
            config: options.config.clone(),
            transport: options.transport.clone(),
            memory: memory.clone(),
            door: door.clone(),
        };
        let mut others = Vec::new();
        let first = seeds.next().map(|seed| parts(0, seed));
        for ((leader, seed), index) in leaders.into_iter().zip(seeds).zip(1..) {
            let parts = parts(index, seed);
            others.push(main(move || shard::follow(parts, leader)));
        }
        let mut mains = Vec::with_capacity(shards);
        if let Some(first) = first {
            mains.push(main(move || shard::lead(first, options, followers)));
        }
        mains.append(&mut others);
        mains
    }
}

fn main<F: Future<Output = ()> + 'static>(start: impl FnOnce() -> F + Send + 'static) -> ShardMain {
    Box::new(move || -> Pin<Box<dyn Future<Output = ()>>> { Box::pin(start()) })
}
