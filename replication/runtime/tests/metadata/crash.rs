//! Crashes at every write, flush and directory operation of a small workload, and what must hold
//! after the restart: acknowledged changes are there, the one in doubt is there or not, and nothing
//! else; ids and producer ids are never given twice; metadata and logs agree.

use crate::rig::*;
use core::cell::RefCell;
use core::time::Duration;
use engine_model::{ClusterId, PartitionIndex, TopicId, TopicPartition};
use engine_rt::sim::{CrashKind, DiskImage, SimNode, Simulation};
use replication_runtime::{Acks, ReplicaError};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What was acknowledged, and what was under way.
#[derive(Clone, Debug, Default)]
struct Oracle {
    cluster_id: Option<ClusterId>,
    topics: BTreeMap<String, (TopicId, usize)>,
    /// A topic whose creation or deletion was asked for and not answered.
    in_doubt: Option<String>,
    /// A topic that was to have so many partitions, which was not answered.
    growing: Option<(String, usize)>,
    /// Where logs begin whose oldest records were deleted.
    starts: BTreeMap<TopicPartition, i64>,
    /// Ids that must never be seen again.
    deleted: BTreeSet<TopicId>,
    /// The end of all producer ids that were handed out.
    producer_ids_end: i64,
    /// Records acknowledged to all, by partition.
    records: BTreeMap<TopicPartition, i64>,
    leader_epochs: BTreeMap<TopicPartition, i32>,
    broker_epoch: i64,
}

type Shared = Rc<RefCell<Oracle>>;

async fn create(node: &Node, oracle: &Shared, name: &str, partitions: i32) {
    oracle.borrow_mut().in_doubt = Some(name.to_owned());
    let created = node.create_one(name, partitions).await;
    let mut oracle = oracle.borrow_mut();
    oracle.in_doubt = None;
    assert!(
        !oracle.deleted.contains(&created.topic_id),
        "an id is given twice"
    );
    oracle
        .topics
        .insert(name.to_owned(), (created.topic_id, created.partition_count));
}

async fn grow(node: &Node, oracle: &Shared, name: &str, partitions: usize) {
    oracle.borrow_mut().growing = Some((name.to_owned(), partitions));
    node.grow(name, partitions).await;
    let mut oracle = oracle.borrow_mut();
    oracle.growing = None;
    oracle.topics.get_mut(name).unwrap().1 = partitions;
}

async fn delete_records(node: &Node, oracle: &Shared, name: &str, number: i32, below: i64) {
    let (topic_id, _) = oracle.borrow().topics[name];
    let here = TopicPartition {
        topic_id,
        partition: PartitionIndex::new(number),
    };
    let start = node.delete_records(here, below).await.unwrap();
    assert_eq!(start.get(), below);
    oracle.borrow_mut().starts.insert(here, below);
}

async fn delete(node: &Node, oracle: &Shared, name: &str) {
    oracle.borrow_mut().in_doubt = Some(name.to_owned());
    node.delete(&[name]).await.unwrap().remove(0).unwrap();
    let mut oracle = oracle.borrow_mut();
    oracle.in_doubt = None;
    let (topic_id, _) = oracle.topics.remove(name).unwrap();
    oracle.deleted.insert(topic_id);
    oracle
        .records
        .retain(|partition, _| partition.topic_id != topic_id);
}

async fn produce(node: &Node, oracle: &Shared, name: &str, number: i32, values: &[&str]) {
    let (topic_id, _) = oracle.borrow().topics[name];
    let here = TopicPartition {
        topic_id,
        partition: PartitionIndex::new(number),
    };
    let answer = node
        .append(here, batch(values), Some(Acks::All))
        .await
        .unwrap();
    let end = answer.last_offset.get() + 1;
    let mut oracle = oracle.borrow_mut();
    oracle.records.insert(here, end);
}

async fn producer_ids(node: &Node, oracle: &Shared) {
    let block = node.producer_ids().await.unwrap();
    let mut oracle = oracle.borrow_mut();
    assert!(
        block.first.0 >= oracle.producer_ids_end,
        "a producer id is given twice"
    );
    oracle.producer_ids_end = block.first.0 + block.count;
}

/// Notes what a start must have raised.
fn note_start(node: &Node, oracle: &Shared) {
    let image = node.image();
    let mut oracle = oracle.borrow_mut();
    oracle.cluster_id = image.cluster_id();
    oracle.broker_epoch = image.brokers().next().unwrap().epoch;
    for topic in image.topics() {
        for (partition, standing) in topic.numbered_partitions() {
            let here = TopicPartition {
                topic_id: topic.id,
                partition,
            };
            oracle
                .leader_epochs
                .insert(here, standing.leader_epoch.get());
        }
    }
}

