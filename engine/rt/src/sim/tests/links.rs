//! Links that are cut, slow or lossy; connections that break on one side or both.

use super::*;
use crate::spawn;

const SECOND: Duration = Duration::from_secs(1);

/// A server that collects what one client sends, byte for byte, and how its connection ended.
struct Wire {
    sim: Simulation,
    server: SimNode,
    client: SimNode,
    received: Rc<RefCell<Vec<u8>>>,
    ending: Rc<RefCell<Option<std::result::Result<(), i32>>>>,
}

impl Wire {
    fn new(seed: u64) -> Self {
        let mut sim = Simulation::new(seed);
        let (server, client) = (sim.add_node(1), sim.add_node(1));
        let address = sim.address(server, 9092);
        let received = Rc::new(RefCell::new(Vec::new()));
        let ending = Rc::new(RefCell::new(None));
        let (bytes, end) = (Rc::clone(&received), Rc::clone(&ending));
        let system = sim.system(server);
        let main = local(move || async move {
            let listener = Listener::bind(address, ListenOptions::default()).unwrap();
            let stream = listener.accept().await.unwrap();
            let ended = loop {
                match stream.recv(BytesMut::new(), 1 << 16).await {
                    Ok(data) if data.is_empty() => break Ok(()),
                    Ok(data) => bytes.borrow_mut().extend_from_slice(&data),
                    Err(error) => break Err(error.errno),
                }
            };
            *end.borrow_mut() = Some(ended);
            // What comes after the end tells a half-open connection.
            Notify::new().notified().await;
        });
        sim.start_local(server, &system, vec![main]);
        sim.run_for(Duration::from_millis(1));
        Self {
            sim,
            server,
            client,
            received,
            ending,
        }
    }

