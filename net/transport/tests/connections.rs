//! Connections as a client sees them, over the simulated network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use bytes::{Bytes, BytesMut};
use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::time::Duration;
use engine_rt::sim::Simulation;
use engine_rt::{ListenOptions, Listener, Stream};
use net_protocol::ApiKey;
use net_transport::{
    Budget, Connections, Door, DoorLimits, Reply, Request, Service, TransportOptions,
};
use std::rc::Rc;

#[derive(Clone)]
struct NoBudget;

impl Budget for NoBudget {
    type Charge = ();
    async fn charge(&self, _bytes: usize) {}
    fn try_charge(&self, _bytes: usize) -> Option<()> {
        Some(())
    }
    fn charge_now(&self, _bytes: usize) {}
    async fn grow(&self, _charge: &mut (), _bytes: usize) {}
    async fn settled(&self) {}
    fn is_short(&self) -> bool {
        false
    }
}

/// What the first byte of a body asks for; the second is a time in 10 ms.
mod verb {
    pub(super) const ANSWER: u8 = 0;
    pub(super) const SILENT: u8 = 1;
    pub(super) const CLOSE: u8 = 2;
    pub(super) const PANIC: u8 = 3;
    pub(super) const WAIT_GONE: u8 = 4;
    pub(super) const ANSWER_LARGE: u8 = 5;
}

#[derive(Default)]
struct Echo {
    begun: RefCell<Vec<i32>>,
    running: Cell<usize>,
    running_max: Cell<usize>,
    /// Requests that ran beside one that is no Produce.
    mixed: Cell<bool>,
    running_others: Cell<usize>,
    gone: Cell<usize>,
}

impl Service for Echo {
    async fn call(self: Rc<Self>, request: Request) -> Reply {
        let correlation_id = request.header.correlation_id;
        self.begun.borrow_mut().push(correlation_id);
        self.running.set(self.running.get() + 1);
        self.running_max
            .set(self.running_max.get().max(self.running.get()));
        let is_other = request.api != ApiKey::Produce;
        self.running_others
            .set(self.running_others.get() + usize::from(is_other));
        if self.running_others.get() > 0 && self.running.get() > 1 {
            self.mixed.set(true);
        }
        let pause = Duration::from_millis(10) * u32::from(request.body[1]);
        if !pause.is_zero() {
            engine_rt::sleep(pause).await;
        }
        if request.body[0] == verb::WAIT_GONE {
            request.client.gone().await;
            self.gone.set(self.gone.get() + 1);
        }
        self.running.set(self.running.get() - 1);
        self.running_others
            .set(self.running_others.get() - usize::from(is_other));
        match request.body[0] {
            verb::SILENT => Reply::Silent,
            verb::CLOSE => Reply::Close,
            verb::PANIC => panic!("planted"),
            verb::ANSWER_LARGE => answer(correlation_id, 1 << 20),
            _ => answer(correlation_id, 4),
        }
    }
}

fn answer(correlation_id: i32, bytes: usize) -> Reply {
    let mut frame = BytesMut::new();
    frame.extend_from_slice(&(bytes as u32).to_be_bytes());
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    Reply::Send(vec![frame.freeze(), Bytes::from(vec![0; bytes - 4])])
}

/// A request frame with a header of version 1 (2 and up: `flexible`).
fn request(api: i16, version: i16, flexible: bool, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&api.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    frame.extend_from_slice(&(-1_i16).to_be_bytes());
    if flexible {
        frame.push(0);
    }
    frame.extend_from_slice(body);
    let mut whole = (frame.len() as u32).to_be_bytes().to_vec();
    whole.extend_from_slice(&frame);
    whole
}

fn produce(correlation_id: i32, verb: u8, tens: u8) -> Vec<u8> {
    request(0, 3, false, correlation_id, &[verb, tens])
}

fn other(correlation_id: i32, verb: u8, tens: u8) -> Vec<u8> {
    request(3, 1, false, correlation_id, &[verb, tens])
}

struct Server {
    service: Rc<Echo>,
    connections: Connections<Echo, NoBudget>,
    address: SocketAddr,
}

impl Server {
    fn start(options: TransportOptions) -> Self {
        Self::behind(DoorLimits::default(), options)
    }

    fn behind(limits: DoorLimits, options: TransportOptions) -> Self {
        let address = "127.0.0.1:9092".parse().unwrap();
        let service = Rc::new(Echo::default());
        let connections =
            Connections::new(Rc::clone(&service), NoBudget, Door::new(limits), options);
        let listener = Listener::bind(address, ListenOptions::default()).unwrap();
        let accepting = connections.clone();
        engine_rt::spawn(async move { accepting.accept(&listener).await }).detach();
        let sweeping = connections.clone();
        engine_rt::spawn(async move { sweeping.sweep().await }).detach();
        Self {
            service,
            connections,
            address,
        }
    }

