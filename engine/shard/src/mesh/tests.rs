//! The mesh between simulated shards.

use super::*;
use core::time::Duration;
use engine_rt::ShardMain;
use engine_rt::sim::Simulation;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const SHARDS: usize = 3;

/// Runs `program` on every shard with its side of the mesh, until all have stopped it.
fn run<P, H, F, G>(seed: u64, options: MeshOptions, handler: H, program: P)
where
    H: Fn(ShardId, u64) -> F + Clone + Send + 'static,
    F: Future<Output = u64> + 'static,
    P: Fn(Mesh<u64, u64>) -> G + Clone + Send + 'static,
    G: Future<Output = ()> + 'static,
{
    let mut simulation = Simulation::new(seed);
    let node = simulation.add_node(SHARDS);
    let system = simulation.system(node);
    let mains = build::<u64, u64>(&system, options)
        .into_iter()
        .map(|mesh_seed| {
            let (handler, program) = (handler.clone(), program.clone());
            let main: ShardMain = Box::new(move || {
                Box::pin(async move {
                    let mesh = mesh_seed.start(handler);
                    program(mesh.clone()).await;
                    mesh.stop().await;
                })
            });
            main
        })
        .collect();
    simulation.start(node, &system, mains);
    simulation.run_until_idle(Duration::from_hours(1));
    assert!(!simulation.is_running(node), "seed {seed}: a shard hangs");
}

fn all() -> impl Iterator<Item = ShardId> {
    (0..3).map(ShardId)
}

#[test]
fn every_shard_gets_its_answer_from_every_shard() {
    for seed in 0..20 {
        let handler = async |from: ShardId, question: u64| {
            engine_rt::sleep(Duration::from_millis(question % 7)).await;
            question * 10 + u64::from(from.0)
        };
        run(seed, MeshOptions::default(), handler, async |mesh| {
            let own = u64::from(mesh.shard().0);
            for round in 0..50 {
                for to in all() {
                    assert_eq!(mesh.call(to, round).await, Ok(round * 10 + own));
                }
            }
        });
    }
}

#[test]
fn calls_begin_in_the_order_they_were_made() {
    for seed in 0..20 {
        let begun: Arc<Mutex<Vec<u64>>> = Arc::default();
        let seen = Arc::clone(&begun);
        let handler = move |_: ShardId, question: u64| {
            // Before any wait of the future: this is what must stay in order.
            let seen = Arc::clone(&seen);
            async move {
                seen.lock().unwrap().push(question);
                engine_rt::sleep(Duration::from_millis(question * 31 % 17)).await;
                question
            }
        };
        run(seed, MeshOptions::default(), handler, async |mesh| {
            if mesh.shard() == ShardId(0) {
                let calls = (0..200).map(|question| mesh.call(ShardId(1), question));
                let answers = crate::join_all(calls.collect()).await;
                assert!(answers.into_iter().zip(0..).all(|(a, q)| a == Ok(q)));
            }
        });
        let expected: Vec<u64> = (0..200).collect();
        assert_eq!(*begun.lock().unwrap(), expected, "seed {seed}");
    }
}

#[test]
fn no_more_calls_than_allowed_are_unanswered() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let handler = move |_: ShardId, question: u64| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            let count = now.fetch_add(1, Ordering::Relaxed) + 1;
            peak.fetch_max(count, Ordering::Relaxed);
            engine_rt::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            question
        }
    };
    let options = MeshOptions {
        calls_max: 4,
        mailbox_packets: 1,
    };
    run(3, options, handler, async |mesh| {
        if mesh.shard() == ShardId(2) {
            let calls = (0..100).map(|question| mesh.call(ShardId(0), question));
            assert!(
                crate::join_all(calls.collect())
                    .await
                    .iter()
                    .all(Result::is_ok)
            );
        }
    });
    assert_eq!(most.load(Ordering::Relaxed), 4);
}

#[test]
fn a_handler_that_panics_fails_its_own_call_only() {
    for wait in [0, 1] {
        let handler = move |_: ShardId, question: u64| async move {
            if wait == 1 {
                engine_rt::sleep(Duration::from_millis(1)).await;
            }
            assert!(question != 13, "planted");
            question
        };
        run(5, MeshOptions::default(), handler, async |mesh| {
            if mesh.shard() == ShardId(0) {
                let to = ShardId(1);
                let calls = [12, 13, 14].map(|question| mesh.call(to, question));
                let answers = crate::join_all(calls.into()).await;
                assert_eq!(answers, [Ok(12), Err(MeshError::Failed { to }), Ok(14)]);
            }
        });
    }
}

#[test]
fn a_shard_that_stops_early_still_answers_the_others() {
    for seed in 0..20 {
        let handler = async |_: ShardId, question: u64| {
            engine_rt::sleep(Duration::from_millis(3)).await;
            question
        };
        run(seed, MeshOptions::default(), handler, async |mesh| {
            if mesh.shard() != ShardId(0) {
                engine_rt::sleep(Duration::from_secs(1)).await;
                assert_eq!(mesh.call(ShardId(0), 7).await, Ok(7));
            }
        });
    }
}

#[test]
fn a_call_to_nobody_and_a_call_after_the_end_are_refused() {
    let handler = async |_: ShardId, question: u64| question;
    run(1, MeshOptions::default(), handler, async |mesh| {
        let to = ShardId(9);
        assert_eq!(mesh.call(to, 1).await, Err(MeshError::NoSuchShard { to }));
        mesh.stop().await;
        let to = ShardId((mesh.shard().0 + 1) % 3);
        assert_eq!(mesh.call(to, 1).await, Err(MeshError::Closed { to }));
    });
}
