//! Shards start, do every kind of work, and stop with what is under way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine_model::ShardId;
use engine_rt::{
    Dir, FileOptions, ListenOptions, Listener, RunError, ShardMain, Stream, System, UringConfig,
};

fn config(shards: usize) -> UringConfig {
    UringConfig {
        cpus: vec![None; shards],
        ..UringConfig::default()
    }
}

fn main_of<F: Future<Output = ()> + 'static>(
    make: impl FnOnce() -> F + Send + 'static,
) -> ShardMain {
    Box::new(move || Box::pin(make()))
}

/// Runs one shard and hands back what it says.
fn on_one<T: Send + 'static, F: Future<Output = T> + 'static>(
    make: impl FnOnce() -> F + Send + 'static,
) -> T {
    let (tell, told) = mpsc::channel();
    let system = System::uring(config(1)).unwrap();
    system
        .run(vec![main_of(move || {
            let future = make();
            async move { tell.send(future.await).unwrap() }
        })])
        .unwrap();
    told.recv().unwrap()
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

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

#[test]
fn a_shard_stops_with_operations_of_every_kind_under_way() {
    on_one(|| async {
        let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
        let address = listener.local_addr();
        let accepting = listener.clone();
        engine_rt::spawn(async move {
            loop {
                let stream = accepting.accept().await.unwrap();
                engine_rt::spawn(async move { stream.recv(BytesMut::new(), 100).await }).detach();
            }
        })
        .detach();
        let stream = Stream::connect(address).await.unwrap();
        engine_rt::spawn(async move { stream.recv(BytesMut::new(), 100).await }).detach();
        engine_rt::spawn(engine_rt::sleep(Duration::from_hours(1))).detach();
        engine_rt::sleep(Duration::from_millis(20)).await;
    });
}