    async fn client(&self) -> Client {
        Client {
            stream: Stream::connect(self.address).await.unwrap(),
            buffer: BytesMut::new(),
        }
    }
}

struct Client {
    stream: Stream,
    buffer: BytesMut,
}

impl Client {
    async fn send(&self, frames: impl IntoIterator<Item = Vec<u8>>) {
        let bytes: Vec<u8> = frames.into_iter().flatten().collect();
        self.stream.send(vec![Bytes::from(bytes)]).await.unwrap();
    }

    /// The correlation id of the next answer; `None` at the end.
    async fn next(&mut self) -> Option<i32> {
        loop {
            if self.buffer.len() >= 4 {
                let length = u32::from_be_bytes(self.buffer[..4].try_into().unwrap()) as usize;
                if self.buffer.len() >= 4 + length {
                    let frame = self.buffer.split_to(4 + length);
                    return Some(i32::from_be_bytes(frame[4..8].try_into().unwrap()));
                }
            }
            let before = self.buffer.len();
            let buffer = core::mem::take(&mut self.buffer);
            self.buffer = self.stream.recv(buffer, 65536).await.ok()?;
            if self.buffer.len() == before {
                return None;
            }
        }
    }

    async fn rest(&mut self) -> Vec<i32> {
        let mut ids = Vec::new();
        while let Some(id) = self.next().await {
            ids.push(id);
        }
        ids
    }
}

fn run<F: Future<Output = ()> + 'static>(seed: u64, program: impl FnOnce() -> F + 'static) {
    let mut simulation = Simulation::new(seed);
    let node = simulation.add_node(1);
    simulation
        .block_on(node, Duration::from_hours(2), program)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
}

#[test]
fn answers_leave_in_request_order_whatever_ends_first() {
    for seed in 0..30 {
        run(seed, move || async move {
            let server = Server::start(TransportOptions::default());
            let mut client = server.client().await;
            let frames = (0..60).map(|id| {
                let tens = u8::try_from((id * 7 + i32::try_from(seed).unwrap()) % 11).unwrap();
                match id % 9 {
                    8 => other(id, verb::ANSWER, tens),
                    5 => produce(id, verb::SILENT, tens),
                    _ => produce(id, verb::ANSWER, tens),
                }
            });
            client.send(frames).await;
            let expected: Vec<i32> = (0..60).filter(|id| id % 9 != 5).collect();
            for id in expected {
                assert_eq!(client.next().await, Some(id), "seed {seed}");
            }
            let begun: Vec<i32> = (0..60).collect();
            assert_eq!(*server.service.begun.borrow(), begun, "seed {seed}");
            assert!(server.service.running_max.get() > 1);
            assert!(!server.service.mixed.get(), "only Produces overlap");
        });
    }
}

#[test]
fn no_more_produces_than_allowed_are_under_way() {
    run(1, || async {
        let server = Server::start(TransportOptions {
            produces_in_flight_max: 3,
            ..TransportOptions::default()
        });
        let mut client = server.client().await;
        client
            .send((0..20).map(|id| produce(id, verb::ANSWER, 5)))
            .await;
        for id in 0..20 {
            assert_eq!(client.next().await, Some(id));
        }
        assert_eq!(server.service.running_max.get(), 3);
    });
}

#[test]
fn what_is_not_spoken_closes_the_connection_after_earlier_answers() {
    // API key, version, flexible header, whether it is answered.
    let cases = [
        (3, 1, false, true),
        (3, 14, true, false),
        (3, -1, false, false),
        (0, 2, false, false),
        (1, 3, false, false),
        (4, 0, false, false),
        (-1, 0, false, false),
        (127, 0, false, false),
        (i16::MAX, i16::MAX, false, false),
        (18, 99, true, true),
        (18, -1, false, true),
    ];
    for (api, version, flexible, is_answered) in cases {
        run(1, move || async move {
            let server = Server::start(TransportOptions::default());
            let mut client = server.client().await;
            client
                .send([
                    produce(1, verb::ANSWER, 3),
                    request(api, version, flexible, 2, &[0, 0]),
                    produce(3, verb::ANSWER, 0),
                ])
                .await;
            if is_answered {
                for id in 1..=3 {
                    assert_eq!(client.next().await, Some(id), "{api} {version}");
                }
            } else {
                assert_eq!(client.rest().await, [1], "{api} {version}");
            }
        });
    }
}

