//! Shards start, do every kind of work, and stop with what is under way.

use std::cell::Cell;
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine_model::ShardId;
use engine_rt::task::TaskSet;
use engine_rt::{Dir, FileOptions, ListenOptions, Listener, RunError, Stream, System};

use crate::{alone, config, is_alone, loopback, main_of, on_one};

#[test]
fn a_task_sleeps_and_joins_another() {
    let slept = on_one(|| async {
        let before = engine_rt::now();
        let task = engine_rt::spawn(async {
            engine_rt::sleep(Duration::from_millis(5)).await;
            7
        });
        assert_eq!(task.await.unwrap(), 7);
        engine_rt::now().saturating_since(before)
    });
    assert!(slept >= Duration::from_millis(5), "{slept:?}");
}

#[test]
fn what_is_written_reads_back() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a/b");
    let read = on_one(move || async move {
        let dir = Dir::create(&path).await.unwrap();
        let file = dir.open_file("x", FileOptions::CREATE_NEW).await.unwrap();
        file.write_vectored_at(
            3,
            vec![Bytes::from_static(b"hel"), Bytes::from_static(b"lo")],
        )
        .await
        .unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(file.size().await.unwrap(), 8);
        file.read_at(0, 100).await.unwrap()
    });
    assert_eq!(read, b"\0\0\0hello"[..]);
}

#[test]
fn a_connection_carries_bytes_both_ways() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        let address = listener.local_addr();
        let server = engine_rt::spawn(async move {
            let stream = listener.accept().await.unwrap();
            let mut buffer = BytesMut::new();
            while buffer.len() < 5 {
                buffer = stream.recv(buffer, 1024).await.unwrap();
            }
            stream
                .send(vec![buffer.freeze(), Bytes::from_static(b"!")])
                .await
                .unwrap();
        });
        let stream = Stream::connect(address).await.unwrap();
        stream
            .send(vec![Bytes::from_static(b"hello")])
            .await
            .unwrap();
        let mut answer = BytesMut::new();
        loop {
            let before = answer.len();
            answer = stream.recv(answer, 1024).await.unwrap();
            if answer.len() == before {
                break;
            }
        }
        assert_eq!(answer, b"hello!"[..]);
        server.await.unwrap();
    });
}

#[test]
fn mail_crosses_shards_and_back() {
    let system = System::uring(config(2)).unwrap();
    let (to_one, mut at_one) = system.mailbox::<u64>(ShardId(0), ShardId(1), 4);
    let (to_zero, mut at_zero) = system.mailbox::<u64>(ShardId(1), ShardId(0), 4);
    let (tell, told) = mpsc::channel();
    system
        .run(vec![
            main_of(move || async move {
                let mut sum = 0;
                for number in 0..1000 {
                    to_one.send(number).await.unwrap();
                    sum += at_zero.recv().await.unwrap();
                }
                drop(to_one);
                assert_eq!(at_zero.recv().await, None);
                tell.send(sum).unwrap();
            }),
            main_of(move || async move {
                while let Some(number) = at_one.recv().await {
                    to_zero.send(number * 2).await.unwrap();
                }
            }),
        ])
        .unwrap();
    assert_eq!(told.recv().unwrap(), 999 * 1000);
}

#[test]
fn a_panicking_main_stops_the_others_and_is_reported() {
    let system = System::uring(config(2)).unwrap();
    let error = system
        .run(vec![
            main_of(|| async { engine_rt::stopped().await }),
            main_of(|| async { panic!("out of ideas") }),
        ])
        .unwrap_err();
    let message = "out of ideas".to_owned();
    assert_eq!(
        error,
        RunError::MainPanicked {
            shard: ShardId(1),
            message
        }
    );
}

/// Sets a flag when it is dropped.
struct Tells(Rc<Cell<bool>>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn a_shard_stops_with_operations_of_every_kind_under_way() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        let address = listener.local_addr();
        // Accepts for ever, each connection receives for ever.
        let accepting = listener.clone();
        engine_rt::spawn(async move {
            loop {
                let stream = accepting.accept().await.unwrap();
                engine_rt::spawn(async move { stream.recv(BytesMut::new(), 100).await }).detach();
            }
        })
        .detach();
        // Receives, and sends more than fits, for ever.
        let stream = Stream::connect(address).await.unwrap();
        let receiving = stream.clone();
        engine_rt::spawn(async move { receiving.recv(BytesMut::new(), 100).await }).detach();
        engine_rt::spawn(async move { stream.send(vec![Bytes::from(vec![1; 64 << 20])]).await })
            .detach();
        engine_rt::spawn(engine_rt::sleep(Duration::from_hours(1))).detach();
        engine_rt::spawn_background(async {
            loop {
                engine_rt::yield_now().await;
            }
        })
        .detach();
        // Writes and flushes for ever.
        let dir = Dir::open(path).await.unwrap();
        let file = dir.open_file("x", FileOptions::CREATE_NEW).await.unwrap();
        for number in 0..4 {
            let file = file.clone();
            engine_rt::spawn(async move {
                loop {
                    let block = Bytes::from(vec![7; 100_000]);
                    file.write_at(number * 100_000, block).await.unwrap();
                    file.sync_data().await.unwrap();
                }
            })
            .detach();
        }
        engine_rt::sleep(Duration::from_millis(50)).await;
        assert!(engine_rt::counters().operations >= 4);
    });
}

