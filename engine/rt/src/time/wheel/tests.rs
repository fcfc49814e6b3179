//! The wheel against a sorted list.

use std::sync::Arc;
use std::sync::Mutex;
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::*;

/// Notes its number when it is woken.
struct Note(u64, Arc<Mutex<Vec<u64>>>);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Sets a timer that far ahead of now (or behind it).
    Insert(i64),
    /// Clears one of the timers set so far.
    Remove(usize),
    Advance(u64),
    /// Goes exactly to where the wheel says something may be due.
    Follow,
}

fn any_distance() -> impl Strategy<Value = u64> {
    // Every level of the wheel, and beyond it.
    (0_u32..60).prop_flat_map(|bits| 0..(1_u64 << bits))
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_distance().prop_map(|d| Step::Insert(i64::try_from(d).unwrap())),
        1 => (0_i64..1000).prop_map(|d| Step::Insert(-d)),
        2 => any::<usize>().prop_map(Step::Remove),
        2 => any_distance().prop_map(Step::Advance),
        3 => Just(Step::Follow),
    ]
}

proptest! {
    #[test]
    fn timers_fire_when_due_in_order_and_never_before(
        steps in proptest::collection::vec(any_step(), 1..80),
        start in any_distance(),
    ) {
        let mut wheel = Wheel::default();
        let mut now = start;
        let fired = Arc::new(Mutex::new(Vec::new()));
        // Moment, number, id.
        let mut set: Vec<(u64, u64, TimerId)> = Vec::new();
        let mut number = 0;
        for step in steps {
            match step {
                Step::Insert(distance) => {
                    let moment = now.saturating_add_signed(distance);
                    number += 1;
                    let waker = Waker::from(Arc::new(Note(number, Arc::clone(&fired))));
                    let id = wheel.insert(Moment(moment), waker);
                    set.push((moment, number, id));
                    continue;
                }
                Step::Remove(which) => {
                    if !set.is_empty() {
                        let (_, _, id) = set.swap_remove(which % set.len());
                        prop_assert!(wheel.renew(id, Waker::noop()));
                        prop_assert!(wheel.remove(id).is_some());
                        prop_assert!(wheel.remove(id).is_none());
                        prop_assert!(!wheel.renew(id, Waker::noop()));
                    }
                    continue;
                }
                Step::Advance(distance) => now = now.saturating_add(distance),
                Step::Follow => {
                    if let Some(moment) = wheel.next_due() {
                        now = now.max(moment.0);
                    }
                }
            }
            // Whoever sleeps until `next_due` misses nothing.
            if let Some(earliest) = set.iter().map(|(moment, _, _)| moment).min() {
                prop_assert!(wheel.next_due().unwrap().0 <= *earliest);
            } else {
                prop_assert_eq!(wheel.next_due(), None);
            }
            for waker in wheel.take_due(Moment(now)) {
                waker.wake();
            }
            let mut expected: Vec<(u64, u64)> = set
                .iter()
                .filter(|(moment, _, _)| *moment <= now)
                .map(|(moment, number, _)| (*moment, *number))
                .collect();
            expected.sort_unstable();
            set.retain(|(moment, _, _)| *moment > now);
            let fired = std::mem::take(&mut *fired.lock().unwrap());
            prop_assert_eq!(fired, expected.into_iter().map(|(_, n)| n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn following_the_wheel_reaches_every_timer_in_few_steps(distance in any_distance()) {
        let mut wheel = Wheel::default();
        wheel.insert(Moment(distance), Waker::noop().clone());
        let mut steps = 0;
        while let Some(due) = wheel.next_due() {
            steps += 1;
            prop_assert!(due.0 <= distance);
            wheel.take_due(due);
        }
        // One level a step, and one turn of the whole wheel a step beyond it.
        let turns = usize::try_from(distance >> (TICK_BITS + SLOT_BITS * 6)).unwrap();
        prop_assert!(steps <= 8 + turns, "{steps} steps");
    }
}

#[test]
fn a_far_timer_that_is_cleared_leaves_an_empty_wheel() {
    let mut wheel = Wheel::default();
    for moment in [Moment(0), Moment(1 << 30), Moment(1 << 58), Moment::NEVER] {
        let id = wheel.insert(moment, Waker::noop().clone());
        assert!(wheel.remove(id).is_some());
        assert_eq!(wheel.next_due(), None, "{moment:?}");
    }
}