#[test]
fn frames_that_are_no_requests_close_the_connection() {
    for bytes in [
        &[0_u8, 0, 0, 0][..],
        &[0, 0, 0, 1, 0],
        &[0xff, 0xff, 0xff, 0xff],
        &[0x7f, 0xff, 0xff, 0xff, 0, 3],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        run(1, move || async move {
            let server = Server::start(TransportOptions::default());
            let mut client = server.client().await;
            client.send([bytes.to_vec()]).await;
            assert_eq!(client.rest().await, [0; 0], "{bytes:?}");
        });
    }
}

#[test]
fn a_request_that_asks_to_close_lets_earlier_answers_out() {
    run(1, || async {
        let server = Server::start(TransportOptions::default());
        let mut client = server.client().await;
        client
            .send([
                produce(1, verb::ANSWER, 9),
                produce(2, verb::CLOSE, 0),
                produce(3, verb::ANSWER, 0),
            ])
            .await;
        assert_eq!(client.rest().await, [1]);
    });
}

#[test]
fn a_handler_that_panics_ends_its_connection_only() {
    run(1, || async {
        let server = Server::start(TransportOptions::default());
        let (mut one, mut two) = (server.client().await, server.client().await);
        one.send([produce(1, verb::PANIC, 1)]).await;
        assert_eq!(one.rest().await, [0; 0]);
        two.send([produce(2, verb::PANIC, 0)]).await;
        assert_eq!(two.rest().await, [0; 0]);
        let mut three = server.client().await;
        three.send([produce(3, verb::ANSWER, 0)]).await;
        assert_eq!(three.next().await, Some(3));
        assert_eq!(server.connections.count(), 1);
    });
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    run(1, || async {
        let server = Server::start(TransportOptions::default());
        let mut client = server.client().await;
        let frames: Vec<Vec<u8>> = (0..200)
            .map(|id| produce(id, verb::ANSWER_LARGE, 0))
            .collect();
        client.send(frames).await;
        engine_rt::sleep(Duration::from_mins(1)).await;
        let begun = server.service.begun.borrow().len();
        assert!(begun < 100, "{begun} answers of 1 MiB wait for the client");
        for id in 0..200 {
            assert_eq!(client.next().await, Some(id));
        }
    });
}

#[test]
fn a_long_poll_ends_when_its_client_leaves() {
    run(1, || async {
        let server = Server::start(TransportOptions::default());
        let client = server.client().await;
        client.send([other(1, verb::WAIT_GONE, 0)]).await;
        engine_rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(server.service.gone.get(), 0);
        drop(client);
        engine_rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(server.service.gone.get(), 1);
        assert_eq!(server.connections.count(), 0);
    });
}

#[test]
fn a_long_poll_ends_when_its_client_leaves_although_another_request_waits() {
    for left in [1, 5, 200] {
        run(1, move || async move {
            let server = Server::start(TransportOptions::default());
            let client = server.client().await;
            client.send([other(1, verb::WAIT_GONE, 0)]).await;
            // Behind it: requests, all answered, since all came before the end.
            let behind = (0..left).map(|id| other(10 + id, verb::ANSWER, 0));
            client.send(behind).await;
            engine_rt::sleep(Duration::from_secs(1)).await;
            assert_eq!(server.service.gone.get(), 0);
            client.stream.shutdown().await.unwrap();
            engine_rt::sleep(Duration::from_secs(1)).await;
            assert_eq!(server.service.gone.get(), 1, "{left}");
            let begun = server.service.begun.borrow().len();
            assert_eq!(i32::try_from(begun), Ok(1 + left));
            assert_eq!(server.connections.count(), 0);
        });
    }
}

#[test]
fn what_was_read_ahead_is_not_lost() {
    for seed in 0..30 {
        run(seed, move || async move {
            let server = Server::start(TransportOptions::default());
            let mut client = server.client().await;
            let wait = u8::try_from(seed % 5).unwrap();
            for round in 0..20 {
                let id = round * 100;
                client.send([other(id, verb::ANSWER, wait)]).await;
                for n in 1..30 {
                    let frame = other(id + n, verb::ANSWER, u8::from(n % 7 == 0));
                    let cut = usize::try_from(n * 5).unwrap() % frame.len();
                    client.send([frame[..cut].to_vec()]).await;
                    client.send([frame[cut..].to_vec()]).await;
                }
                for n in 0..30 {
                    assert_eq!(client.next().await, Some(id + n), "seed {seed}");
                }
            }
        });
    }
}

