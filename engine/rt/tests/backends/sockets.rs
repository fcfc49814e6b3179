//! Connections between tasks of one process, and between its shards.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine_model::ShardId;
use engine_rt::{ListenOptions, Listener, Stream, probe_port, spawn, timeout};

use crate::{Said, check, program};

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn read_to_end(stream: &Stream) -> BytesMut {
    let mut buffer = BytesMut::new();
    loop {
        let before = buffer.len();
        buffer = stream.recv(buffer, 64 << 10).await.unwrap();
        if buffer.len() == before {
            return buffer;
        }
    }
}

#[test]
fn streams_carry_bytes_both_ways_to_their_end() {
    check(
        &[&[
            "addresses true true",
            "received 3000000 true",
            "echoed b\"thanks\"",
            "end 0",
        ]],
        |_| {
            vec![program(|_| async {
                let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
                let address = listener.local_addr();
                let data: Vec<u8> = (0..750_000_u32).flat_map(u32::to_be_bytes).collect();
                let data = Bytes::from(data);
                let expected = data.clone();
                let server = spawn(async move {
                    let stream = listener.accept().await.unwrap();
                    let mut buffer = BytesMut::new();
                    while buffer.len() < expected.len() {
                        buffer = stream.recv(buffer, 100_000).await.unwrap();
                    }
                    stream
                        .send(vec!["tha".into(), Bytes::new(), "nks".into()])
                        .await
                        .unwrap();
                    stream.shutdown().await.unwrap();
                    let right = buffer == expected;
                    (
                        stream.peer_addr(),
                        format!("received {} {right}", buffer.len()),
                    )
                });
                let stream = Stream::connect(address).await.unwrap();
                let local = stream.local_addr().unwrap();
                // Many chunks in one send, small and large.
                let chunks = (0..100)
                    .map(|i| data.slice(i * 30_000..(i + 1) * 30_000))
                    .collect();
                stream.send(chunks).await.unwrap();
                let echoed = read_to_end(&stream).await;
                let (peer, received) = server.await.unwrap();
                let again = stream.recv(BytesMut::new(), 10).await.unwrap().len();
                vec![
                    format!(
                        "addresses {} {}",
                        peer == local,
                        stream.peer_addr() == address
                    ),
                    received,
                    format!("echoed {:?}", echoed.freeze()),
                    format!("end {again}"),
                ]
            })]
        },
    );
}

#[test]
fn ports_that_are_taken_or_empty_are_refused() {
    check(
        &[&[
            "taken 98",
            "probed 98",
            "free true",
            "refused 111",
            "again true",
        ]],
        |_| {
            vec![program(|_| async {
                let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
                let address = listener.local_addr();
                let errno =
                    |result: Result<SocketAddr, engine_rt::Error>| result.unwrap_err().errno;
                let taken = Listener::bind(address, ListenOptions::default());
                let free = probe_port(loopback()).unwrap();
                let mut out = vec![
                    format!("taken {}", errno(taken.map(|l| l.local_addr()))),
                    format!("probed {}", errno(probe_port(address))),
                    format!("free {}", free.port() != 0 && free != address),
                    format!("refused {}", Stream::connect(free).await.unwrap_err().errno),
                ];
                drop(listener);
                let mut probed = probe_port(address);
                while probed.is_err() {
                    engine_rt::sleep(Duration::from_millis(1)).await;
                    probed = probe_port(address);
                }
                out.push(format!("again {}", probed.unwrap() == address));
                out
            })]
        },
    );
}

#[test]
fn dropped_receives_and_accepts_leave_listener_and_peer_usable() {
    check(
        &[&[
            "accept timed out 5",
            "receive timed out 5",
            "then b\"hello\"",
            "peer saw end",
        ]],
        |_| {
            vec![program(|_| async {
                let listener = Listener::bind(loopback(), ListenOptions::default()).unwrap();
                let mut timed_out = 0;
                for _ in 0..5 {
                    let accepted = timeout(Duration::from_millis(2), listener.accept()).await;
                    timed_out += u32::from(accepted.is_err());
                }
                let mut out = vec![format!("accept timed out {timed_out}")];
                let (accepted, connected) = {
                    let connecting = spawn(Stream::connect(listener.local_addr()));
                    (
                        listener.accept().await.unwrap(),
                        connecting.await.unwrap().unwrap(),
                    )
                };
                let mut timed_out = 0;
                for _ in 0..5 {
                    let received =
                        timeout(Duration::from_millis(2), accepted.recv(BytesMut::new(), 9));
                    timed_out += u32::from(received.await.is_err());
                }
                out.push(format!("receive timed out {timed_out}"));
                // What arrives from here on is read by whoever asks then.
                let _ = timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
                connected.send(vec!["hello".into()]).await.unwrap();
                let mut buffer = BytesMut::new();
                while buffer.len() < 5 {
                    buffer = accepted.recv(buffer, 100).await.unwrap();
                }
                out.push(format!("then {:?}", buffer.freeze()));
                drop(accepted);
                let end = connected.recv(BytesMut::new(), 1).await;
                assert!(end.is_ok_and(|bytes| bytes.is_empty()));
                out.push("peer saw end".to_owned());
                out
            })]
        },
    );
}

#[test]
fn two_shards_accept_on_one_port() {
    check(
        &[
            &["served"],
            &["served"],
            &["40 answers of 40, from 2 shards"],
        ],
        |system| {
            let mut programs = Vec::new();
            let mut senders = Vec::new();
            for shard in [ShardId(0), ShardId(1)] {
                let (tell, told) = system.mailbox::<SocketAddr>(ShardId(2), shard, 1);
                let (ready, is_ready) = system.mailbox::<()>(shard, ShardId(2), 1);
                senders.push((tell, is_ready));
                let mut told = told;
                programs.push(program(move |_| async move {
                    let address = told.recv().await.unwrap();
                    let options = ListenOptions {
                        reuse_port: true,
                        ..ListenOptions::default()
                    };
                    let listener = Listener::bind(address, options).unwrap();
                    ready.send(()).await.unwrap();
                    let serving = spawn(async move {
                        loop {
                            let stream = listener.accept().await.unwrap();
                            let name = if engine_rt::shard() == ShardId(0) {
                                "0"
                            } else {
                                "1"
                            };
                            stream.send(vec![name.into()]).await.unwrap();
                        }
                    });
                    // Until the client has hung up.
                    assert_eq!(told.recv().await, None);
                    drop(serving);
                    vec!["served".to_owned()]
                }));
            }
            programs.push(program(move |_| async move {
                let address = probe_port(loopback()).unwrap();
                for (tell, is_ready) in &mut senders {
                    tell.send(address).await.unwrap();
                    is_ready.recv().await.unwrap();
                }
                let mut answers = Said::new();
                for _ in 0..40 {
                    let stream = Stream::connect(address).await.unwrap();
                    let answer = read_to_end(&stream).await;
                    answers.push(String::from_utf8(answer.to_vec()).unwrap());
                }
                let count = answers.iter().filter(|answer| answer.len() == 1).count();
                answers.sort();
                answers.dedup();
                vec![format!(
                    "{count} answers of 40, from {} shards",
                    answers.len()
                )]
            }));
            programs
        },
    );
}
