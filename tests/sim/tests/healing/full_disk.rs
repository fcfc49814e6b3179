//! A full disk: appends are refused and come back by themselves, everything that gives space back
//! works, and so does a start.

use super::{Scene, seeds};
use core::time::Duration;
use engine_model::ErrorCode;
use engine_rt::sim::CrashKind;
use tests_sim::{Client, records, topics};

const CAPACITY: u64 = 256 << 20;

/// A topic with some MiB in it, beside the one under load.
fn bulk(scene: &mut Scene) -> records::Topic {
    scene.world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "bulk", 2, &[]).await;
        let value = vec![b'b'; 500_000];
        for n in 0..24 {
            let batch = records::batch(&[&value]);
            let appended = records::append(&mut client, 9, -1, &topic, n % 2, batch).await;
            assert_eq!(appended.error_code, ErrorCode::NONE);
        }
        topic
    })
}

/// Runs until nothing was acknowledged for some seconds; false if that does not come.
fn is_refused_soon(scene: &mut Scene) -> bool {
    (0..60).any(|_| {
        let before = scene.ledger.acknowledged();
        scene.run_ms(2_000);
        scene.ledger.acknowledged() == before
    })
}

#[test]
fn a_full_disk_refuses_appends_until_a_deleted_topic_gave_its_space_back() {
    for seed in 0..seeds(2) {
        let mut scene = Scene::new(seed, 2);
        scene.disk().set_capacity(CAPACITY);
        let topic = bulk(&mut scene);
        scene.run_ms(500);
        // Somebody else takes nearly all of the rest, and the producers what is left.
        let used = CAPACITY - scene.disk().free_bytes();
        scene.disk().set_capacity(used + (5 << 20));
        let context = format!("seed {seed}");
        assert!(is_refused_soon(&mut scene), "{context}: never full");
        let refused = scene.ledger.errors(ErrorCode::KAFKA_STORAGE_ERROR);
        assert!(refused > 0, "{context}: nothing was refused");
        if seed % 2 == 1 {
            scene.world.crash(CrashKind::Power);
            scene.world.up();
            scene.run_ms(1_000);
        }
        scene.world.client(async move |address| {
            let mut client = Client::connect(address).await;
            let request = records::fetch(&topic, 0, 1, &[(0, 3)]);
            let answer = client.call(12, &request).await.unwrap();
            let data = answer.responses[0].partitions[0].clone();
            assert_eq!(data.error_code, ErrorCode::NONE);
            assert!(!records::read(data.records).is_empty());
            topics::delete(&mut client, &topic).await;
        });
        // `file.delete.delay.ms` does not hold back what a full disk needs.
        let limit = Duration::from_secs(10);
        assert!(scene.acknowledges_within(limit), "{context}");
        scene.check(&context);
        scene.world.stop();
        assert!(scene.world.up().was_clean, "{context}");
        scene.check(&context);
    }
}
