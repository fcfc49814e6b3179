//! The simulation as a whole: determinism, crash points, crash and restart, faults, lifetimes.

mod connections;
mod disk_faults;
mod links;
mod stalls;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::sync::Notify;
use crate::{
    Dir, Error, FileOptions, ListenOptions, Listener, Result, StopHandle, Stream, now, shard,
    sleep, spawn, spawn_background, stopped, timeout, yield_if_due, yield_now,
};

const MINUTE: Duration = Duration::from_mins(1);

fn local<F: Future<Output = ()> + 'static>(main: impl FnOnce() -> F + 'static) -> LocalMain {
    Box::new(move || Box::pin(main()))
}

/// Two durable steps: a file with content, and its replacement by a rename.
async fn replace_a_file() -> Result<()> {
    let dir = Dir::create("/data").await?;
    for (name, byte) in [("CURRENT", b'1'), ("CURRENT.new", b'2')] {
        let file = dir.open_file(name, FileOptions::CREATE_NEW).await?;
        file.write_at(0, Bytes::from(vec![byte; 1000])).await?;
        file.sync_data().await?;
        dir.sync().await?;
    }
    dir.rename("CURRENT.new", "CURRENT").await?;
    dir.sync().await
}

async fn read_current() -> Option<Bytes> {
    let dir = Dir::open("/data").await.ok()?;
    let file = dir.open_file("CURRENT", FileOptions::READ).await.ok()?;
    Some(file.read_at(0, 5000).await.unwrap())
}

#[test]
fn every_crash_point_shows_the_old_or_the_new_file_once_that_is_promised() {
    let mut points = 0;
    let mut outcomes = BTreeSet::new();
    for point in 1.. {
        let mut sim = Simulation::new(point);
        let node = sim.add_node(1);
        sim.disk(node).crash_after(point);
        match sim.block_on(node, MINUTE, replace_a_file) {
            Ok(done) => {
                assert_eq!(done, Ok(()));
                break;
            }
            Err(unfinished) => assert_eq!(unfinished, Unfinished::CrashPoint),
        }
        points += 1;
        assert_eq!(sim.crash_point(), Some(node));
        for seed in 0..50 {
            for kind in [CrashKind::Kill, CrashKind::Power] {
                let image = sim.crash_image(node, kind, seed);
                let after = sim.add_node_with_disk(1, &image);
                let current = sim.block_on(after, MINUTE, read_current).unwrap();
                let first = current.as_ref().and_then(|bytes| bytes.first().copied());
                outcomes.insert((point, first));
                // From the eighth change on CURRENT is durable, and nothing but it is.
                if point >= 7 {
                    let whole = [[b'1'; 1000], [b'2'; 1000]]
                        .iter()
                        .any(|v| current == Some(Bytes::from(v.to_vec())));
                    assert!(whole, "point {point} seed {seed}: {current:?}");
                }
            }
        }
        // The crash itself, and a restart over what it left.
        sim.crash(node, CrashKind::Power);
        assert_eq!(sim.crash_point(), None);
        assert_eq!(sim.disk(node).counts().crash_points, 1);
        sim.block_on(node, MINUTE, read_current).unwrap();
    }
    // mkdir, its sync; twice create, write, flush, sync; rename, sync.
    assert_eq!(points, 12);
    assert!(outcomes.contains(&(11, Some(b'1'))) && outcomes.contains(&(11, Some(b'2'))));
    assert!(outcomes.contains(&(12, Some(b'1'))) && outcomes.contains(&(12, Some(b'2'))));
}

