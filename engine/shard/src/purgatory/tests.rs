//! Waiters in a simulated shard: woken, expired, dropped, refused, told of what they missed.

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

fn watching(purgatory: &Purgatory<&'static str>, keys: &[&'static str]) -> Waiter<&'static str> {
    let waiter = purgatory.enter().unwrap();
    waiter.watch(keys, purgatory.mark()).unwrap();
    waiter
}

#[test]
fn a_wait_ends_by_its_key_or_by_its_deadline() {
    run(async || {
        let purgatory = Purgatory::new(10, 10);
        let begun = engine_rt::now();
        let woken = watching(&purgatory, &["a", "b"]);
        let expired = watching(&purgatory, &["c"]);
        let waker = purgatory.clone();
        engine_rt::spawn(async move {
            engine_rt::sleep(Duration::from_secs(1)).await;
            assert_eq!(waker.wake(&"b"), 1);
            assert_eq!(waker.wake(&"b"), 0);
        })
        .detach();
        assert_eq!(woken.woken(soon()).await, WaitEnd::Woken);
        assert_eq!(woken.take_woken(), ["b"]);
        assert!(woken.take_woken().is_empty());
        let after = engine_rt::now().saturating_since(begun);
        assert!(after < Duration::from_secs(2), "{after:?}");
        let deadline = begun.saturating_add(Duration::from_secs(5));
        assert_eq!(expired.woken(deadline).await, WaitEnd::Expired);
        let after = engine_rt::now().saturating_since(begun);
        assert!(after >= Duration::from_secs(5), "{after:?}");
        // The other key of the first one is still watched.
        assert!(purgatory.is_watched(&"a") && !purgatory.is_watched(&"b"));
        drop((woken, expired));
        assert!(purgatory.is_empty());
        assert_eq!(purgatory.key_count(), 0);
    });
}

#[test]
fn a_wake_between_the_look_and_the_watch_is_not_missed() {
    run(async || {
        let purgatory = Purgatory::new(10, 10);
        purgatory.wake(&"early");
        let mark = purgatory.mark();
        let waiter = purgatory.enter().unwrap();
        purgatory.wake(&"meanwhile");
        waiter.watch(&["early", "meanwhile", "late"], mark).unwrap();
        assert_eq!(waiter.woken(Moment::NEVER).await, WaitEnd::Woken);
        assert_eq!(waiter.take_woken(), ["meanwhile"]);
        assert_eq!(purgatory.key_count(), 2);
        purgatory.wake(&"late");
        assert_eq!(waiter.woken(Moment::NEVER).await, WaitEnd::Woken);
        assert_eq!(waiter.take_woken(), ["late"]);
        assert!(purgatory.is_woken_since(&"late", mark));
        assert!(!purgatory.is_woken_since(&"early", mark));
    });
}

#[test]
fn whoever_looked_for_too_long_takes_everything_for_woken() {
    let purgatory = Purgatory::new(10, 10);
    let mark = purgatory.mark();
    for _ in 0..RECENT_MAX {
        purgatory.wake(&1);
    }
    assert!(!purgatory.is_woken_since(&2, mark), "all are remembered");
    purgatory.wake(&1);
    assert!(purgatory.is_woken_since(&2, mark), "one is forgotten");
    let waiter = purgatory.enter().unwrap();
    waiter.watch(&[2, 3], mark).unwrap();
    assert_eq!(waiter.take_woken(), [2, 3]);
}

#[test]
fn a_full_purgatory_refuses_and_has_room_again_when_a_waiter_goes() {
    let purgatory = Purgatory::new(2, 3);
    let first = purgatory.enter().unwrap();
    let second = purgatory.enter().unwrap();
    let full = PurgatoryFull {
        waiters: 2,
        keys: 0,
    };
    assert_eq!(purgatory.enter().unwrap_err(), full);
    first.watch(&[1, 2], purgatory.mark()).unwrap();
    assert!(second.watch(&[3, 4], purgatory.mark()).is_err());
    assert_eq!(purgatory.key_count(), 2, "none of them is watched");
    drop(first);
    second.watch(&[3, 4], purgatory.mark()).unwrap();
    second.unwatch(&3);
    assert!(!purgatory.is_watched(&3) && purgatory.is_watched(&4));
    assert!(purgatory.enter().is_ok());
}

#[test]
fn the_end_wakes_everybody_and_lets_nobody_wait_again() {
    run(async || {
        let purgatory = Purgatory::new(10, 10);
        let waiter = watching(&purgatory, &["a"]);
        let ender = purgatory.clone();
        engine_rt::spawn(async move {
            engine_rt::sleep(Duration::from_secs(1)).await;
            ender.end();
        })
        .detach();
        assert_eq!(waiter.woken(Moment::NEVER).await, WaitEnd::Woken);
        assert_eq!(waiter.woken(Moment::NEVER).await, WaitEnd::Woken);
        let late = watching(&purgatory, &["b"]);
        assert_eq!(late.woken(Moment::NEVER).await, WaitEnd::Woken);
    });
}
