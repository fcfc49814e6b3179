//! Kills, power cuts and restarts of the whole broker: what was acknowledged is there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use core::time::Duration;
use engine_rt::sim::CrashKind;
use tests_sim::records::Topic;
use tests_sim::{Client, History, Workload, World, topics};

/// Seeds of a short run; `ODRADEK_TEST_SIM_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("ODRADEK_TEST_SIM_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(6)
}

fn prepare(world: &mut World, partitions: i32, configs: &'static [(&str, &str)]) -> Topic {
    world.client(async move |address| {
        let mut client = Client::connect(address).await;
        topics::create(&mut client, "t", partitions, configs).await
    })
}

/// One life after another of one disk, each ended at a moment the seed chooses; returns what the
/// simulation did and how many records were acknowledged.
fn lives(
    seed: u64,
    kind: CrashKind,
    configs: &'static [(&str, &str)],
    shards: &[usize],
) -> (u64, usize) {
    let mut world = World::new(seed, shards.first().copied().unwrap_or(1));
    world.up();
    let topic = prepare(&mut world, 5, configs);
    let history = History::default();
    for (life, shards) in shards.iter().copied().chain([1]).enumerate() {
        for producer in 0..3 {
            let (history, topic) = (history.clone(), topic.clone());
            let workload = Workload {
                producer: life * 10 + producer,
                partitions: 5,
                pipeline: 1 + producer * 2,
                is_idempotent: producer == 1,
            };
            world.background(async move |address| {
                history.produce(address, topic, workload).await;
            });
        }
        let millis = 5 + (seed * 7919 + life as u64 * 104_729) % 400;
        world.simulation.run_for(Duration::from_millis(millis));
        world.crash(kind);
        world.set_shards(shards);
        world.up();
        let (check, topic) = (history.clone(), topic.clone());
        let context = format!("seed {seed}, {kind:?}, life {life}");
        world.client(async move |address| check.check(address, topic, context).await);
    }
    world.stop();
    (world.simulation.trace_hash(), history.acknowledged())
}

#[test]
fn everything_acknowledged_survives_kills() {
    let mut acknowledged = 0;
    for seed in 0..seeds() {
        acknowledged += lives(seed, CrashKind::Kill, &[], &[3, 3, 3]).1;
    }
    assert!(
        acknowledged > 50,
        "only {acknowledged} records: nothing was tested"
    );
}

#[test]
fn everything_acknowledged_survives_power_cuts() {
    let mut acknowledged = 0;
    for seed in 100..100 + seeds() {
        acknowledged += lives(seed, CrashKind::Power, &[], &[2, 2, 2]).1;
    }
    assert!(
        acknowledged > 50,
        "only {acknowledged} records: nothing was tested"
    );
}

#[test]
fn the_written_class_survives_kills() {
    let mut acknowledged = 0;
    for seed in 200..200 + seeds() / 2 {
        let configs = &[("durability", "written")];
        acknowledged += lives(seed, CrashKind::Kill, configs, &[2, 2]).1;
    }
    assert!(
        acknowledged > 50,
        "only {acknowledged} records: nothing was tested"
    );
}

#[test]
fn another_number_of_shards_finds_everything() {
    for seed in 300..300 + seeds() / 3 {
        lives(seed, CrashKind::Power, &[], &[1, 4, 2, 3]);
    }
}

#[test]
fn one_seed_gives_one_trace() {
    let once = lives(7, CrashKind::Power, &[], &[3, 2]);
    let twice = lives(7, CrashKind::Power, &[], &[3, 2]);
    assert_eq!(once, twice);
    assert_ne!(once.0, lives(8, CrashKind::Power, &[], &[3, 2]).0);
}

#[test]
fn a_clean_stop_and_a_start_keep_everything_and_say_so() {
    for seed in 0..4 {
        let mut world = World::new(seed, 3);
        let ready = world.up();
        assert!(ready.recovery.formatted);
        let topic = prepare(&mut world, 5, &[]);
        let history = History::default();
        let (producing, to) = (history.clone(), topic.clone());
        world.background(async move |address| {
            let workload = Workload {
                producer: 0,
                partitions: 5,
                pipeline: 4,
                is_idempotent: true,
            };
            producing.produce(address, to, workload).await;
        });
        world.simulation.run_for(Duration::from_millis(200));
        world.stop();
        assert!(history.acknowledged() > 0);
        let again = world.up();
        assert!(again.was_clean, "seed {seed}");
        assert_eq!(again.cluster_id, ready.cluster_id);
        assert_eq!((again.topics, again.partitions), (1, 5));
        let check = history.clone();
        world.client(async move |address| {
            check.check(address, topic, format!("seed {seed}")).await;
        });
        world.stop();
    }
}
