//! Budgets polled by hand: who gets through, in which order, and that the bound holds.

use super::*;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use engine_rt::sim::Simulation;
use proptest::prelude::*;

type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

fn poll<T>(future: &mut Pending<T>) -> Option<T> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// 100 bytes for all, 100 in the express part.
fn budget() -> MemoryBudget {
    MemoryPool::new(200, 100, 1).budget()
}

fn charge(budget: &MemoryBudget, bytes: usize) -> Pending<Charge> {
    let budget = budget.clone();
    let mut future: Pending<Charge> = Box::pin(async move { budget.charge(bytes).await });
    // Joins the queue now; ready ones are wrapped again for the caller to take.
    match poll(&mut future) {
        Some(charge) => Box::pin(core::future::ready(charge)),
        None => future,
    }
}

fn grow(mut charge: Charge, bytes: usize) -> Pending<Charge> {
    Box::pin(async move {
        charge.grow(bytes).await;
        charge
    })
}

#[test]
fn a_charge_waits_until_bytes_come_back() {
    let budget = budget();
    let first = poll(&mut charge(&budget, 90)).unwrap();
    let mut second = charge(&budget, 20);
    assert!(poll(&mut second).is_none());
    assert!(budget.is_short());
    drop(first);
    assert!(!budget.is_short());
    assert_eq!(poll(&mut second).unwrap().bytes(), 20);
    assert_eq!(budget.used(), 0);
}

#[test]
fn grants_are_first_come_first_served() {
    let budget = budget();
    let first = poll(&mut charge(&budget, 90)).unwrap();
    let mut large = charge(&budget, 20);
    let mut small = charge(&budget, 5);
    assert!(poll(&mut small).is_none(), "it would overtake");
    assert!(budget.try_charge(1).is_none(), "and so would this");
    drop(first);
    assert!(poll(&mut small).is_some());
    assert!(poll(&mut large).is_some());
}

#[test]
fn a_dropped_wait_lets_those_behind_it_pass() {
    let budget = budget();
    let _first = poll(&mut charge(&budget, 90)).unwrap();
    let large = charge(&budget, 20);
    let mut small = charge(&budget, 5);
    assert!(poll(&mut small).is_none());
    drop(large);
    assert!(poll(&mut small).is_some());
}

