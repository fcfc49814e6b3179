//! The rules of streams, tried with many seeds.

use super::*;

const PORT: u16 = 9092;

fn address(node: usize) -> SocketAddr {
    SocketAddr::new(node_address(node), PORT)
}

struct Pair {
    network: Network,
    random: SeededRandom,
    client: SocketNumber,
    server: SocketNumber,
}

/// A connection from node 1 to node 0.
fn pair(seed: u64) -> Pair {
    let mut network = Network::default();
    let mut random = SeededRandom::new(seed);
    let (listener, _) = network.listen(0, address(0), false).unwrap();
    let client = network.socket(1);
    assert_eq!(
        network.connect(client, address(0), 0, &mut random),
        Attempt::Done(())
    );
    let Attempt::Done((server, _)) = network.accept(listener) else {
        panic!("nothing to accept");
    };
    Pair {
        network,
        random,
        client,
        server,
    }
}

fn count(buffer: &ReceiveBuffer) -> usize {
    match buffer {
        ReceiveBuffer::Growing(bytes) => bytes.len(),
        ReceiveBuffer::Aligned(bytes) => bytes.len(),
    }
}

fn bytes(buffer: ReceiveBuffer) -> BytesMut {
    match buffer {
        ReceiveBuffer::Growing(bytes) => bytes,
        ReceiveBuffer::Aligned(_) => panic!("not used here"),
    }
}

#[test]
fn bytes_arrive_in_order_and_whole_whatever_the_pieces() {
    for seed in 0..200 {
        let Pair {
            mut network,
            mut random,
            client,
            server,
        } = pair(seed);
        let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let sent = Bytes::from(sent);
        let (mut at, mut now) = (0, 0);
        let mut received = ReceiveBuffer::Growing(BytesMut::new());
        let (mut waited, mut pieces) = (0, 0);
        while count(&received) < sent.len() {
            now += 50_000;
            let rest = sent.slice(at..);
            let list = [rest.slice(..rest.len() / 2), rest.slice(rest.len() / 2..)];
            if !rest.is_empty() {
                match network.send(client, list.iter(), rest.len(), now, &mut random) {
                    Attempt::Done(count) => at += count,
                    Attempt::Wait => waited += 1,
                    Attempt::Failed(errno) => panic!("errno {errno}"),
                }
            }
            match network.receive(server, &mut received, 30_000, now, &mut random) {
                Attempt::Done(count) => {
                    assert!(count > 0);
                    pieces += 1;
                }
                Attempt::Wait => {}
                Attempt::Failed(errno) => panic!("errno {errno}"),
            }
        }
        assert_eq!(bytes(received), sent);
        assert!(waited > 0 && pieces > 20, "{waited} {pieces}");
    }
}

#[test]
fn the_end_of_the_stream_comes_after_the_bytes() {
    let Pair {
        mut network,
        mut random,
        client,
        server,
    } = pair(1);
    let data = [Bytes::from_static(b"ab")];
    while network.send(client, data.iter(), 2, 0, &mut random) != Attempt::Done(2) {}
    network.close(client, 0, &mut random);
    let mut buffer = ReceiveBuffer::Growing(BytesMut::new());
    let late = 1_000_000_000;
    while network.receive(server, &mut buffer, 10, late, &mut random) != Attempt::Done(0) {}
    assert!(bytes(buffer).ends_with(b"ab"));
    assert_eq!(
        network.send(server, data.iter(), 2, late, &mut random),
        Attempt::Failed(libc::EPIPE)
    );
    network.close(server, late, &mut random);
    assert_eq!(network.count(), 1);
}

#[test]
fn closing_over_unread_bytes_and_crashes_reset_the_peer() {
    for seed in 0..50 {
        for crash in [false, true] {
            let Pair {
                mut network,
                mut random,
                client,
                server,
            } = pair(seed);
            let data = [Bytes::from_static(b"ab")];
            assert!(matches!(
                network.send(client, data.iter(), 2, 0, &mut random),
                Attempt::Done(1..)
            ));
            if crash {
                network.crash(0, 100_000_000, &mut random);
            } else {
                network.close(server, 100_000_000, &mut random);
            }
            let mut buffer = ReceiveBuffer::Growing(BytesMut::new());
            assert_eq!(
                network.receive(client, &mut buffer, 10, 200_000_000, &mut random),
                Attempt::Failed(libc::ECONNRESET)
            );
        }
    }
}

#[test]
fn ports_are_shared_only_by_consent_and_the_draw_reaches_every_listener() {
    let mut network = Network::default();
    let mut random = SeededRandom::new(3);
    let any = SocketAddr::from(([0, 0, 0, 0], PORT));
    let (first, _) = network.listen(0, any, true).unwrap();
    assert_eq!(network.listen(0, address(0), false), Err(libc::EADDRINUSE));
    assert_eq!(network.probe(0, address(0), false), Err(libc::EADDRINUSE));
    assert_eq!(
        network.listen(1, address(0), true),
        Err(libc::EADDRNOTAVAIL)
    );
    let (second, _) = network.listen(0, any, true).unwrap();
    for _ in 0..40 {
        let client = network.socket(1);
        assert_eq!(
            network.connect(client, address(0), 0, &mut random),
            Attempt::Done(())
        );
    }
    let mut accepted = [0, 0];
    for (count, listener) in accepted.iter_mut().zip([first, second]) {
        while let Attempt::Done(_) = network.accept(listener) {
            *count += 1;
        }
    }
    assert_eq!(accepted[0] + accepted[1], 40);
    assert!(accepted[0] > 5 && accepted[1] > 5, "{accepted:?}");
    let port = network
        .probe(0, SocketAddr::from(([127, 0, 0, 1], 0)), false)
        .unwrap()
        .port();
    assert!(port >= EPHEMERAL_PORT_FIRST);
}

#[test]
fn loopback_reaches_only_its_own_node() {
    let mut network = Network::default();
    let mut random = SeededRandom::new(3);
    let loopback = SocketAddr::from(([127, 0, 0, 1], PORT));
    network.listen(0, loopback, false).unwrap();
    for (node, target, expected) in [
        (0, loopback, Attempt::Done(())),
        (1, loopback, Attempt::Failed(libc::ECONNREFUSED)),
        (1, address(0), Attempt::Failed(libc::ECONNREFUSED)),
    ] {
        let client = network.socket(node);
        assert_eq!(network.connect(client, target, 0, &mut random), expected);
    }
}
