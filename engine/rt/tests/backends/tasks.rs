//! Tasks, timers, panics, dropped futures, local channels.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use engine_rt::task::TaskSet;
use engine_rt::{
    now, random_bytes, random_u64, sleep, sleep_until, spawn, spawn_background, sync, timeout,
    wall_clock, yield_if_due, yield_now,
};

use crate::{Said, check, program};

#[test]
fn tasks_join_with_their_result_or_their_panic() {
    check(
        &[&[
            "result 42",
            "task panicked: on purpose 7",
            "detached ran",
            "set 10 1",
            "background 3",
        ]],
        |_| {
            vec![program(|_| async {
                let mut out = Said::new();
                let task = spawn(async {
                    yield_now().await;
                    42
                });
                out.push(format!("result {}", task.await.unwrap()));
                let bad = spawn(async {
                    yield_now().await;
                    assert_eq!(1, 2, "on purpose {}", 7);
                });
                let said = bad.await.unwrap_err().to_string();
                let (kind, message) = said.split_once(": ").unwrap();
                let message = message.lines().next().unwrap().rsplit(": ").next().unwrap();
                out.push(format!("{kind}: {message}"));
                let ran = Rc::new(Cell::new(false));
                let flag = Rc::clone(&ran);
                spawn(async move { flag.set(true) }).detach();
                while !ran.get() {
                    yield_now().await;
                }
                out.push("detached ran".to_owned());
                let set = TaskSet::new();
                let count = Rc::new(Cell::new(0));
                for _ in 0..10 {
                    let count = Rc::clone(&count);
                    set.spawn(async move {
                        sleep(Duration::from_micros(100)).await;
                        count.set(count.get() + 1);
                    });
                }
                set.spawn(async { panic!("one of them") });
                let panics = set.join_all().await;
                out.push(format!("set {} {}", count.get(), panics.len()));
                let background = spawn_background(async {
                    for _ in 0..1000 {
                        yield_if_due().await;
                    }
                    3
                });
                out.push(format!("background {}", background.await.unwrap()));
                out
            })]
        },
    );
}

#[test]
fn timers_fire_in_order_and_never_early() {
    check(
        &[&[
            "[1, 2, 3, 4, 5]",
            "late enough true",
            "elapsed",
            "in time 9",
            "clocks true",
        ]],
        |_| {
            vec![program(|_| async {
                let start = now();
                let order: Rc<RefCell<Vec<u64>>> = Rc::default();
                let tasks: Vec<_> = [3_u64, 1, 5, 2, 4]
                    .into_iter()
                    .map(|step| {
                        let order = Rc::clone(&order);
                        spawn(async move {
                            let until = start.saturating_add(Duration::from_millis(step * 30));
                            sleep_until(until).await;
                            order.borrow_mut().push(step);
                            now() >= until
                        })
                    })
                    .collect();
                let mut all_late = true;
                for task in tasks {
                    all_late &= task.await.unwrap();
                }
                let slow = timeout(Duration::from_millis(3), sleep(Duration::from_mins(1))).await;
                let quick = timeout(Duration::from_mins(1), async { 9 }).await;
                // Past 2020 on the wall, and both clocks go forward.
                let (steady, wall) = (now(), wall_clock());
                sleep(Duration::from_millis(2)).await;
                let clocks = wall.0 > 1_577_836_800_000 && now() > steady && wall_clock() > wall;
                let order = order.borrow().clone();
                vec![
                    format!("{order:?}"),
                    format!("late enough {all_late}"),
                    if slow.is_err() {
                        "elapsed"
                    } else {
                        "too early"
                    }
                    .to_owned(),
                    format!("in time {}", quick.unwrap()),
                    format!("clocks {clocks}"),
                ]
            })]
        },
    );
}

#[test]
fn dropped_futures_release_what_they_held() {
    struct Counted(Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    check(&[&["dropped 3", "permits 2", "received None"]], |_| {
        vec![program(|_| async {
            let drops = Rc::new(Cell::new(0));
            let held = || {
                let counted = Counted(Rc::clone(&drops));
                async move {
                    let _counted = counted;
                    sleep(Duration::from_mins(10)).await;
                }
            };
            assert!(timeout(Duration::from_millis(1), held()).await.is_err());
            drop(held());
            let panics = spawn({
                let held = held();
                async move {
                    let _held = held;
                    panic!("drops what it held");
                }
            });
            assert!(panics.await.is_err());
            let semaphore = sync::Semaphore::new(2);
            let both = semaphore.acquire(2).await;
            assert!(
                timeout(Duration::from_millis(1), semaphore.acquire(1))
                    .await
                    .is_err()
            );
            drop(both);
            let permits = semaphore.acquire(2).await;
            let (sender, answer) = sync::oneshot::<u32>();
            drop(sender);
            let received = answer.await.ok();
            drop(permits);
            vec![
                format!("dropped {}", drops.get()),
                "permits 2".to_owned(),
                format!("received {received:?}"),
            ]
        })]
    });
}

#[test]
fn random_numbers_differ() {
    check(&[&["true true"]], |_| {
        vec![program(|_| async {
            let (a, b) = (random_u64(), random_u64());
            let (c, d) = (random_bytes::<16>(), random_bytes::<16>());
            vec![format!("{} {}", a != b, c != d)]
        })]
    });
}
