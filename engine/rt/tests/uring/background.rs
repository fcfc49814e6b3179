//! Background work never starves what somebody waits for, and is not starved itself.
//!
//! Counts polls and turns; how long anything takes is the machine's business.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine_rt::{Counters, ListenOptions, Listener, Stream, counters};

use crate::wakeups::spin;
use crate::{loopback, on_one};

/// Background tasks that each run 500 us at a time until told to end.
fn background(tasks: usize, over: &Rc<Cell<bool>>) {
    for _ in 0..tasks {
        let over = Rc::clone(over);
        engine_rt::spawn_background(async move {
            while !over.get() {
                spin(500);
                engine_rt::yield_now().await;
            }
        })
        .detach();
    }
}

#[test]
fn io_waits_for_one_background_poll_a_turn_at_most() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        let address = listener.local_addr();
        engine_rt::spawn(async move {
            let stream = listener.accept().await.unwrap();
            loop {
                let buffer = stream.recv(BytesMut::new(), 100).await.unwrap();
                if buffer.is_empty() {
                    return;
                }
                stream.send(vec![buffer.freeze()]).await.unwrap();
            }
        })
        .detach();
        let stream = Stream::connect(address).await.unwrap();
        let over = Rc::new(Cell::new(false));
        background(10, &over);
        let mut polls = 0;
        for _ in 0..200 {
            let before = counters();
            stream
                .send(vec![Bytes::from_static(b"ping")])
                .await
                .unwrap();
            stream.recv(BytesMut::new(), 100).await.unwrap();
            let now = counters();
            let ran = now.background_polls - before.background_polls;
            assert!(ran <= now.turns - before.turns, "{before:?} {now:?}");
            polls += ran;
        }
        over.set(true);
        // Four operations one after the other; each may find one poll running, and the gate may
        // open once more in the turn that completes it.
        assert!(
            polls <= 200 * 8,
            "{polls} background polls in 200 round trips"
        );
        assert!(
            counters().background_polls > 0,
            "nothing ran in the background"
        );
    });
}

#[test]
fn timers_wait_for_the_background_poll_that_runs_when_they_are_due() {
    on_one(|| async {
        let over = Rc::new(Cell::new(false));
        let late = Rc::new(Cell::new(0));
        let due = Rc::new(Cell::new(engine_rt::now()));
        let waits = Rc::new(Cell::new(false));
        for _ in 0..5 {
            let (over, late) = (Rc::clone(&over), Rc::clone(&late));
            let (due, waits) = (Rc::clone(&due), Rc::clone(&waits));
            engine_rt::spawn_background(async move {
                while !over.get() {
                    if waits.get() && engine_rt::now() > due.get() {
                        late.set(late.get() + 1);
                    }
                    spin(500);
                    engine_rt::yield_now().await;
                }
            })
            .detach();
        }
        for _ in 0..100 {
            due.set(engine_rt::now().saturating_add(Duration::from_millis(2)));
            waits.set(true);
            engine_rt::sleep_until(due.get()).await;
            waits.set(false);
        }
        over.set(true);
        // A poll that begins after the moment, before the wheel is looked at: one of the turn that
        // was going on, at most.
        assert!(
            late.get() <= 100,
            "{} late polls for 100 timers",
            late.get()
        );
    });
}

#[test]
fn background_work_goes_on_while_the_foreground_is_never_idle() {
    on_one(|| async {
        let over = Rc::new(Cell::new(false));
        background(1, &over);
        let before = counters();
        let start = engine_rt::now();
        // The foreground is always runnable, 50 us at a time.
        while counters().background_polls < before.background_polls + 20 {
            spin(50);
            engine_rt::yield_now().await;
            let passed = engine_rt::now().saturating_since(start);
            assert!(passed < Duration::from_secs(30), "the background starves");
        }
        over.set(true);
        let now: Counters = counters();
        // Its share is a matter of time (the gate's own tests see to it); but there is no turn in
        // which only the background runs.
        let foreground = now.polls - before.polls;
        assert!(
            foreground >= 20,
            "{foreground} polls beside 20 background ones"
        );
    });
}

#[test]
fn the_ring_is_looked_after_however_many_tasks_are_runnable() {
    on_one(|| async {
        // 100 tasks of 200 us each make one round of 20 ms; the ring waits for a quantum only.
        let over = Rc::new(Cell::new(false));
        for _ in 0..100 {
            let over = Rc::clone(&over);
            engine_rt::spawn(async move {
                while !over.get() {
                    spin(200);
                    engine_rt::yield_now().await;
                }
            })
            .detach();
        }
        engine_rt::yield_now().await;
        let before = counters();
        for _ in 0..10 {
            engine_rt::yield_now().await;
        }
        let now = counters();
        over.set(true);
        let polls = now.polls - before.polls;
        let turns = now.turns - before.turns;
        assert!(turns * 5 >= polls, "{turns} turns for {polls} polls");
    });
}

#[test]
fn long_work_is_told_when_to_yield() {
    on_one(|| async {
        engine_rt::yield_now().await;
        let mut rounds = 0;
        while !engine_rt::is_yield_due() {
            spin(50);
            rounds += 1;
        }
        assert!(rounds <= 10, "{rounds} times 50 us");
        engine_rt::yield_if_due().await;
        assert!(
            !engine_rt::is_yield_due(),
            "the clock starts again after a yield"
        );
    });
}
