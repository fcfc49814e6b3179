//! Fences: raised on one shard, felt on all, lifted without a restart.

use super::{EIO, Scene, seeds};
use core::time::Duration;
use engine_model::ErrorCode;
use engine_rt::sim::{CrashKind, Fault, FaultKind};

const STORAGE: ErrorCode = ErrorCode::KAFKA_STORAGE_ERROR;

/// Service is back that long after the disk works, by the promise.
const BACK_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_failed_write_or_flush_is_healed_while_the_clients_wait() {
    for seed in 0..seeds(4) {
        for (kind, path) in [(FaultKind::Write, ".lane"), (FaultKind::Flush, ".lane")] {
            let shards = [1, 3][usize::try_from(seed % 2).unwrap()];
            let mut scene = Scene::new(seed, shards);
            scene.run_ms(50 + seed * 17 % 100);
            scene.disk().fail(Fault::once(kind, EIO).on(path));
            scene.run_ms(600);
            let context = format!("{kind:?} of {path}");
            assert!(scene.ledger.errors(STORAGE) > 0, "{context}: no fence");
            assert!(scene.acknowledges_within(BACK_WITHIN), "{context}");
            scene.check(&context);
            scene.world.stop();
            assert!(scene.world.up().was_clean, "{context}");
            scene.check(&context);
        }
    }
}

#[test]
fn while_a_disk_fails_for_long_reads_go_on_and_a_stop_works() {
    for seed in 0..seeds(3) {
        let mut scene = Scene::new(seed, 2);
        scene.run_ms(100);
        scene.disk().fail_always(FaultKind::Write, EIO);
        scene.disk().fail_always(FaultKind::Flush, EIO);
        scene.run_ms(5_000);
        let acknowledged = scene.ledger.acknowledged();
        assert!(scene.ledger.errors(STORAGE) > 0, "seed {seed}");
        // A reader that comes now is served what was acknowledged.
        let topic = scene.topic.clone();
        let found = scene.world.client(async move |address| {
            let mut client = tests_sim::Client::connect(address).await;
            let request = tests_sim::records::fetch(&topic, 0, 1, &[(0, 0)]);
            client.call(12, &request).await.unwrap()
        });
        let found = found.responses[0].partitions[0].clone();
        assert_eq!(found.error_code, ErrorCode::NONE, "seed {seed}");
        assert!(!tests_sim::records::read(found.records).is_empty());
        scene.run_ms(20_000);
        assert_eq!(scene.ledger.acknowledged(), acknowledged, "seed {seed}");
        if seed % 2 == 0 {
            scene.disk().heal();
            assert!(scene.acknowledges_within(BACK_WITHIN), "seed {seed}");
        } else {
            scene.world.stop();
            scene.disk().heal();
            assert!(!scene.world.up().was_clean, "seed {seed}");
        }
        scene.check("for long");
    }
}

/// Faults of every kind that fences or disturbs the lifting of a fence, at moments the seed
/// chooses; sometimes a kill or a power cut on top.
fn storm(seed: u64, crash: Option<CrashKind>) -> (u64, u64) {
    let places = [
        (FaultKind::Write, ".lane"),
        (FaultKind::Flush, ".lane"),
        (FaultKind::Write, ".manifest"),
        (FaultKind::Flush, ".manifest"),
        (FaultKind::Write, ".segment"),
        (FaultKind::Flush, ".segment"),
        (FaultKind::Read, ".lane"),
        (FaultKind::Read, ".manifest"),
        (FaultKind::Directory, "CURRENT"),
        (FaultKind::Directory, "segments"),
        (FaultKind::Write, "CURRENT"),
        (FaultKind::Write, "PROBE"),
        (FaultKind::Flush, ""),
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let mut scene = Scene::new(seed, usize::try_from(1 + below(3)).unwrap());
    scene.run_ms(20 + below(100));
    for _ in 0..2 + below(4) {
        for _ in 0..=below(3) {
            let (kind, path) = places[usize::try_from(below(13)).unwrap()];
            let fault = Fault::once(kind, EIO).on(path).after(below(4));
            scene.disk().fail(fault.times(1 + below(3)));
        }
        scene
            .disk()
            .fail(Fault::once(FaultKind::Flush, EIO).on(".lane"));
        scene.run_ms(50 + below(4_000));
        if let Some(kind) = crash
            && below(3) == 0
        {
            scene.world.crash(kind);
            scene.disk().heal();
            scene.world.up();
        }
    }
    scene.disk().heal();
    let counts = scene.disk().counts();
    let context = format!("{crash:?}");
    assert!(scene.acknowledges_within(BACK_WITHIN), "{context}");
    scene.check(&context);
    scene.world.stop();
    assert!(scene.world.up().was_clean, "{context}");
    scene.check(&context);
    let struck = counts.writes_failed + counts.flushes_failed + counts.reads_failed;
    (struck, scene.ledger.errors(STORAGE))
}

#[test]
fn storms_of_faults_pass_and_lose_nothing() {
    let mut refused = 0;
    for seed in 1000..1000 + seeds(6) {
        let (struck, errors) = storm(seed, None);
        assert!(struck >= 2, "seed {seed}: {struck} faults");
        refused += errors;
    }
    assert!(refused > 0, "no client noticed anything");
}

#[test]
fn kills_and_power_cuts_within_storms_lose_nothing() {
    for seed in 2000..2000 + seeds(6) {
        let kinds = [CrashKind::Kill, CrashKind::Power];
        let kind = kinds[usize::try_from(seed % 2).unwrap()];
        assert!(storm(seed, Some(kind)).0 > 0, "seed {seed}: no faults");
    }
}
