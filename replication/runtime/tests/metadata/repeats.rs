//! Repeats of an idempotent producer whose original is still on its way to the disk: a client that
//! has lost its connection sends again at once, over another one.

use crate::rig::*;
use core::cell::Cell;
use engine_model::{PartitionIndex, TopicPartition};
use engine_rt::sim::Simulation;
use replication_runtime::Acks;
use std::rc::Rc;

/// Appends batches and repeats of them side by side; what was acknowledged before it was stable.
pub fn hunt(seed: u64, acks: Acks) -> Result<(), String> {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node(1);
    run(&mut sim, node, 1, move |node| async move {
        let topic_id = node.create_one("t", 1).await.topic_id;
        let here = TopicPartition {
            topic_id,
            partition: PartitionIndex::ZERO,
        };
        let log = node.manager(here).store().find(here).unwrap();
        let early = Rc::new(Cell::new(0));
        for sequence in 0..4 {
            let records = idempotent_batch(7, sequence, &["a"]);
            let appends = (0..3).map(|_| {
                let (node, log, early) = (Rc::clone(&node), log.clone(), Rc::clone(&early));
                let records = records.clone();
                async move {
                    let answer = node.append(here, records, Some(acks)).await.unwrap();
                    if log.stable_end() <= answer.last_offset {
                        early.set(early.get() + 1);
                    }
                    answer.base_offset.get()
                }
            });
            let offsets = engine_shard::join_all(appends.collect()).await;
            assert_eq!(offsets, [i64::from(sequence); 3]);
        }
        match early.get() {
            0 => Ok(()),
            early => Err(format!("{early} acknowledged before they were stable")),
        }
    })
    .unwrap()
}

#[test]
fn a_repeat_is_acknowledged_with_its_original_and_not_before() {
    for seed in 60..64 {
        hunt(seed, Acks::All).unwrap();
    }
}
