//! Mailboxes between shards, and the stop.

use engine_model::ShardId;
use engine_rt::{request_stop, shard, shard_count, spawn, stop_requested, stopped};

use crate::{check, program};

#[test]
fn a_ring_of_shards_passes_every_value_in_order() {
    const ROUNDS: u64 = 500;
    let lines = [
        "0 of 3, last 1500",
        "1 of 3, last 1498",
        "2 of 3, last 1499",
    ];
    check(&[&lines[..1], &lines[1..2], &lines[2..]], |system| {
        let ring = [(0, 1), (1, 2), (2, 0)];
        let mut ends: Vec<_> = ring
            .iter()
            .map(|(from, to)| Some(system.mailbox(ShardId(*from), ShardId(*to), 2)))
            .collect();
        let mut senders = Vec::new();
        let mut receivers = Vec::new();
        for end in &mut ends {
            let (sender, receiver) = end.take().unwrap();
            senders.push(sender);
            receivers.push(receiver);
        }
        receivers.rotate_right(1);
        senders
            .into_iter()
            .zip(receivers)
            .enumerate()
            .map(|(index, (sender, mut receiver))| {
                program(move |_| async move {
                    let mut value: u64 = 0;
                    if index == 0 {
                        sender.send(1_u64).await.unwrap();
                    }
                    for round in 0..ROUNDS {
                        value = receiver.recv().await.unwrap();
                        if index > 0 || round + 1 < ROUNDS {
                            sender.send(value + 1).await.unwrap();
                        }
                    }
                    vec![format!("{} of {}, last {value}", shard(), shard_count())]
                })
            })
            .collect()
    });
}

#[test]
fn full_and_closed_mailboxes_say_so() {
    check(
        &[
            &["full Err(3)", "closed true", "Err(Closed)"],
            &["[1, 2]", "None"],
        ],
        |system| {
            let (sender, mut receiver) = system.mailbox::<u32>(ShardId(0), ShardId(1), 2);
            let (go, mut may_go) = system.mailbox::<()>(ShardId(0), ShardId(1), 1);
            let (back, mut answer) = system.mailbox::<()>(ShardId(1), ShardId(0), 1);
            let (last, mut none) = system.mailbox::<()>(ShardId(0), ShardId(1), 1);
            vec![
                program(move |_| async move {
                    sender.try_send(1).unwrap();
                    sender.try_send(2).unwrap();
                    let full = format!("full {:?}", sender.try_send(3));
                    drop(last);
                    go.send(()).await.unwrap();
                    // Waits for room that never comes: the receiver goes away instead.
                    answer.recv().await.unwrap();
                    assert_eq!(sender.send(4).await, Ok(()));
                    assert_eq!(sender.send(5).await, Ok(()));
                    let waiting = sender.send(6).await;
                    vec![
                        full,
                        format!("closed {}", sender.is_closed()),
                        format!("{waiting:?}"),
                    ]
                }),
                program(move |_| async move {
                    may_go.recv().await.unwrap();
                    let got = vec![
                        receiver.recv().await.unwrap(),
                        receiver.recv().await.unwrap(),
                    ];
                    back.send(()).await.unwrap();
                    engine_rt::sleep(std::time::Duration::from_millis(20)).await;
                    drop(receiver);
                    vec![format!("{got:?}"), format!("{:?}", none.recv().await)]
                }),
            ]
        },
    );
}

#[test]
fn a_stop_reaches_every_shard_and_every_task() {
    check(&[&["true"], &["true"], &["true"]], |_| {
        (0..3)
            .map(|index| {
                program(move |_| async move {
                    let waiting = spawn(stopped());
                    if index == 1 {
                        assert!(!stop_requested());
                        request_stop();
                    }
                    stopped().await;
                    waiting.await.unwrap();
                    vec![stop_requested().to_string()]
                })
            })
            .collect()
    });
}
