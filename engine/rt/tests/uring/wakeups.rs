//! No wake-up is lost, however tasks, sockets and shards play ping-pong under load.
//!
//! A lost wake-up either hangs (and runs into the time limit of `main_of`) or is found by the
//! heartbeat, which counts it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine_model::ShardId;
use engine_rt::sync::{Notify, channel};
use engine_rt::task::TaskSet;
use engine_rt::{Dir, FileOptions, ListenOptions, Listener, Stream, System};

use crate::{config, loopback, main_of, on_one, rounds};

/// Runs its task `micros` at a time until told to end.
fn hog(micros: u64, over: &Rc<Cell<bool>>) {
    let over = Rc::clone(over);
    engine_rt::spawn(async move {
        while !over.get() {
            spin(micros);
            engine_rt::yield_now().await;
        }
    })
    .detach();
}

pub(crate) fn spin(micros: u64) {
    let before = std::time::Instant::now();
    while before.elapsed() < Duration::from_micros(micros) {
        std::hint::spin_loop();
    }
}

fn assert_nothing_lost() {
    assert_eq!(
        engine_rt::counters().rescues,
        0,
        "the heartbeat found lost wake-ups"
    );
}

/// Answers every message of `size` bytes with the same bytes, until the end of the stream.
async fn echo(stream: Stream, size: usize) {
    let mut buffer = BytesMut::new();
    loop {
        let before = buffer.len();
        buffer = stream.recv(buffer, 4096).await.unwrap();
        if buffer.len() == before {
            return;
        }
        while buffer.len() >= size {
            let message = buffer.split_to(size).freeze();
            stream.send(vec![message]).await.unwrap();
        }
    }
}

/// Sends `count` messages and awaits the answer to each.
async fn ping(stream: &Stream, count: u64, size: usize) {
    let mut buffer = BytesMut::new();
    for number in 0..count {
        let byte = u8::try_from(number % 251).unwrap();
        let half = Bytes::from(vec![byte; size / 2]);
        stream.send(vec![half.clone(), half]).await.unwrap();
        while buffer.len() < size {
            let before = buffer.len();
            buffer = stream.recv(buffer, size - before).await.unwrap();
            assert!(buffer.len() > before, "the other side is gone");
        }
        assert!(buffer.iter().all(|b| *b == byte), "message {number}");
        buffer.clear();
    }
}

#[test]
fn tasks_wake_each_other_a_million_times() {
    on_one(|| async {
        let set = TaskSet::new();
        for pair in 0..10_u64 {
            let (there, mut at_there) = channel(1);
            let (back, mut at_back) = channel(1);
            set.spawn(async move {
                while let Some(number) = at_there.recv().await {
                    back.send(number).await.unwrap();
                }
            });
            set.spawn(async move {
                for number in 0..rounds(50_000) {
                    there.send(number + pair).await.unwrap();
                    assert_eq!(at_back.recv().await, Some(number + pair));
                }
            });
        }
        assert_eq!(set.join_all().await, []);
        assert_nothing_lost();
    });
}

#[test]
fn notifications_between_check_and_wait_are_seen() {
    on_one(|| async {
        let shared = Rc::new((Notify::new(), Cell::new(0_u64)));
        let (at, turns) = (Rc::clone(&shared), rounds(100_000));
        let other = engine_rt::spawn(async move {
            while at.1.get() < turns {
                let rung = at.0.notified();
                if at.1.get() % 2 == 1 {
                    at.1.set(at.1.get() + 1);
                    at.0.notify_all();
                    continue;
                }
                rung.await;
            }
        });
        while shared.1.get() < turns {
            let rung = shared.0.notified();
            if shared.1.get().is_multiple_of(2) {
                shared.1.set(shared.1.get() + 1);
                shared.0.notify_all();
                continue;
            }
            rung.await;
        }
        shared.0.notify_all();
        other.await.unwrap();
    });
}

#[test]
fn sockets_answer_every_message_while_tasks_hog_the_shard() {
    for (connections, count, hogs) in [(1, 5_000, 0), (32, 1_000, 0), (8, 500, 2)] {
        on_one(move || async move {
            let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
            let address = listener.local_addr();
            let over = Rc::new(Cell::new(false));
            for _ in 0..hogs {
                hog(50, &over);
            }
            let set = TaskSet::new();
            let served = set.clone();
            set.spawn(async move {
                for _ in 0..connections {
                    let stream = listener.accept().await.unwrap();
                    served.spawn(echo(stream, 128));
                }
            });
            for _ in 0..connections {
                set.spawn(async move {
                    let stream = Stream::connect(address).await.unwrap();
                    ping(&stream, rounds(count), 128).await;
                });
            }
            assert_eq!(set.join_all().await, []);
            over.set(true);
            assert_nothing_lost();
        });
    }
}