/// Says so when it is dropped.
struct Tell(mpsc::Sender<()>);
impl Drop for Tell {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

#[test]
fn tasks_that_outlive_their_main_are_dropped_before_run_returns() {
    let (tell, told) = mpsc::channel();
    on_one(move || async move {
        for _ in 0..3 {
            let tell = Tell(tell.clone());
            engine_rt::spawn(async move {
                engine_rt::sleep(Duration::from_hours(1)).await;
                drop(tell);
            })
            .detach();
        }
        engine_rt::yield_now().await;
    });
    assert_eq!(told.try_iter().count(), 3);
}

#[test]
fn a_stop_reaches_every_shard_asleep_or_not() {
    let system = System::uring(config(3)).unwrap();
    let handle = system.stop_handle();
    let asker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        assert!(!handle.is_requested());
        handle.request_stop();
    });
    let waits = || {
        main_of(|| async {
            engine_rt::stopped().await;
            assert!(engine_rt::stop_requested());
            // Once requested, it does not wait.
            engine_rt::stopped().await;
        })
    };
    let busy = main_of(|| async {
        while !engine_rt::stop_requested() {
            engine_rt::yield_now().await;
        }
        engine_rt::stopped().await;
    });
    system.run(vec![waits(), waits(), busy]).unwrap();
    asker.join().unwrap();
}

#[test]
fn a_panic_stays_in_its_task() {
    on_one(|| async {
        let dropped = Rc::new(Cell::new(false));
        let tells = Tells(Rc::clone(&dropped));
        let panicking = engine_rt::spawn(async move {
            let _tells = tells;
            engine_rt::yield_now().await;
            panic!("no more");
        });
        let other = engine_rt::spawn(async { 5 });
        assert_eq!(panicking.await.unwrap_err().message, "no more");
        assert!(
            dropped.get(),
            "what the task held is released when its end is known"
        );
        assert_eq!(other.await.unwrap(), 5);

        let set = TaskSet::new();
        set.spawn(async { panic!("one of the set") });
        set.spawn_background(async { engine_rt::yield_now().await });
        let panics = set.join_all().await;
        assert_eq!(panics.len(), 1);
        assert_eq!(panics[0].message, "one of the set");
        assert!(set.is_empty());
    });
}

#[test]
fn shards_know_their_number_and_draw_different_numbers() {
    let system = System::uring(config(2)).unwrap();
    let (tell, told) = mpsc::channel();
    let main = |tell: mpsc::Sender<_>| {
        main_of(move || async move {
            let drawn = engine_rt::random_u64();
            tell.send((engine_rt::shard(), engine_rt::shard_count(), drawn))
                .unwrap();
        })
    };
    system.run(vec![main(tell.clone()), main(tell)]).unwrap();
    let mut said: Vec<_> = told.iter().collect();
    said.sort();
    assert_eq!((said[0].0, said[0].1), (ShardId(0), 2));
    assert_eq!((said[1].0, said[1].1), (ShardId(1), 2));
    assert_ne!(said[0].2, said[1].2);
}

#[test]
fn systems_that_have_ended_leave_no_descriptors_behind() {
    let name = "lifecycle::systems_that_have_ended_leave_no_descriptors_behind";
    if !is_alone(name) {
        let ended = alone(name, "").wait_with_output().unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        return;
    }
    let before = open_descriptors();
    for _ in 0..20 {
        on_one(|| async {
            engine_rt::spawn(engine_rt::sleep(Duration::from_hours(1))).detach();
            let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
            engine_rt::spawn(async move { listener.accept().await }).detach();
            engine_rt::yield_now().await;
        });
    }
    // glommio leaves one eventfd behind for each executor that ended.
    assert_eq!(open_descriptors(), before + 20);
}

pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn an_operation_that_may_block_for_ever_does_not_hold_up_the_end() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    let pipe = std::ffi::CString::new(path.join("pipe").to_str().unwrap()).unwrap();
    // SAFETY: a terminated path.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    let before = std::time::Instant::now();
    on_one(move || async move {
        let dir = Dir::open(path).await.unwrap();
        let pipe = dir
            .open_file("pipe", FileOptions::READ_WRITE)
            .await
            .unwrap();
        // Waits for somebody who writes: nobody does.
        engine_rt::spawn(async move { pipe.read_at(0, 10).await }).detach();
        engine_rt::sleep(Duration::from_millis(20)).await;
        assert_eq!(engine_rt::counters().operations, 1);
    });
    let grace = config(1).stop_grace;
    assert!(before.elapsed() < grace, "its operation was left behind");
}

/// A waker that panics: nothing a task can do, but a fault of the machinery would look like it.
struct Panics;

impl std::task::Wake for Panics {
    fn wake(self: std::sync::Arc<Self>) {
        panic!("a fault of the machinery");
    }
}

#[test]
fn a_panic_of_the_driver_ends_the_process() {
    let name = "lifecycle::a_panic_of_the_driver_ends_the_process";
    if is_alone(name) {
        let _ = System::uring(config(1))
            .unwrap()
            .run(vec![main_of(|| async {
                let mut sleep = Box::pin(engine_rt::sleep(Duration::from_millis(1)));
                let waker = std::sync::Arc::new(Panics).into();
                let mut context = std::task::Context::from_waker(&waker);
                assert!(sleep.as_mut().poll(&mut context).is_pending());
                engine_rt::sleep(Duration::from_mins(1)).await;
            })]);
        return;
    }
    let ended = alone(name, "").wait_with_output().unwrap();
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{ended:?}");
}
