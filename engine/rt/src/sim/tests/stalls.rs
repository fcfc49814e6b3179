//! Nodes that stand still, and clocks that are wrong.

use super::*;
use crate::wall_clock;

/// A node that notes the monotonic clock every 10 ms.
fn with_a_ticking_node(seed: u64) -> (Simulation, SimNode, Rc<RefCell<Vec<u64>>>) {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node(1);
    let ticks = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&ticks);
    let system = sim.system(node);
    let main = local(move || async move {
        loop {
            noted.borrow_mut().push(now().0 / 1_000_000);
            sleep(Duration::from_millis(10)).await;
        }
    });
    sim.start_local(node, &system, vec![main]);
    (sim, node, ticks)
}

#[test]
fn a_paused_node_runs_nothing_and_then_goes_on() {
    for seed in 0..20 {
        let (mut sim, node, ticks) = with_a_ticking_node(seed);
        sim.run_for(Duration::from_millis(100));
        sim.pause(node, Duration::from_secs(2));
        let before = ticks.borrow().len();
        sim.run_for(Duration::from_millis(1_990));
        assert_eq!(ticks.borrow().len(), before, "seed {seed}");
        sim.run_for(Duration::from_millis(110));
        let after = ticks.borrow().len();
        assert!(after > before + 5, "seed {seed}: {after} after {before}");
        let longest = ticks.borrow().windows(2).map(|w| w[1] - w[0]).max();
        assert!(longest >= Some(1_990), "seed {seed}: {longest:?}");
    }
}

#[test]
fn a_paused_node_that_crashes_starts_again_without_a_pause() {
    let (mut sim, node, _) = with_a_ticking_node(1);
    sim.run_for(Duration::from_millis(100));
    sim.pause(node, Duration::from_hours(10));
    sim.crash(node, CrashKind::Kill);
    let answer = sim.block_on(node, MINUTE, || async { 7 });
    assert_eq!(answer, Ok(7));
}

#[test]
fn only_the_wall_clock_of_one_node_jumps() {
    let mut sim = Simulation::new(4);
    let (wrong, right) = (sim.add_node(1), sim.add_node(1));
    let read = || async { (now(), wall_clock().0) };
    let (before, wall) = sim.block_on(wrong, MINUTE, read).unwrap();
    sim.jump_wall_clock(wrong, -3_600_000);
    let (after, jumped) = sim.block_on(wrong, MINUTE, read).unwrap();
    let (_, other) = sim.block_on(right, MINUTE, read).unwrap();
    assert!(after > before);
    assert!((wall - 3_600_000..wall - 3_590_000).contains(&jumped));
    assert!(other >= wall && other < wall + 10_000);
}
