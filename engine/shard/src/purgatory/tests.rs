//! Waits in a simulated shard: woken, expired, dropped, refused.

use super::*;
use core::time::Duration;
use engine_rt::sim::Simulation;

fn run<F: Future<Output = ()> + 'static>(program: impl FnOnce() -> F + 'static) {
    let mut simulation = Simulation::new(1);
    let node = simulation.add_node(1);
    simulation
        .block_on(node, Duration::from_mins(10), program)
        .unwrap();
}

fn soon() -> Moment {
    engine_rt::now().saturating_add(Duration::from_secs(5))
}

#[test]
fn a_wait_ends_by_its_key_or_by_its_deadline() {
    run(async || {
        let purgatory = Purgatory::new(10, 10);
        let begun = engine_rt::now();
        let woken = purgatory.park(vec!["a", "b"], soon()).unwrap();
        let expired = purgatory.park(vec!["c"], soon()).unwrap();
        let waker = purgatory.clone();
        engine_rt::spawn(async move {
            engine_rt::sleep(Duration::from_secs(1)).await;
            assert_eq!(waker.wake(&"b"), 1);
            assert_eq!(waker.wake(&"b"), 0);
        })
        .detach();
        assert_eq!(woken.await, WaitEnd::Woken);
        let after = engine_rt::now().saturating_since(begun);
        assert!(after < Duration::from_secs(2), "{after:?}");
        assert_eq!(expired.await, WaitEnd::Expired);
        let after = engine_rt::now().saturating_since(begun);
        assert!(after >= Duration::from_secs(5), "{after:?}");
        assert!(purgatory.is_empty());
    });
}

#[test]
fn a_wake_between_park_and_first_poll_counts() {
    run(async || {
        let purgatory = Purgatory::new(10, 10);
        let wait = purgatory.park(vec![1], Moment::NEVER).unwrap();
        purgatory.wake(&1);
        assert_eq!(wait.await, WaitEnd::Woken);
    });
}

#[test]
fn all_waits_end_when_the_shard_stops() {
    run(async || {
        let purgatory = Purgatory::new(10, 10);
        let waits: Vec<_> = (0..5)
            .map(|key| purgatory.park(vec![key], Moment::NEVER).unwrap())
            .collect();
        purgatory.wake_all();
        for wait in waits {
            assert_eq!(wait.await, WaitEnd::Woken);
        }
    });
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let purgatory = Purgatory::new(10, 10);
    let wait = purgatory.park(vec![1, 2, 1], Moment::NEVER).unwrap();
    assert!(purgatory.is_awaited(&2));
    drop(wait);
    assert!(purgatory.is_empty());
    assert!(!purgatory.is_awaited(&1) && !purgatory.is_awaited(&2));
}

#[test]
fn a_full_purgatory_refuses() {
    let purgatory = Purgatory::new(2, 3);
    let first = purgatory.park(vec![1, 2], Moment::NEVER).unwrap();
    let full = PurgatoryFull { waits: 1, keys: 2 };
    assert_eq!(purgatory.park(vec![3, 4], Moment::NEVER).unwrap_err(), full);
    let _second = purgatory.park(vec![3], Moment::NEVER).unwrap();
    assert!(purgatory.park(vec![], Moment::NEVER).is_err());
    drop(first);
    assert!(purgatory.park(vec![4], Moment::NEVER).is_ok());
}
