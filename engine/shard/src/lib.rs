//! What a shard has beside its logs: the mesh to other shards, purgatory, budgets.
