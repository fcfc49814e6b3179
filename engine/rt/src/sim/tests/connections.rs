//! Listeners and connections of whole nodes: who accepts, and what a crash does to them.

use super::*;

#[test]
fn a_crash_drops_every_task_and_resets_every_connection() {
    struct Dropped(Rc<Cell<u32>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    for seed in 0..30 {
        let mut sim = Simulation::new(seed);
        let (server, client) = (sim.add_node(1), sim.add_node(1));
        let address = sim.address(server, 9092);
        let drops = Rc::new(Cell::new(0));
        let errors = Rc::new(Cell::new(0));
        let guard = Dropped(Rc::clone(&drops));
        let system = sim.system(server);
        let main = local(move || async move {
            let listener = Listener::bind(address, ListenOptions::default()).unwrap();
            let _guard = guard;
            let _streams = (listener.accept().await, listener.accept().await);
            Notify::new().notified().await;
        });
        sim.start_local(server, &system, vec![main]);
        let connected = Rc::new(Cell::new(0));
        let system = sim.system(client);
        let (count, failed) = (Rc::clone(&connected), Rc::clone(&errors));
        let main = local(move || async move {
            let first = Stream::connect(address).await.unwrap();
            let second = Stream::connect(address).await.unwrap();
            count.set(2);
            assert!(
                first
                    .recv(BytesMut::new(), 10)
                    .await
                    .unwrap_err()
                    .is_connection_closed()
            );
            assert!(
                second
                    .recv(BytesMut::new(), 10)
                    .await
                    .unwrap_err()
                    .is_connection_closed()
            );
            assert!(Stream::connect(address).await.is_err());
            failed.set(3);
        });
        sim.start_local(client, &system, vec![main]);
        assert!(sim.run_until(|| connected.get() == 2, MINUTE));
        sim.run_for(Duration::from_millis(100));
        sim.crash(server, CrashKind::Kill);
        assert_eq!(drops.get(), 1);
        assert!(sim.run_until_idle(MINUTE));
        assert_eq!(errors.get(), 3, "seed {seed}");
        assert_eq!(sim.socket_count(), 0);
    }
}

#[test]
fn shards_share_a_port_and_connections_spread_over_them() {
    let mut sim = Simulation::new(11);
    let (server, client) = (sim.add_node(2), sim.add_node(1));
    let address = sim.address(server, 9092);
    let accepted = Rc::new(RefCell::new([0_usize; 2]));
    let system = sim.system(server);
    let mains = (0..2)
        .map(|_| {
            let accepted = Rc::clone(&accepted);
            local(move || async move {
                let options = ListenOptions {
                    reuse_port: true,
                    ..ListenOptions::default()
                };
                let listener = Listener::bind(address, options).unwrap();
                loop {
                    drop(listener.accept().await.unwrap());
                    accepted.borrow_mut()[shard().index()] += 1;
                }
            })
        })
        .collect();
    sim.start_local(server, &system, mains);
    sim.run_for(Duration::from_millis(1));
    let done = sim.block_on(client, MINUTE, move || async move {
        for _ in 0..40 {
            let stream = Stream::connect(address).await.unwrap();
            assert_eq!(stream.peer_addr(), address);
            let end = stream.recv(BytesMut::new(), 1).await;
            assert!(end.is_ok_and(|bytes| bytes.is_empty()));
        }
    });
    assert_eq!(done, Ok(()));
    let [first, second] = *accepted.borrow();
    assert_eq!(first + second, 40);
    assert!(first > 5 && second > 5, "{first} {second}");
}