async fn workload(node: Rc<Node>, oracle: Shared) {
    note_start(&node, &oracle);
    create(&node, &oracle, "a", 3).await;
    produce(&node, &oracle, "a", 0, &["1", "2"]).await;
    producer_ids(&node, &oracle).await;
    create(&node, &oracle, "b.c", 1).await;
    produce(&node, &oracle, "b.c", 0, &["3"]).await;
    grow(&node, &oracle, "b.c", 4).await;
    produce(&node, &oracle, "b.c", 3, &["7", "8"]).await;
    delete_records(&node, &oracle, "b.c", 3, 1).await;
    delete(&node, &oracle, "a").await;
    create(&node, &oracle, "a", 2).await;
    produce(&node, &oracle, "a", 1, &["4"]).await;
    delete(&node, &oracle, "b.c").await;
    producer_ids(&node, &oracle).await;
}

/// What a node does that comes up over what the first workload and a crash have left.
async fn second_workload(node: Rc<Node>, oracle: Shared) {
    note_start(&node, &oracle);
    producer_ids(&node, &oracle).await;
    let name = "x".to_owned();
    create(&node, &oracle, &name, 2).await;
    produce(&node, &oracle, &name, 1, &["5"]).await;
    if oracle.borrow().topics.contains_key("a") {
        produce(&node, &oracle, "a", 1, &["6"]).await;
        delete(&node, &oracle, "a").await;
    }
}

/// What must hold when a node is up again after a crash.
async fn check(node: Rc<Node>, before: Oracle, place: String) {
    let image = node.image();
    if let Some(cluster_id) = before.cluster_id {
        assert_eq!(image.cluster_id(), Some(cluster_id), "{place}");
    }
    let mut names: BTreeSet<&str> = image.topics().map(|topic| topic.name.as_str()).collect();
    let mut expected: BTreeSet<&str> = before.topics.keys().map(String::as_str).collect();
    if let Some(doubtful) = &before.in_doubt {
        names.remove(doubtful.as_str());
        expected.remove(doubtful.as_str());
    }
    assert_eq!(names, expected, "{place}");
    for (name, (topic_id, partitions)) in &before.topics {
        match image.topic_named(name) {
            Some(topic) => {
                let found = topic.partitions.len();
                let grown = before.growing.as_ref() == Some(&(name.clone(), found));
                assert_eq!(topic.id, *topic_id, "{place}");
                assert!(found == *partitions || grown, "{found}: {place}");
            }
            None => assert_eq!(before.in_doubt.as_ref(), Some(name)),
        }
    }
    assert!(
        image
            .topics()
            .all(|topic| !before.deleted.contains(&topic.id))
    );
    assert!(image.brokers().next().unwrap().epoch > before.broker_epoch);
    assert!(
        image.next_producer_id().0 >= before.producer_ids_end,
        "{place}"
    );
    assert_eq!(node.logs(), node.named_partitions(), "{place}");
    for here in node.named_partitions() {
        let standing = image.partition(here).unwrap();
        if let Some(epoch) = before.leader_epochs.get(&here) {
            assert!(
                standing.leader_epoch.get() > *epoch,
                "each start raises it: {place}"
            );
        }
        let replica = node.manager(here).replica(here).unwrap();
        let acknowledged = before.records.get(&here).copied().unwrap_or(0);
        assert!(
            replica.high_watermark().get() >= acknowledged,
            "acknowledged records are gone: {place}"
        );
        if let Some(start) = before.starts.get(&here) {
            // Deleting nothing tells where the log begins.
            let found = node.delete_records(here, 0).await.unwrap();
            assert_eq!(found.get(), *start, "deleted records are back: {place}");
        }
        node.append(here, batch(&["after"]), Some(Acks::All))
            .await
            .unwrap();
    }
    for gone in &before.deleted {
        let here = TopicPartition {
            topic_id: *gone,
            partition: PartitionIndex::ZERO,
        };
        let answer = node.append(here, batch(&["after"]), Some(Acks::All)).await;
        assert_eq!(answer, Err(ReplicaError::NotHere(here)));
    }
    // The node goes on as if nothing had been.
    let oracle = Rc::new(RefCell::new(before));
    oracle.borrow_mut().in_doubt = None;
    producer_ids(&node, &oracle).await;
    create(&node, &oracle, "fresh", 2).await;
    let image = node.image();
    assert_eq!(node.driver.image().as_ref(), Some(image.as_ref()));
    assert_eq!(node.logs(), node.named_partitions());
    let refused = node
        .create(vec![topic("fresh", 1)])
        .await
        .unwrap()
        .remove(0)
        .1;
    assert!(refused.is_err());
}

/// What a node does until it is stopped.
#[derive(Clone, Copy)]
enum Work {
    First,
    Second,
}

/// A series of crashes.
struct Crashes<'a> {
    seed: u64,
    shards: usize,
    kind: CrashKind,
    /// Outcomes of each crash that are looked at.
    draws: u64,
    work: Work,
    /// The disk it begins with.
    disk: &'a DiskImage,
    /// What is known of it.
    known: &'a Oracle,
}

