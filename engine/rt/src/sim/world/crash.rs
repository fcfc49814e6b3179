//! The end of a node, or of everything: what was under way is cut short, tasks are dropped,
//! connections break.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Running, ShardKey, What, World};
use crate::op::OpId;
use crate::shard::Shard;
use crate::sim::disk::{CrashKind, CrashLosses, Disk};
use crate::sim::random::SeededRandom;

impl World {
    /// What the disk of `node` would be after a crash now.
    pub(in crate::sim) fn disk_after_crash(
        &self,
        node: usize,
        kind: CrashKind,
        random: &mut SeededRandom,
    ) -> (Disk, u64, CrashLosses) {
        let shards: BTreeMap<ShardKey, Rc<Shard>> = self
            .shards
            .borrow()
            .iter()
            .filter(|(_, running)| running.node == node)
            .map(|(key, running)| (*key, Rc::clone(&running.shard)))
            .collect();
        let mut under_way: Vec<(ShardKey, OpId, u64)> = self
            .calendar
            .borrow()
            .iter()
            .filter_map(|Reverse(event)| match event.what {
                What::Perform(key, id, mark) => Some((key, id, mark)),
                What::Touch(_) | What::Mail(_) | What::Resume(_) => None,
            })
            .filter(|(key, ..)| shards.contains_key(key))
            .collect();
        let nodes = self.nodes.borrow();
        let Some(state) = nodes.get(node) else {
            return (Disk::default(), 0, CrashLosses::default());
        };
        under_way.extend(state.interrupted.iter().copied());
        under_way.sort_unstable();
        let mut disk = state.kernel.disk.clone();
        let mut count = 0;
        while !under_way.is_empty() {
            let (key, id, mark) = under_way.swap_remove(random.index(under_way.len()));
            if let Some(shard) = shards.get(&key) {
                shard.with_operation(id, |operation| {
                    if state.kernel.mutates(operation) {
                        count += 1;
                        state.kernel.interrupt(operation, mark, &mut disk, random);
                    }
                });
            }
        }
        let losses = disk.crash(kind, random);
        (disk, count, losses)
    }

    /// Ends everything that runs on `node` at once; it comes up with what its disk kept.
    pub(in crate::sim) fn crash(&self, node: usize, kind: CrashKind) {
        let mut random = self.random.borrow_mut().fork();
        let (disk, interrupted, losses) = self.disk_after_crash(node, kind, &mut random);
        if let Some(node) = self.nodes.borrow_mut().get_mut(node) {
            node.kernel.restart(disk);
            node.kernel.count_crash(kind, interrupted, losses);
            node.frozen = false;
            node.interrupted.clear();
            node.paused_until = 0;
            node.paused.clear();
        }
        self.struck.set(false);
        let now = self.clock.get();
        self.network.borrow_mut().crash(node, now, &mut random);
        self.schedule_touched();
        self.kill_shards(Some(node));
        self.note(u64::try_from(node).unwrap_or(0) ^ 0xC4A5);
    }

    /// Drops the shards of one node, or of all.
    pub(in crate::sim) fn kill_shards(&self, node: Option<usize>) {
        let keys: Vec<ShardKey> = self
            .shards
            .borrow()
            .iter()
            .filter(|(_, running)| node.is_none_or(|node| running.node == node))
            .map(|(key, _)| *key)
            .collect();
        // All are taken out first: what is dropped below must not wake a sibling into life.
        let killed: Vec<(ShardKey, Running)> = keys
            .into_iter()
            .filter_map(|key| Some((key, self.shards.borrow_mut().remove(&key)?)))
            .collect();
        for (_, running) in &killed {
            running.shard.end();
        }
        for (key, running) in killed {
            let entered = running.shard.enter();
            running.shard.kill();
            self.executor.remove_shard(key);
            drop(running);
            drop(entered);
            self.cancelled
                .borrow_mut()
                .retain(|(owner, _)| *owner != key);
            for list in self.waiting.borrow_mut().values_mut() {
                list.retain(|(owner, _)| *owner != key);
            }
        }
    }
}
