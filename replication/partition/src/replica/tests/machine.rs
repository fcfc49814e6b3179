//! Random events against the replica, beside a model that keeps every fact and decides by
//! looking at all of them.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Step {
    Lead {
        raise: i32,
        isr: u8,
        min: usize,
    },
    Follow {
        raise: i32,
    },
    Change {
        isr: u8,
        min: usize,
    },
    Append {
        count: i64,
        acks: Option<bool>,
    },
    Write {
        share: u8,
    },
    Flush {
        share: u8,
    },
    Start {
        share: u8,
    },
    Follower {
        node: i32,
        share: u8,
        is_stale: bool,
    },
    Truncate {
        share: u8,
    },
    Abandon {
        which: prop::sample::Index,
    },
    Fence,
    Offline,
    Delete,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (-1..3, any::<u8>(), 1..4_usize)
            .prop_map(|(raise, isr, min)| Step::Lead { raise, isr, min }),
        20 => (-1..3).prop_map(|raise| Step::Follow { raise }),
        40 => (any::<u8>(), 1..4_usize).prop_map(|(isr, min)| Step::Change { isr, min }),
        160 => (1..10_i64, any::<Option<bool>>())
            .prop_map(|(count, acks)| Step::Append { count, acks }),
        120 => any::<u8>().prop_map(|share| Step::Write { share }),
        120 => any::<u8>().prop_map(|share| Step::Flush { share }),
        20 => any::<u8>().prop_map(|share| Step::Start { share }),
        80 => (2..4, any::<u8>(), any::<bool>())
            .prop_map(|(node, share, is_stale)| Step::Follower { node, share, is_stale }),
        20 => any::<u8>().prop_map(|share| Step::Truncate { share }),
        20 => any::<prop::sample::Index>().prop_map(|which| Step::Abandon { which }),
        20 => Just(Step::Offline),
        20 => Just(Step::Fence),
        1 => Just(Step::Delete),
    ]
}

/// A point between two offsets.
fn between(low: i64, high: i64, share: u8) -> i64 {
    low + (high - low) * i64::from(share) / 255
}

#[derive(Default)]
struct Model {
    start: i64,
    stable: i64,
    written: i64,
    end: i64,
    followers: BTreeMap<i32, i64>,
    isr: BTreeSet<i32>,
    min: usize,
    waiting: BTreeMap<u64, (Acks, i64)>,
    next_waiter: u64,
}

impl Model {
    fn ends(&self) -> LogEnds {
        ends(self.start, self.stable, self.written)
    }

    fn isr_of(bits: u8) -> Vec<i32> {
        (1..4)
            .filter(|node| *node == 1 || bits & (1 << node) != 0)
            .collect()
    }
}