#[test]
fn sockets_files_timers_and_mail_of_two_shards_all_make_progress_together() {
    let system = System::uring(config(2)).unwrap();
    let (there, mut at_there) = system.mailbox::<u64>(ShardId(0), ShardId(1), 64);
    let (back, mut at_back) = system.mailbox::<u64>(ShardId(1), ShardId(0), 64);
    let (tell_address, told_address) = mpsc::channel();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    let (connections, count) = (16, rounds(500));
    let server = main_of(move || async move {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        tell_address.send(listener.local_addr()).unwrap();
        let set = TaskSet::new();
        let served = set.clone();
        set.spawn(async move {
            for _ in 0..connections {
                let stream = listener.accept().await.unwrap();
                served.spawn(echo(stream, 1000));
            }
        });
        set.spawn(async move {
            while let Some(number) = at_there.recv().await {
                back.send(number + 1).await.unwrap();
            }
        });
        set.spawn(async move {
            let dir = Dir::open(path).await.unwrap();
            let file = dir.open_file("x", FileOptions::CREATE_NEW).await.unwrap();
            for number in 0..rounds(100) {
                let block = Bytes::from(vec![1; 4096]);
                file.write_at(number * 4096, block).await.unwrap();
                if number % 10 == 0 {
                    file.sync_data().await.unwrap();
                }
            }
        });
        assert_eq!(set.join_all().await, []);
        assert_nothing_lost();
    });
    let client = main_of(move || async move {
        let address = told_address.recv().unwrap();
        let over = Rc::new(Cell::new(false));
        hog(100, &over);
        let set = TaskSet::new();
        for _ in 0..connections {
            set.spawn(async move {
                let stream = Stream::connect(address).await.unwrap();
                ping(&stream, count, 1000).await;
            });
        }
        set.spawn(async move {
            for number in 0..rounds(2_000) {
                there.send(number).await.unwrap();
                assert_eq!(at_back.recv().await, Some(number + 1));
            }
        });
        set.spawn(async {
            for _ in 0..rounds(100) {
                engine_rt::sleep(Duration::from_millis(1)).await;
            }
        });
        assert_eq!(set.join_all().await, []);
        over.set(true);
        assert_nothing_lost();
    });
    system.run(vec![client, server]).unwrap();
}

#[test]
fn mail_wakes_sleepers_every_time() {
    let system = System::uring(config(2)).unwrap();
    let (there, mut at_there) = system.mailbox::<u64>(ShardId(0), ShardId(1), 1);
    let (back, mut at_back) = system.mailbox::<u64>(ShardId(1), ShardId(0), 1);
    let one = main_of(move || async move {
        for number in 0..rounds(10_000) {
            there.send(number).await.unwrap();
            assert_eq!(at_back.recv().await, Some(number));
        }
        drop(there);
        assert_eq!(at_back.recv().await, None, "the other side is gone");
        let counted = engine_rt::counters();
        assert!(counted.parks > 0, "nobody ever slept: nothing was tested");
        assert_nothing_lost();
    });
    let two = main_of(move || async move {
        while let Some(number) = at_there.recv().await {
            back.send(number).await.unwrap();
        }
        assert_nothing_lost();
    });
    system.run(vec![one, two]).unwrap();
}

#[test]
fn full_mailboxes_hold_senders_back_and_lose_nothing() {
    for capacity in [1, 3, 256] {
        let system = System::uring(config(2)).unwrap();
        let (sender, mut receiver) = system.mailbox::<u64>(ShardId(0), ShardId(1), capacity);
        let count = rounds(if capacity == 1 { 5_000 } else { 100_000 });
        let one = main_of(move || async move {
            for number in 0..count {
                sender.send(number).await.unwrap();
                engine_rt::yield_if_due().await;
            }
            assert_nothing_lost();
        });
        let two = main_of(move || async move {
            for number in 0..count {
                assert_eq!(receiver.recv().await, Some(number));
                engine_rt::yield_if_due().await;
            }
            assert_eq!(receiver.recv().await, None);
            assert_nothing_lost();
        });
        system.run(vec![one, two]).unwrap();
    }
}

#[test]
fn a_sender_learns_that_nobody_receives_any_more() {
    let system = System::uring(config(2)).unwrap();
    let (sender, receiver) = system.mailbox::<u64>(ShardId(0), ShardId(1), 1);
    let one = main_of(move || async move {
        while sender.send(1).await.is_ok() {}
        assert!(sender.is_closed());
        assert_eq!(sender.try_send(5), Err(5));
    });
    let two = main_of(move || async move {
        engine_rt::sleep(Duration::from_millis(20)).await;
        drop(receiver);
    });
    system.run(vec![one, two]).unwrap();
}
