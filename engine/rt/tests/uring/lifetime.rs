//! Buffers and descriptors live until the kernel is done with them, whatever becomes of futures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine_rt::{AlignedBuf, Dir, FileOptions, ListenOptions, Listener, Stream, counters};

use crate::lifecycle::open_descriptors;
use crate::{loopback, on_one};

/// Polls `future` once and drops it.
async fn start_and_drop<F: Future>(future: F) {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

/// Waits until nothing is under way on this shard.
async fn settled() {
    while counters().operations > 0 {
        engine_rt::sleep(Duration::from_millis(1)).await;
    }
}

/// A connection, both ends.
async fn pair(listener: &Listener) -> (Stream, Stream) {
    let accepted = engine_rt::spawn({
        let listener = listener.clone();
        async move { listener.accept().await.unwrap() }
    });
    let stream = Stream::connect(listener.local_addr()).await.unwrap();
    (stream, accepted.await.unwrap())
}

#[test]
fn a_dropped_receive_steals_nothing_from_whoever_gets_its_descriptor_number() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        for round in 0..200_u32 {
            let (old, old_peer) = pair(&listener).await;
            start_and_drop(old_peer.recv(BytesMut::new(), 1000)).await;
            drop(old_peer);
            // The number of `old_peer` is free as soon as its receive is taken back, so one of
            // these is likely to get it.
            let (new, new_peer) = pair(&listener).await;
            let message = Bytes::from(round.to_le_bytes().to_vec());
            new.send(vec![message.clone()]).await.unwrap();
            let got = new_peer.recv(BytesMut::new(), 1000).await.unwrap();
            assert_eq!(got, message);
            // The dropped side is really closed: its peer finds the end.
            assert_eq!(old.recv(BytesMut::new(), 10).await.unwrap(), b""[..]);
        }
        drop(listener);
        settled().await;
    });
}

/// Memory that is overwritten when it is given back.
struct Scribbled(Vec<u8>, Arc<AtomicBool>);

impl AsRef<[u8]> for Scribbled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Scribbled {
    fn drop(&mut self) {
        self.0.fill(0xee);
        self.1.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_dropped_send_holds_its_buffer_until_the_kernel_is_done_and_sends_nothing_else() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        for _ in 0..10 {
            let (stream, peer) = pair(&listener).await;
            let freed = Arc::new(AtomicBool::new(false));
            // Far more than socket buffers take: it is under way for as long as nobody receives.
            let bytes = Bytes::from_owner(Scribbled(vec![0x11; 32 << 20], Arc::clone(&freed)));
            start_and_drop(stream.send(vec![bytes.slice(..10), bytes.slice(10..)])).await;
            drop(bytes);
            drop(stream);
            let mut received = 0;
            loop {
                let got = match peer.recv(BytesMut::new(), 256 << 10).await {
                    Ok(got) => got,
                    Err(error) if error.is_connection_closed() => break,
                    Err(error) => panic!("{error}"),
                };
                if got.is_empty() {
                    break;
                }
                received += got.len();
                assert!(
                    got.iter().all(|b| *b == 0x11),
                    "foreign bytes after {received}"
                );
            }
            while !freed.load(Ordering::SeqCst) {
                engine_rt::sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

#[test]
fn buffers_of_sends_without_copy_are_held_until_the_kernel_is_done() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        // Reached by an address that does not look like loopback, so that nothing is copied, as
        // far as we can tell; the kernel copies all the same and says so, which ends it.
        let port = listener.local_addr().port();
        let address = std::net::SocketAddr::from(([0, 0, 0, 0], port));
        for drops in [false, true] {
            let accepted = engine_rt::spawn({
                let listener = listener.clone();
                async move { listener.accept().await.unwrap() }
            });
            let stream = Stream::connect(address).await.unwrap();
            let peer = accepted.await.unwrap();
            let freed: Vec<_> = (0..20).map(|_| Arc::new(AtomicBool::new(false))).collect();
            let sender = stream.clone();
            let flags = freed.clone();
            let sending = engine_rt::spawn(async move {
                for flag in flags {
                    let bytes = vec![0x33; 1 << 20];
                    let bytes = Bytes::from_owner(Scribbled(bytes, flag));
                    let chunks = vec![
                        bytes.slice(..5),
                        bytes.slice(5..70_000),
                        bytes.slice(70_000..),
                    ];
                    if drops {
                        start_and_drop(sender.send(chunks)).await;
                        return;
                    }
                    sender.send(chunks).await.unwrap();
                }
                sender.shutdown().await.unwrap();
            });
            drop(stream);
            let mut received = 0;
            loop {
                let got = match peer.recv(BytesMut::new(), 256 << 10).await {
                    Ok(got) => got,
                    Err(error) if error.is_connection_closed() => break,
                    Err(error) => panic!("{error}"),
                };
                if got.is_empty() {
                    break;
                }
                received += got.len();
                assert!(
                    got.iter().all(|b| *b == 0x33),
                    "foreign bytes after {received}"
                );
            }
            sending.await.unwrap();
            if !drops {
                assert_eq!(received, 20 << 20);
            }
            drop(peer);
            let started = if drops { 1 } else { 20 };
            for flag in &freed[..started] {
                while !flag.load(Ordering::SeqCst) {
                    engine_rt::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        drop(listener);
        settled().await;
    });
}

#[test]
fn dropped_file_operations_run_to_their_end_with_their_buffers() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        let file = dir.open_file("x", FileOptions::CREATE_NEW).await.unwrap();
        for number in 0..100_u64 {
            let freed = Arc::new(AtomicBool::new(false));
            let bytes = Bytes::from_owner(Scribbled(vec![0x22; 64 << 10], Arc::clone(&freed)));
            start_and_drop(file.write_at(number * (64 << 10), bytes)).await;
            start_and_drop(file.read_at(number * (64 << 10), 64 << 10)).await;
            start_and_drop(file.sync_data()).await;
        }
        settled().await;
        let whole = file.read_at(0, 100 * (64 << 10)).await.unwrap();
        assert_eq!(whole.len(), 100 * (64 << 10));
        assert!(
            whole.iter().all(|b| *b == 0x22),
            "a buffer was freed too early"
        );
    });
}

#[test]
fn files_dropped_with_operations_under_way_are_closed_after_them() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    let before = open_descriptors();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        for number in 0..1000 {
            let name = format!("f{}", number % 10);
            let options = FileOptions {
                create: true,
                ..FileOptions::READ_WRITE
            };
            let file = dir.open_file(&name, options).await.unwrap();
            start_and_drop(file.write_at(0, Bytes::from_static(b"bytes"))).await;
            drop(file);
            // What opens for nobody is closed again.
            start_and_drop(dir.open_file(&name, FileOptions::READ)).await;
        }
        settled().await;
        assert!(open_descriptors() < before + 500, "descriptors leak");
        for number in 0..10 {
            let file = dir
                .open_file(&format!("f{number}"), FileOptions::READ)
                .await
                .unwrap();
            assert_eq!(file.read_at(0, 10).await.unwrap(), b"bytes"[..]);
        }
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        for _ in 0..100 {
            start_and_drop(listener.accept()).await;
            // The accept that was taken back may have got this one, which is closed then: either
            // way somebody answers.
            let stream = Stream::connect(listener.local_addr()).await.unwrap();
            let accepted = engine_rt::timeout(Duration::from_millis(100), listener.accept()).await;
            if let Ok(accepted) = accepted {
                accepted
                    .unwrap()
                    .send(vec![Bytes::from_static(b"x")])
                    .await
                    .unwrap();
            }
            let got = stream.recv(BytesMut::new(), 10).await;
            assert!(got.is_err() || got.is_ok_and(|got| got.len() <= 1));
        }
        drop(listener);
        settled().await;
    });
}