fn run(model: &mut Model, replica: &mut Replica, step_taken: &Step) -> Effects {
    let current = replica.leader_epoch().get();
    match step_taken {
        Step::Lead { raise, isr, min } => {
            let isr = Model::isr_of(*isr);
            let leads_anew = *raise > 0 || (*raise == 0 && replica.role() != Role::Leader);
            if *raise >= 0 && replica.role() != Role::Deleted {
                if leads_anew {
                    model.followers.clear();
                }
                (model.isr, model.min) = (isr.iter().copied().collect(), *min);
            }
            step(
                replica,
                lead(current + raise, &[1, 2, 3], &isr, *min, model.ends()),
            )
        }
        Step::Follow { raise } => step(
            replica,
            Event::BecomeFollower {
                leader_epoch: epoch(current + raise),
            },
        ),
        Step::Change { isr, min } => {
            let isr = Model::isr_of(*isr);
            if replica.role() == Role::Leader {
                (model.isr, model.min) = (isr.iter().copied().collect(), *min);
            }
            step(replica, change(&[1, 2, 3], &isr, *min))
        }
        Step::Append { count, acks } => {
            let acks = acks.map(|all| if all { Acks::All } else { Acks::Leader });
            let Ok(leader_epoch) = replica.check_append(acks) else {
                return Effects::new();
            };
            model.end += count;
            let Some(acks) = acks else {
                return Effects::new();
            };
            model.next_waiter += 1;
            model.waiting.insert(model.next_waiter, (acks, model.end));
            step(
                replica,
                wait(model.next_waiter, acks, model.end, leader_epoch.get()),
            )
        }
        Step::Write { share } => {
            model.written = between(model.written, model.end, *share);
            step(replica, Event::LocalEnds(model.ends()))
        }
        Step::Flush { share } => {
            model.stable = between(model.stable, model.written, *share);
            step(replica, Event::LocalEnds(model.ends()))
        }
        Step::Start { share } => {
            model.start = between(
                model.start,
                replica.high_watermark().get().max(model.start),
                *share,
            );
            step(replica, Event::LocalEnds(model.ends()))
        }
        Step::Follower {
            node,
            share,
            is_stale,
        } => {
            let stable = between(0, model.end, *share);
            if replica.role() == Role::Leader && !is_stale {
                model.followers.insert(*node, stable);
            }
            step(
                replica,
                follower(*node, current - i32::from(*is_stale), stable),
            )
        }
        Step::Truncate { share } => {
            let to = between(model.start, model.end, *share);
            model.end = to;
            model.stable = model.stable.min(to);
            model.written = model.written.min(to);
            step(replica, Event::Truncated { to: offset(to) })
        }
        Step::Abandon { which } => {
            let place = which.index(model.waiting.len().max(1));
            let Some(number) = model.waiting.keys().nth(place).copied() else {
                return Effects::new();
            };
            let (acks, end) = model.waiting.remove(&number).unwrap();
            let (waiter, end) = (WaiterId(number), offset(end));
            step(replica, Event::Abandon { waiter, acks, end })
        }
        Step::Fence => step(replica, Event::Fenced),
        Step::Offline => step(replica, Event::Offline(OfflineCause::Failed)),
        Step::Delete => step(replica, Event::Deleted),
    }
}

/// Every answer is right by the facts, and nobody waits for what is there.
fn check(
    model: &mut Model,
    replica: &Replica,
    before: Offset,
    step_taken: &Step,
    effects: &[Effect],
) {
    let high_watermark = replica.high_watermark().get();
    let truncated = matches!(step_taken, Step::Truncate { .. });
    assert!(
        truncated || before <= replica.high_watermark(),
        "the high watermark fell"
    );
    if replica.high_watermark() > before {
        let needed = model.min.min(3);
        assert!(
            model.isr.len() >= needed,
            "committed below the minimum in sync"
        );
        for node in model.isr.iter().filter(|node| **node != 1) {
            assert!(
                model.followers[node] >= high_watermark,
                "committed what {node} lacks"
            );
        }
        assert!(
            model.stable.max(model.start) >= high_watermark,
            "committed what is not stable"
        );
    }
    for effect in effects {
        let Effect::Answer { waiter, result } = effect else {
            continue;
        };
        let (acks, end) = model.waiting.remove(&waiter.0).expect("answered once");
        match (result, acks) {
            (Ok(()), Acks::All) => assert!(end <= high_watermark, "acknowledged too early"),
            (Ok(()), Acks::Leader) => assert!(end <= model.written, "acknowledged too early"),
            (Err(WaitError::Truncated { to }), _) => assert!(end > to.get()),
            (Err(_), _) => {}
        }
    }
    if replica.role() != Role::Leader {
        assert!(model.waiting.is_empty(), "nobody is left waiting");
    }
    assert_eq!(replica.waiter_count(), model.waiting.len());
    for (acks, end) in model.waiting.values() {
        match acks {
            Acks::All => assert!(*end > high_watermark, "waits for what is committed"),
            Acks::Leader => assert!(*end > model.written, "waits for what is written"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_nothing_is_acknowledged_that_is_not_so(
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        let mut model = Model::default();
        let mut replica = Replica::new(ME);
        for taken in &steps {
            let before = replica.high_watermark();
            let epoch_before = replica.leader_epoch();
            let effects = run(&mut model, &mut replica, taken);
            prop_assert!(replica.leader_epoch() >= epoch_before);
            let begun = effects.iter().filter(|effect| matches!(effect, Effect::BeginEpoch { .. }));
            prop_assert!(begun.count() <= 1);
            check(&mut model, &replica, before, taken, &effects);
        }
    }
}