#[test]
fn a_frame_that_trickles_in_is_given_up() {
    run(1, || async {
        let server = Server::start(TransportOptions::default());
        let client = server.client().await;
        client.send([1_000_000_u32.to_be_bytes().to_vec()]).await;
        let begun = engine_rt::now();
        // Never quiet for long, but 100 bytes in a second.
        while server.connections.count() == 1 {
            let chunk = Bytes::from_static(&[7; 100]);
            let _ = client.stream.send(vec![chunk]).await;
            engine_rt::sleep(Duration::from_secs(1)).await;
        }
        let took = engine_rt::now().saturating_since(begun);
        assert!(took < Duration::from_mins(1), "{took:?}");
    });
}

#[test]
fn a_client_that_never_reads_is_given_up() {
    run(1, || async {
        let server = Server::start(TransportOptions::default());
        let client = server.client().await;
        client
            .send((0..40).map(|id| produce(id, verb::ANSWER_LARGE, 0)))
            .await;
        engine_rt::sleep(Duration::from_mins(4)).await;
        assert_eq!(server.connections.count(), 1);
        engine_rt::sleep(Duration::from_mins(2)).await;
        assert_eq!(server.connections.count(), 0);
        drop(client);
    });
}

#[test]
fn a_stop_answers_what_is_under_way_and_closes() {
    for seed in 0..10 {
        run(seed, || async {
            let server = Server::start(TransportOptions::default());
            let mut client = server.client().await;
            client
                .send([produce(1, verb::ANSWER, 50), produce(2, verb::ANSWER, 20)])
                .await;
            engine_rt::sleep(Duration::from_millis(100)).await;
            let mut poller = server.client().await;
            poller.send([other(7, verb::WAIT_GONE, 0)]).await;
            engine_rt::sleep(Duration::from_millis(100)).await;
            server.connections.stop().await;
            assert_eq!(server.connections.count(), 0);
            assert_eq!(client.rest().await, [1, 2]);
            assert_eq!(poller.rest().await, [7]);
            assert!(
                Stream::connect(server.address).await.is_err() || {
                    server.client().await.rest().await.is_empty()
                }
            );
        });
    }
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    run(1, || async {
        let options = TransportOptions::default();
        let grace = options.stop_grace;
        let server = Server::start(options);
        let client = server.client().await;
        // Never reads its 40 MiB.
        client
            .send((0..40).map(|id| produce(id, verb::ANSWER_LARGE, 0)))
            .await;
        engine_rt::sleep(Duration::from_secs(5)).await;
        let begun = engine_rt::now();
        server.connections.stop().await;
        assert!(engine_rt::now().saturating_since(begun) <= grace * 2);
    });
}

#[test]
fn idle_and_stalled_connections_are_closed() {
    run(1, || async {
        let server = Server::start(TransportOptions {
            idle_max: Duration::from_mins(10),
            stalled_max: Duration::from_secs(30),
            ..TransportOptions::default()
        });
        let idle = server.client().await;
        let working = server.client().await;
        working.send([other(1, verb::WAIT_GONE, 0)]).await;
        let stalled = server.client().await;
        stalled.send([vec![0, 0, 1]]).await;
        engine_rt::sleep(Duration::from_secs(10)).await;
        assert_eq!(server.connections.count(), 3);
        engine_rt::sleep(Duration::from_mins(1)).await;
        assert_eq!(server.connections.count(), 2, "the stalled one is gone");
        engine_rt::sleep(Duration::from_mins(12)).await;
        assert_eq!(server.connections.count(), 0, "the idle ones are gone");
        assert_eq!(
            server.service.gone.get(),
            1,
            "and so is what waited for one"
        );
        drop((idle, working, stalled));
    });
}

#[test]
fn connections_above_the_limits_are_refused() {
    run(1, || async {
        let limits = DoorLimits {
            connections_max: 5,
            per_ip_max: 2,
            ..DoorLimits::default()
        };
        let server = Server::behind(limits, TransportOptions::default());
        let (mut one, two) = (server.client().await, server.client().await);
        let mut three = server.client().await;
        assert_eq!(three.rest().await, [0; 0]);
        one.send([produce(1, verb::ANSWER, 0)]).await;
        assert_eq!(one.next().await, Some(1));
        drop(two);
        engine_rt::sleep(Duration::from_secs(1)).await;
        let mut four = server.client().await;
        four.send([produce(4, verb::ANSWER, 0)]).await;
        assert_eq!(four.next().await, Some(4));
    });
}