#[test]
fn a_timeout_around_a_receive_leaves_the_shard_sound() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        let (_stream, peer) = pair(&listener).await;
        for _ in 0..50 {
            let received = peer.recv(BytesMut::new(), 10);
            let waited = engine_rt::timeout(Duration::from_millis(1), received).await;
            assert!(waited.is_err());
        }
        let count = counters().operations;
        assert!(count <= 3, "{count} operations are left over");
    });
}

#[test]
fn connections_that_wait_never_keep_files_from_being_served() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        let file = dir.open_file("x", FileOptions::CREATE_NEW).await.unwrap();
        file.write_at(0, Bytes::from_static(b"0123456789"))
            .await
            .unwrap();
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        let (stream, peer) = pair(&listener).await;
        // More receives than the table holds; the last ones wait for room.
        let mut waiting = Vec::new();
        for _ in 0..140_000 {
            let peer = peer.clone();
            waiting.push(engine_rt::spawn(async move {
                peer.recv(BytesMut::new(), 1).await.map(|got| got.len())
            }));
        }
        engine_rt::sleep(Duration::from_millis(10)).await;
        let count = counters().operations;
        assert!((128 * 1024..131 * 1024).contains(&count), "{count}");
        assert_eq!(file.read_at(3, 4).await.unwrap(), b"3456"[..]);
        stream.shutdown().await.unwrap();
        for task in waiting {
            assert_eq!(task.await.unwrap().unwrap(), 0);
        }
    });
}

#[test]
fn more_reads_than_the_table_and_the_ring_hold_all_complete() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().to_owned();
    on_one(move || async move {
        let dir = Dir::open(&path).await.unwrap();
        let file = dir.open_file("x", FileOptions::CREATE_NEW).await.unwrap();
        file.write_at(0, Bytes::from_static(b"0123456789"))
            .await
            .unwrap();
        let mut reading = Vec::new();
        for number in 0..20_000_u64 {
            let file = file.clone();
            reading.push(engine_rt::spawn(async move {
                file.read_at(number % 10, 1).await
            }));
        }
        // Some go away while they wait for room.
        start_and_drop(file.read_at(0, 1)).await;
        for (number, task) in reading.into_iter().enumerate() {
            let expected = b'0' + u8::try_from(number % 10).unwrap();
            assert_eq!(task.await.unwrap().unwrap(), [expected][..]);
        }
    });
}

#[test]
fn direct_buffers_cross_shards() {
    let system = engine_rt::System::uring(crate::config(2)).unwrap();
    let (sender, mut receiver) =
        system.mailbox::<Bytes>(engine_model::ShardId(0), engine_model::ShardId(1), 8);
    let one = crate::main_of(move || async move {
        for number in 0..1000_u32 {
            let mut buffer = AlignedBuf::with_capacity(4096);
            buffer.extend_from_slice(&number.to_le_bytes());
            sender.send(buffer.freeze()).await.unwrap();
        }
    });
    let two = crate::main_of(move || async move {
        for number in 0..1000_u32 {
            assert_eq!(receiver.recv().await.unwrap(), number.to_le_bytes()[..]);
        }
    });
    system.run(vec![one, two]).unwrap();
}