impl Crashes<'_> {
    /// Runs until the `point`-th disk operation, where the node stops for ever; `None` when it
    /// has fewer.
    fn run_to(&self, point: u64) -> Option<(Simulation, SimNode, Oracle)> {
        let mut sim = Simulation::new(self.seed);
        let node = sim.add_node_with_disk(self.shards, self.disk);
        sim.disk(node).crash_after(point);
        let oracle: Shared = Rc::new(RefCell::new(self.known.clone()));
        let (shared, work) = (oracle.clone(), self.work);
        let ended = start(
            &mut sim,
            node,
            self.shards,
            &config(&[]),
            move |node| async move {
                match work {
                    Work::First => workload(node, shared).await,
                    Work::Second => second_workload(node, shared).await,
                }
            },
        );
        let until = sim.now().saturating_add(LIMIT);
        while sim.is_running(node) && sim.now() < until {
            if sim.run_for(Duration::from_secs(1)).is_some() {
                let oracle = oracle.borrow().clone();
                return Some((sim, node, oracle));
            }
        }
        assert!(!sim.is_running(node), "the node hangs");
        ended.borrow_mut().take().unwrap().unwrap();
        None
    }

    /// Crashes at every operation and checks what comes up after it. Answers how many there are.
    fn everywhere(&self) -> u64 {
        let mut point = 1;
        while let Some((sim, node, oracle)) = self.run_to(point) {
            for draw in 0..self.draws {
                let image = sim.crash_image(node, self.kind, draw);
                let mut after = Simulation::new(self.seed * 100_000 + point * 10 + draw + 1);
                let node = after.add_node_with_disk(self.shards, &image);
                let before = oracle.clone();
                let place = format!(
                    "seed {}, {:?}, operation {point}, draw {draw}",
                    self.seed, self.kind
                );
                let checked = run(&mut after, node, self.shards, move |node| {
                    check(node, before, place)
                });
                assert!(
                    checked.is_ok(),
                    "operation {point}, draw {draw}: {:?}",
                    checked.err()
                );
            }
            point += 1;
        }
        point - 1
    }
}

pub fn on_an_empty_disk(seed: u64, shards: usize, kind: CrashKind, draws: u64) {
    let (disk, known) = (DiskImage::default(), Oracle::default());
    let work = Work::First;
    let crashes = Crashes {
        seed,
        shards,
        kind,
        draws,
        work,
        disk: &disk,
        known: &known,
    };
    let points = crashes.everywhere();
    assert!(
        points > 50,
        "{points} operations are too few to mean anything"
    );
}

#[test]
fn a_kill_at_any_disk_operation_loses_nothing_acknowledged() {
    on_an_empty_disk(41, 1, CrashKind::Kill, 1);
}

#[test]
fn a_power_cut_at_any_disk_operation_loses_nothing_acknowledged() {
    on_an_empty_disk(42, 1, CrashKind::Power, 3);
}

#[test]
fn nor_do_crashes_on_several_shards() {
    on_an_empty_disk(43, 3, CrashKind::Kill, 1);
    on_an_empty_disk(44, 3, CrashKind::Power, 1);
}

#[test]
fn nor_does_a_second_crash_while_the_node_comes_up_from_the_first() {
    let (disk, known) = (DiskImage::default(), Oracle::default());
    let mut first = Crashes {
        seed: 45,
        shards: 2,
        kind: CrashKind::Power,
        draws: 0,
        work: Work::First,
        disk: &disk,
        known: &known,
    };
    let points = first.everywhere();
    for (share, seed) in [(50, 46), (75, 47), (100, 48)] {
        first.seed = 45;
        let (sim, node, known) = first.run_to(points * share / 100).unwrap();
        let disk = sim.crash_image(node, CrashKind::Power, seed);
        // What was in doubt is settled by the first start that comes through.
        let mut settled = Simulation::new(seed * 7_919);
        let node = settled.add_node_with_disk(2, &disk);
        let known = run(&mut settled, node, 2, move |node| async move {
            settle(&node, known)
        })
        .unwrap();
        let work = Work::Second;
        for kind in [CrashKind::Kill, CrashKind::Power] {
            let crashes = Crashes {
                seed,
                shards: 2,
                kind,
                draws: 1,
                work,
                disk: &disk,
                known: &known,
            };
            assert!(crashes.everywhere() > 30);
        }
    }
}

/// What is really there of what was known and in doubt.
fn settle(node: &Node, mut known: Oracle) -> Oracle {
    if let Some(name) = known.in_doubt.take() {
        match node.image().topic_named(&name) {
            Some(topic) => known
                .topics
                .insert(name, (topic.id, topic.partitions.len())),
            None => known.topics.remove(&name),
        };
    }
    known
}
