//! Whether a broker serves: what campaigns other than power cuts ask of it.

use crate::broker::{Broker, Start};
use crate::wire::Wire;
use crate::workload::{Workload, create_topic};
use crate::writer::{Durability, End, Violation, Writer};
use engine_model::ErrorCode;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// A broker that does not serve again by then after healing does not heal by itself.
const HEAL_DURATION_MAX: Duration = Duration::from_secs(15);
/// Acknowledgements that do not come by then do not come.
const PATIENCE: Duration = Duration::from_secs(30);
const PROBES: i32 = 4;

/// Errors that say what is the matter, or that follow from another batch refused before.
pub const CLEAR_CODES: &[ErrorCode] = &[
    ErrorCode::KAFKA_STORAGE_ERROR,
    ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode::REQUEST_TIMED_OUT,
];

/// A broker that has to start.
pub fn started(directory: &Path, settings: &[&str]) -> Broker {
    match Broker::start(directory, settings, || false) {
        Start::Ready(broker) => broker,
        Start::Ended(said) => panic!("the broker does not start:\n{said}"),
        Start::GivenUp => unreachable!("nobody gives up"),
    }
}

/// Runs the clients until so many batches are acknowledged; none may be refused.
pub fn run_until(workload: &mut Workload, broker: &Broker, batches: u64) -> Result<(), Violation> {
    let ends = workload.run(broker.address(), |signs| {
        let is_acknowledged = signs.wait(batches, PATIENCE);
        assert!(
            is_acknowledged,
            "nothing is acknowledged:\n{}",
            broker.said()
        );
    })?;
    let is_stopped = ends.iter().all(|end| *end == End::Stopped);
    assert!(is_stopped, "{ends:?}:\n{}", broker.said());
    Ok(())
}

/// Producers on every shard that may be refused without harm.
#[derive(Debug)]
pub struct Probes(Vec<Writer>);

impl Probes {
    /// Makes a topic for them.
    pub fn new(address: SocketAddr) -> Self {
        let mut wire = Wire::connect(address).expect("connecting");
        let topic = create_topic(&mut wire, "probe", PROBES, &[]);
        let topic = topic.expect("an answer").expect("a topic");
        let place = |partition| ("probe", topic, partition);
        Self(
            (0..PROBES)
                .map(|partition| Writer::new(address, 0, place(partition), Durability::Fsync))
                .collect(),
        )
    }

    /// Waits until every probe is acknowledged; false if the broker ends or takes too long.
    pub fn are_served(&mut self, broker: &mut Broker) -> bool {
        let deadline = Instant::now() + HEAL_DURATION_MAX;
        for probe in &mut self.0 {
            while !probe.write_one(broker.address()) {
                if Instant::now() > deadline || !broker.is_running() {
                    return false;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        true
    }
}