#[test]
fn a_granted_wait_that_is_dropped_untaken_gives_back() {
    let budget = budget();
    let first = poll(&mut charge(&budget, 100)).unwrap();
    let second = charge(&budget, 20);
    drop(first);
    assert_eq!(budget.used(), 20);
    drop(second);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_large_charge_goes_on_in_the_express_part_alone() {
    let budget = budget();
    let _some = poll(&mut charge(&budget, 80)).unwrap();
    let large = poll(&mut charge(&budget, 500)).expect("there is no other way for it");
    assert_eq!(budget.used(), 80);
    let mut second = charge(&budget, 500);
    assert!(poll(&mut second).is_none(), "one at a time");
    drop(large);
    assert!(poll(&mut second).is_some());
}

#[test]
fn no_large_charge_begins_on_top_of_answers_that_are_not_covered() {
    let budget = budget();
    let answer = budget.charge_now(150);
    let mut large = charge(&budget, 500);
    assert!(poll(&mut large).is_none());
    // A request that is half received goes on all the same: it may be what everybody waits for.
    let half = budget.charge_now(1);
    let half = poll(&mut grow(half, 10)).unwrap();
    drop(half);
    drop(answer);
    assert!(poll(&mut large).is_some());
}

#[test]
fn half_received_requests_never_lock_each_other_out() {
    let budget = budget();
    let first = poll(&mut charge(&budget, 50)).unwrap();
    let second = poll(&mut charge(&budget, 50)).unwrap();
    let mut new = charge(&budget, 1);
    let mut first = grow(first, 30);
    let first = poll(&mut first).expect("the first may go on");
    let mut second = grow(second, 30);
    assert!(poll(&mut second).is_none(), "only one may");
    let first = poll(&mut grow(first, 40)).expect("until it is done");
    assert_eq!(budget.used(), 100);
    drop(first);
    let second = poll(&mut second).expect("then the next");
    assert_eq!(second.bytes(), 80);
    assert_eq!(poll(&mut new).expect("then new ones").bytes(), 1);
}

#[test]
fn what_is_charged_at_once_is_covered_before_anybody_is_served() {
    let budget = budget();
    let mut answer = budget.charge_now(90);
    answer.grow_now(60);
    assert_eq!(budget.used(), 150);
    let mut new = charge(&budget, 10);
    let mut settled: Pending<()> = Box::pin({
        let budget = budget.clone();
        async move { budget.settled().await }
    });
    assert!(poll(&mut settled).is_none());
    answer.shrink(50);
    assert!(poll(&mut new).is_none(), "100 of 100 are in use");
    answer.shrink(10);
    assert!(poll(&mut new).is_some());
    assert!(poll(&mut settled).is_some());
}

#[test]
fn a_shard_has_its_own_part_whatever_the_others_hold() {
    let pool = MemoryPool::new(400, 200, 2);
    let (one, two) = (pool.budget(), pool.budget());
    // Its own 50 and the 100 in common.
    let all = poll(&mut charge(&one, 150)).unwrap();
    assert!(one.try_charge(1).is_none());
    let own = poll(&mut charge(&two, 50)).expect("its own part is there");
    assert!(two.try_charge(1).is_none());
    drop(own);
    drop(all);
    assert!(two.try_charge(150).is_some(), "lent bytes came back");
}

#[test]
fn what_another_shard_gives_back_is_seen() {
    let mut simulation = Simulation::new(1);
    let node = simulation.add_node(1);
    simulation
        .block_on(node, Duration::from_mins(1), || async {
            let pool = MemoryPool::new(400, 200, 2);
            let (one, two) = (pool.budget(), pool.budget());
            let all = one.charge(150).await;
            let waiting = engine_rt::spawn(async move {
                let _own = two.charge(30).await;
                two.charge(30).await.bytes()
            });
            engine_rt::sleep(Duration::from_secs(1)).await;
            assert!(one.is_short(), "every shard can tell");
            drop(all);
            assert_eq!(waiting.await.unwrap(), 30);
            assert!(!one.is_short());
        })
        .unwrap();
}

proptest! {
    #[test]
    fn every_request_gets_through_and_the_bound_holds(
        sizes in proptest::collection::vec((1_usize..60, 0_usize..100, 0..2_usize), 1..40),
    ) {
        let pool = MemoryPool::new(300, 100, 1);
        let budget = pool.budget();
        let mut waiting: Vec<_> = sizes
            .iter()
            .map(|(first, more, answer)| (charge(&budget, *first), *more, *answer))
            .collect();
        let mut growing: Vec<(Pending<Charge>, usize)> = Vec::new();
        for _ in 0..10 * sizes.len() {
            let mut still = Vec::new();
            for (mut future, more, answer) in waiting {
                match poll(&mut future) {
                    Some(charge) => growing.push((grow(charge, more), answer)),
                    None => still.push((future, more, answer)),
                }
            }
            waiting = still;
            let mut still = Vec::new();
            for (mut future, answer) in growing {
                // A request that has everything is answered and ends, which drops its charge.
                match poll(&mut future) {
                    Some(mut charge) => {
                        let before = budget.used();
                        prop_assert!(before <= 200);
                        charge.grow_now(answer);
                    }
                    None => still.push((future, answer)),
                }
            }
            growing = still;
        }
        prop_assert!(waiting.is_empty() && growing.is_empty());
        prop_assert_eq!(budget.used(), 0);
        prop_assert!(!budget.is_short());
    }
}