/// Everything at once: tasks, timers, files, sockets between nodes.
fn busy_run(seed: u64) -> (u64, u64, Vec<usize>) {
    let mut sim = Simulation::new(seed);
    let (server, client) = (sim.add_node(2), sim.add_node(1));
    let address = sim.address(server, 9092);
    let log: Rc<RefCell<Vec<usize>>> = Rc::default();
    let mains: Vec<LocalMain> = (0..2)
        .map(|_| {
            local(move || async move {
                let options = ListenOptions {
                    reuse_port: true,
                    ..ListenOptions::default()
                };
                let listener = Listener::bind(address, options).unwrap();
                loop {
                    let stream = listener.accept().await.unwrap();
                    spawn(async move {
                        let mut buffer = BytesMut::new();
                        loop {
                            let before = buffer.len();
                            buffer = stream.recv(buffer, 1000).await.unwrap();
                            if buffer.len() == before {
                                break;
                            }
                            stream.send(vec![buffer.split().freeze()]).await.unwrap();
                        }
                    })
                    .detach();
                }
            })
        })
        .collect();
    let system = sim.system(server);
    sim.start_local(server, &system, mains);
    let shared = Rc::clone(&log);
    let done = sim.block_on(client, MINUTE, move || async move {
        let tasks: Vec<_> = (0..5)
            .map(|index| {
                let log = Rc::clone(&shared);
                spawn(async move {
                    let data = Bytes::from(vec![u8::try_from(index).unwrap(); 100_000]);
                    let stream = loop {
                        match Stream::connect(address).await {
                            Ok(stream) => break stream,
                            Err(_) => sleep(Duration::from_millis(1)).await,
                        }
                    };
                    let sender = stream.clone();
                    let sent = data.clone();
                    let sending = spawn(async move { sender.send(vec![sent]).await });
                    let mut received = BytesMut::new();
                    while received.len() < data.len() {
                        received = stream.recv(received, 30_000).await.unwrap();
                        yield_if_due().await;
                    }
                    sending.await.unwrap().unwrap();
                    assert_eq!(received, data);
                    let dir = Dir::create("/data").await.unwrap();
                    let file = dir
                        .open_file(&format!("f{index}"), FileOptions::CREATE_NEW)
                        .await
                        .unwrap();
                    file.write_at(0, data.clone()).await.unwrap();
                    file.sync_data().await.unwrap();
                    assert_eq!(file.read_at(0, 200_000).await.unwrap(), data);
                    log.borrow_mut().push(index);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(done, Ok(()));
    let order = log.borrow().clone();
    (sim.trace_hash(), sim.now().0, order)
}

#[test]
fn one_seed_gives_one_trace_and_others_give_others() {
    let mut traces = BTreeSet::new();
    let mut orders = BTreeSet::new();
    for seed in 0..20 {
        let first = busy_run(seed);
        assert_eq!(first, busy_run(seed), "seed {seed}");
        traces.insert(first.0);
        orders.insert(first.2);
    }
    assert_eq!(traces.len(), 20);
    assert!(orders.len() > 5, "{orders:?}");
}

#[test]
fn time_jumps_to_the_next_timer_and_stands_at_the_limit() {
    let mut sim = Simulation::new(1);
    let node = sim.add_node(1);
    let woke = Rc::new(Cell::new(None));
    let seen = Rc::clone(&woke);
    let system = sim.system(node);
    let main = local(move || async move {
        sleep(Duration::from_hours(1)).await;
        seen.set(Some(now()));
    });
    sim.start_local(node, &system, vec![main]);
    assert_eq!(sim.run_for(Duration::from_secs(3599)), None);
    assert_eq!(woke.get(), None);
    assert_eq!(sim.now(), Moment(3_599_000_000_000));
    assert!(sim.run_until(|| woke.get().is_some(), MINUTE));
    let late = woke.get().unwrap().0 - 3_600_000_000_000;
    assert!(late < 100_000, "{late}");
    assert!(sim.run_until_idle(MINUTE));
    assert!(!sim.is_running(node));
}

#[test]
fn loops_that_wait_for_time_or_yielding_end() {
    let mut sim = Simulation::new(1);
    let node = sim.add_node(1);
    let done = sim.block_on(node, MINUTE, || async {
        let background = spawn_background(async {
            let mut rounds = 0_u64;
            while now() < Moment(2_000_000) {
                yield_now().await;
                rounds += 1;
            }
            rounds
        });
        let slow = timeout(Duration::from_millis(1), std::future::pending::<()>()).await;
        assert!(slow.is_err());
        background.await.unwrap()
    });
    assert!(done.unwrap() > 100);
}

#[test]
fn a_task_that_waits_for_nothing_is_reported_as_idle_and_endless_work_as_limit() {
    let mut sim = Simulation::new(1);
    let (a, b) = (sim.add_node(1), sim.add_node(1));
    let forever = || std::future::pending::<()>();
    assert_eq!(sim.block_on(a, MINUTE, forever), Err(Unfinished::Idle));
    let busy = || async {
        loop {
            sleep(Duration::from_secs(1)).await;
        }
    };
    assert_eq!(
        sim.block_on::<(), _>(b, MINUTE, busy),
        Err(Unfinished::Limit)
    );
}

#[test]
fn the_directory_lock_excludes_and_dies_with_the_node() {
    let mut sim = Simulation::new(3);
    let node = sim.add_node(2);
    let holds = Rc::new(Cell::new(0));
    let refused = Rc::new(Cell::new(0));
    let main = |_: usize| {
        let (holds, refused) = (Rc::clone(&holds), Rc::clone(&refused));
        local(move || async move {
            let dir = Dir::create("/data").await.unwrap();
            match dir.lock("lock").await {
                Ok(_lock) => {
                    holds.set(holds.get() + 1);
                    std::future::pending::<()>().await;
                }
                Err(error) => {
                    assert!(error.is_locked(), "{error}");
                    refused.set(refused.get() + 1);
                }
            }
        })
    };
    for round in 1..=3 {
        let system = sim.system(node);
        sim.start_local(node, &system, vec![main(0), main(1)]);
        assert!(sim.run_until_idle(MINUTE));
        assert_eq!((holds.get(), refused.get()), (round, round));
        sim.crash(node, CrashKind::Kill);
        assert!(!sim.is_running(node));
        assert_eq!(sim.disk(node).open_descriptors(), 0);
    }
}

#[test]
fn stop_handles_and_mailboxes_reach_every_shard() {
    for seed in 0..50 {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(3);
        let system = sim.system(node);
        let handle: StopHandle = system.stop_handle();
        let sum = Rc::new(Cell::new(0_u64));
        let mut mains: Vec<LocalMain> = Vec::new();
        let (sender, mut receiver) = system.mailbox::<u64>(ShardId(0), ShardId(1), 2);
        mains.push(local(move || async move {
            for value in 1..=100 {
                sender.send(value).await.unwrap();
            }
            stopped().await;
        }));
        let seen = Rc::clone(&sum);
        mains.push(local(move || async move {
            let mut last = 0;
            while let Some(value) = receiver.recv().await {
                assert_eq!(value, last + 1);
                last = value;
                seen.set(seen.get() + value);
            }
            stopped().await;
        }));
        mains.push(local(stopped));
        sim.start_local(node, &system, mains);
        assert!(sim.run_until(|| sum.get() == 5050, MINUTE), "seed {seed}");
        assert!(sim.run_until_idle(MINUTE));
        assert!(sim.is_running(node));
        handle.request_stop();
        assert!(sim.run_until_idle(MINUTE));
        assert!(!sim.is_running(node), "seed {seed}");
    }
}

#[test]
fn planned_errors_strike_and_heal() {
    let mut sim = Simulation::new(5);
    let node = sim.add_node(1);
    let disk = sim.disk(node);
    disk.fail(Fault::once(FaultKind::Write, libc::EIO).on("lane"));
    disk.fail(Fault::always(FaultKind::Flush, libc::EIO).on("segment"));
    let handle = disk.clone();
    let done = sim.block_on(node, MINUTE, move || async move {
        let dir = Dir::create("/data").await?;
        let lane = dir.open_file("lane", FileOptions::CREATE_NEW).await?;
        let segment = dir.open_file("segment", FileOptions::CREATE_NEW).await?;
        let data = Bytes::from(vec![1; 4096]);
        segment.write_at(0, data.clone()).await?;
        let error = lane.write_at(0, data.clone()).await.unwrap_err();
        assert_eq!((error.errno, &*error.target), (libc::EIO, "/data/lane"));
        lane.write_at(0, data.clone()).await?;
        assert!(segment.sync_data().await.is_err());
        assert!(segment.sync_data().await.is_err());
        handle.heal();
        segment.sync_data().await?;
        handle.set_capacity(64 << 10);
        let full = segment
            .write_at(4096, vec![0; 1 << 20].into())
            .await
            .unwrap_err();
        assert!(full.is_out_of_space());
        Ok::<(), Error>(())
    });
    assert_eq!(done, Ok(Ok(())));
    let counts = disk.counts();
    assert_eq!((counts.writes_failed, counts.flushes_failed), (1, 2));
}

#[test]
fn direct_files_demand_alignment() {
    let mut sim = Simulation::new(5);
    let node = sim.add_node(1);
    let done = sim.block_on(node, MINUTE, || async {
        let dir = Dir::create("/data").await?;
        let file = dir.open_file("a", FileOptions::CREATE_NEW.direct()).await?;
        assert!(file.is_direct());
        let mut block = crate::AlignedBuf::with_capacity(8192);
        block.extend_from_slice(&[7; 5000]);
        block.pad_to_block();
        let block = block.freeze();
        for (offset, data) in [
            (512, block.clone()),
            (0, block.slice(..5000)),
            (0, block.slice(1..4097)),
        ] {
            let error = file.write_at(offset, data).await.unwrap_err();
            assert_eq!(error.errno, libc::EINVAL);
        }
        file.write_at(4096, block).await?;
        assert_eq!(file.size().await?, 12_288);
        assert_eq!(file.read_at(4000, 200).await?[95..98], [0, 7, 7]);
        Ok::<(), Error>(())
    });
    assert_eq!(done, Ok(Ok(())));
}

#[test]
fn dropped_futures_leave_no_descriptor_behind_and_buffers_live_until_completion() {
    for seed in 0..50 {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(1);
        let address = sim.address(node, 9092);
        let disk = sim.disk(node);
        let done = sim.block_on(node, MINUTE, move || async move {
            let dir = Dir::create("/data").await.unwrap();
            let listener = Listener::bind(address, ListenOptions::default()).unwrap();
            for round in 0_u32..20 {
                let wait = Duration::from_nanos(crate::random_u64() % 300_000);
                let name = format!("f{round}");
                // Each is dropped at some point of its life, and its outcome is nobody's.
                let _ = timeout(wait, dir.open_file(&name, FileOptions::CREATE_NEW)).await;
                let _ = timeout(wait, listener.accept()).await;
                let stream = timeout(wait, Stream::connect(address)).await;
                if let Ok(Ok(stream)) = stream {
                    let _ = timeout(wait, stream.recv(BytesMut::new(), 100)).await;
                    let _ = timeout(wait, stream.send(vec![vec![1; 200_000].into()])).await;
                }
                if let Ok(Ok(file)) =
                    timeout(wait, dir.open_file(&name, FileOptions::READ_WRITE)).await
                {
                    let data = Bytes::from(vec![3; 100_000]);
                    let _ = timeout(wait, file.write_at(0, data)).await;
                    let _ = timeout(wait, file.sync_data()).await;
                }
            }
        });
        assert_eq!(done, Ok(()), "seed {seed}");
        assert_eq!(disk.open_descriptors(), 0, "seed {seed}");
        assert_eq!(sim.socket_count(), 0, "seed {seed}");
    }
}

#[test]
#[should_panic(expected = "a main failed")]
fn a_panic_in_a_main_fails_the_test() {
    let mut sim = Simulation::new(1);
    let node = sim.add_node(1);
    let _ = sim.block_on(node, MINUTE, || async {
        yield_now().await;
        assert_eq!(1, 2, "on purpose");
    });
}

#[test]
fn a_kill_in_the_middle_of_a_write_leaves_any_part_of_it_and_what_completed_whole() {
    let mut parts = BTreeSet::new();
    for seed in 0..60 {
        let mut sim = Simulation::new(seed);
        let node = sim.add_node(1);
        let started = Rc::new(Cell::new(false));
        let flag = Rc::clone(&started);
        let main = local(move || async move {
            let dir = Dir::create("/data").await.unwrap();
            let file = dir.open_file("a", FileOptions::CREATE_NEW).await.unwrap();
            file.write_at(0, Bytes::from(vec![1; 1024])).await.unwrap();
            flag.set(true);
            file.write_at(1024, Bytes::from(vec![2; 2048]))
                .await
                .unwrap();
            flag.set(false);
        });
        let system = sim.system(node);
        sim.start_local(node, &system, vec![main]);
        assert!(sim.run_until(|| started.get(), MINUTE));
        sim.crash(node, CrashKind::Kill);
        assert!(started.get(), "the write completed");
        let bytes = sim.disk(node).read("/data/a").unwrap();
        assert_eq!(bytes[..1024], [1; 1024]);
        let part = &bytes[1024..];
        assert!(part.iter().all(|byte| [0, 2].contains(byte)));
        parts.insert(part.chunks(512).map(|sector| sector[0]).collect::<Vec<_>>());
        assert_eq!(sim.disk(node).counts().operations_interrupted, 1);
    }
    assert!(
        parts.contains(&vec![]) && parts.contains(&vec![2; 4]) && parts.len() > 5,
        "{parts:?}"
    );
}

#[test]
fn images_may_go_to_other_threads_and_hold_what_was_corrupted() {
    let mut sim = Simulation::new(1);
    let node = sim.add_node(1);
    sim.block_on(node, MINUTE, replace_a_file).unwrap().unwrap();
    let image = sim.disk(node).snapshot();
    let copy = image.clone();
    let changed = std::thread::spawn(move || {
        let mut changed = copy.clone();
        changed.flip_bit("/data/CURRENT", 999, 3).unwrap();
        assert_ne!(changed, copy);
        changed
    });
    let changed = changed.join().unwrap();
    assert_eq!(
        changed.read("/data/CURRENT").unwrap()[998..],
        [b'2', b'2' ^ 8]
    );
    assert_eq!(image.read("/data/CURRENT").unwrap(), [b'2'; 1000]);
    assert_eq!(changed.files(), [("/data/CURRENT".to_owned(), 1000)]);
    assert!(image.read("/data").is_err() && image.read("/nothing").is_err());
    let node = sim.add_node_with_disk(1, &changed);
    let read = sim.block_on(node, MINUTE, read_current).unwrap().unwrap();
    assert_eq!(read[999], b'2' ^ 8);
    // Everything was flushed, so no crash takes anything.
    for seed in 0..20 {
        assert_eq!(image.after_crash(CrashKind::Power, seed), image);
    }
}

#[test]
fn a_flush_requested_while_a_write_is_under_way_does_not_cover_it() {
    let mut lost = [0, 0];
    for (sequential, lost) in [false, true].into_iter().zip(&mut lost) {
        for seed in 0..200 {
            let mut sim = Simulation::new(seed);
            let node = sim.add_node(1);
            let done = sim.block_on(node, MINUTE, move || async move {
                let dir = Dir::create("/data").await.unwrap();
                let file = dir.open_file("a", FileOptions::CREATE_NEW).await.unwrap();
                dir.sync().await.unwrap();
                let writer = file.clone();
                let write =
                    spawn(async move { writer.write_at(0, Bytes::from(vec![1; 512])).await });
                if sequential {
                    write.await.unwrap().unwrap();
                    file.sync_data().await.unwrap();
                } else {
                    // Long enough for the write to be requested, mostly too short for its end.
                    sleep(Duration::from_micros(5)).await;
                    file.sync_data().await.unwrap();
                    write.await.unwrap().unwrap();
                }
            });
            assert_eq!(done, Ok(()));
            sim.crash(node, CrashKind::Power);
            let bytes = sim.disk(node).read("/data/a").unwrap();
            *lost += u32::from(bytes != [1; 512]);
        }
    }
    let [together, one_after_the_other] = lost;
    assert!(together > 50, "{together}");
    assert_eq!(one_after_the_other, 0);
}
