//! A disk that fails and works again, under a broker that is never restarted: nothing false is
//! acknowledged, clients get errors that they retry, reads go on, service comes back by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code: a failure is the report"
)]

mod fences;
mod full_disk;
mod ledger;

use core::time::Duration;
use engine_rt::sim::SimDisk;
use ledger::Ledger;
use tests_sim::records::Topic;
use tests_sim::{Client, World, topics};

pub(crate) const EIO: i32 = 5;
pub(crate) const PARTITIONS: i32 = 4;

/// Seeds of a short run; `ODRADEK_TEST_SIM_SEEDS` asks for more.
pub(crate) fn seeds(few: u64) -> u64 {
    std::env::var("ODRADEK_TEST_SIM_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(few)
}

/// A world with a topic under load: a producer and a consumer a partition.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) topic: Topic,
    pub(crate) ledger: Ledger,
}

impl Scene {
    pub(crate) fn new(seed: u64, shards: usize) -> Self {
        let mut world = World::new(seed, shards);
        world.up();
        let topic = world.client(async |address| {
            let mut client = Client::connect(address).await;
            topics::create(&mut client, "t", PARTITIONS, &[]).await
        });
        let mut scene = Self {
            world,
            topic,
            ledger: Ledger::default(),
        };
        scene.start_clients();
        scene
    }

    fn start_clients(&mut self) {
        for partition in 0..PARTITIONS {
            let (ledger, topic) = (self.ledger.clone(), self.topic.clone());
            let number = usize::try_from(partition).unwrap();
            self.world.background(async move |address| {
                let pipeline = 1 + number * 2;
                ledger
                    .produce(address, topic, partition, number, pipeline)
                    .await;
            });
            let (ledger, topic) = (self.ledger.clone(), self.topic.clone());
            self.world.background(async move |address| {
                ledger.consume(address, topic, partition).await;
            });
        }
    }

    pub(crate) fn disk(&self) -> SimDisk {
        self.world.simulation.disk(self.world.machine())
    }

    pub(crate) fn run_ms(&mut self, millis: u64) {
        self.world.simulation.run_for(Duration::from_millis(millis));
    }

    /// Runs until so many more records are acknowledged; false if that takes longer than `limit`.
    pub(crate) fn acknowledges_within(&mut self, limit: Duration) -> bool {
        let (ledger, before) = (self.ledger.clone(), self.ledger.acknowledged());
        // Every producer at least, whatever was under way.
        let done = move || ledger.acknowledged() >= before + 40;
        self.world.simulation.run_until(done, limit)
    }

    /// Ends the clients and compares what they were told with what is there.
    pub(crate) fn check(&mut self, context: &str) {
        self.ledger.end();
        self.run_ms(2000);
        let (ledger, topic) = (self.ledger.clone(), self.topic.clone());
        let context = format!("seed {}, {context}", self.world.seed);
        self.world.client(async move |address| {
            ledger.check(address, topic, PARTITIONS, context).await;
        });
    }
}