    /// Lets the client send the numbers 0..100 one by one, a millisecond apart, and then close.
    fn send_numbers(&mut self) {
        let address = self.sim.address(self.server, 9092);
        let system = self.sim.system(self.client);
        let main = local(move || async move {
            let Ok(stream) = Stream::connect(address).await else {
                return;
            };
            for number in 0..100_u8 {
                if stream.send(vec![Bytes::from(vec![number])]).await.is_err() {
                    return;
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
        self.sim.start_local(self.client, &system, vec![main]);
    }

    fn count(&self) -> usize {
        self.received.borrow().len()
    }
}

fn numbers() -> Vec<u8> {
    (0..100).collect()
}

#[test]
fn what_a_cut_holds_back_arrives_after_it_in_order_and_whole() {
    for seed in 0..30 {
        let mut wire = Wire::new(seed);
        wire.send_numbers();
        wire.sim.run_for(Duration::from_millis(50));
        let network = wire.sim.network();
        network.cut(wire.client, wire.server);
        // What was already on its way still comes.
        wire.sim.run_for(Duration::from_millis(25));
        let before = wire.count();
        wire.sim.run_for(10 * SECOND);
        assert_eq!(wire.count(), before, "seed {seed}");
        assert!((1..100).contains(&before), "seed {seed}: {before}");
        assert_eq!(*wire.ending.borrow(), None);
        network.heal();
        wire.sim.run_for(SECOND);
        assert_eq!(*wire.received.borrow(), numbers(), "seed {seed}");
        assert_eq!(*wire.ending.borrow(), Some(Ok(())));
        assert!(network.counts().held > 0);
    }
}

#[test]
fn connecting_over_a_cut_waits_for_it_to_heal_whichever_direction_is_cut() {
    for (seed, from_client) in [(1, true), (2, false)] {
        let mut wire = Wire::new(seed);
        let network = wire.sim.network();
        if from_client {
            network.cut(wire.client, wire.server);
        } else {
            network.cut(wire.server, wire.client);
        }
        wire.send_numbers();
        wire.sim.run_for(10 * SECOND);
        assert_eq!(wire.count(), 0);
        assert!(network.counts().connects_held > 1);
        network.heal();
        wire.sim.run_for(5 * SECOND);
        assert_eq!(*wire.received.borrow(), numbers());
    }
}

#[test]
fn slow_and_lossy_links_delay_and_change_nothing_else() {
    for seed in 0..20 {
        let mut wire = Wire::new(seed);
        let network = wire.sim.network();
        let (least, greatest) = (Duration::from_millis(50), Duration::from_millis(80));
        network.slow(wire.client, wire.server, least, greatest);
        network.lose(wire.client, wire.server, 10);
        wire.send_numbers();
        wire.sim.run_for(Duration::from_millis(49));
        assert_eq!(wire.count(), 0, "seed {seed}");
        wire.sim.run_for(60 * SECOND);
        assert_eq!(*wire.received.borrow(), numbers(), "seed {seed}");
        let counts = network.counts();
        assert!(counts.slowed >= 100 && counts.retransmitted > 0);
    }
}

#[test]
fn broken_connections_are_reset_on_both_sides() {
    for seed in 0..20 {
        let mut wire = Wire::new(seed);
        wire.send_numbers();
        wire.sim.run_for(Duration::from_millis(50));
        let network = wire.sim.network();
        network.break_connections(wire.server, wire.client);
        wire.sim.run_for(SECOND);
        assert_eq!(*wire.ending.borrow(), Some(Err(libc::ECONNRESET)));
        // The client has found out as well, and ended.
        assert!(!wire.sim.is_running(wire.client), "seed {seed}");
        assert!(numbers().starts_with(&wire.received.borrow()));
        assert_eq!(network.counts().broken, 1);
    }
}

#[test]
fn the_silent_side_of_a_half_open_connection_hears_nothing_for_ever() {
    for seed in 0..20 {
        let mut wire = Wire::new(seed);
        wire.send_numbers();
        wire.sim.run_for(Duration::from_millis(50));
        let network = wire.sim.network();
        network.half_open(wire.client, wire.server);
        wire.sim.run_for(Duration::from_hours(1));
        assert_eq!(*wire.ending.borrow(), None, "seed {seed}");
        assert!(numbers().starts_with(&wire.received.borrow()));
        assert_eq!(network.counts().half_open, 1);
    }
}

#[test]
fn whoever_sends_on_a_half_open_connection_is_reset() {
    let mut wire = Wire::new(3);
    let address = wire.sim.address(wire.server, 9092);
    let outcome = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&outcome);
    let system = wire.sim.system(wire.client);
    let main = local(move || async move {
        let stream = Stream::connect(address).await.unwrap();
        sleep(SECOND).await;
        let data = || vec![Bytes::from_static(b"x")];
        let first = stream.send(data()).await;
        sleep(SECOND).await;
        let second = stream.send(data()).await;
        seen.borrow_mut().extend([first.is_ok(), second.is_ok()]);
    });
    wire.sim.start_local(wire.client, &system, vec![main]);
    wire.sim.run_for(Duration::from_millis(500));
    wire.sim.network().half_open(wire.server, wire.client);
    wire.sim.run_for(5 * SECOND);
    assert_eq!(*outcome.borrow(), [true, false]);
}

#[test]
fn connections_overtake_each_other() {
    let mut orders = BTreeSet::new();
    for seed in 0..20 {
        let mut sim = Simulation::new(seed);
        let (server, client) = (sim.add_node(1), sim.add_node(1));
        let address = sim.address(server, 9092);
        let order = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&order);
        let system = sim.system(server);
        let main = local(move || async move {
            let listener = Listener::bind(address, ListenOptions::default()).unwrap();
            for _ in 0..2 {
                let stream = listener.accept().await.unwrap();
                let seen = Rc::clone(&seen);
                drop(spawn(async move {
                    let data = stream.recv(BytesMut::new(), 1).await.unwrap();
                    seen.borrow_mut().push(data.first().copied());
                }));
            }
            Notify::new().notified().await;
        });
        sim.start_local(server, &system, vec![main]);
        sim.run_for(Duration::from_millis(1));
        let sent = sim.block_on(client, MINUTE, move || async move {
            let first = Stream::connect(address).await.unwrap();
            let second = Stream::connect(address).await.unwrap();
            for (stream, byte) in [(&first, b'1'), (&second, b'2')] {
                stream.send(vec![Bytes::from(vec![byte])]).await.unwrap();
            }
            sleep(SECOND).await;
        });
        assert_eq!(sent, Ok(()));
        orders.insert(order.borrow().clone());
    }
    assert_eq!(orders.len(), 2, "{orders:?}");
}
