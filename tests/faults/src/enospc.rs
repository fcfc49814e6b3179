//! Full disks: the broker on a small ext4 that others fill, that clients fill, that is full at start.
//!
//! Keeps: what does not fit is refused with an error and never acknowledged; what is there can be read
//! all the time; when there is room again the broker takes records again by itself.

use crate::broker::{Broker, Start};
use crate::mounts::{Mounted, Place};
use crate::random::Random;
use crate::service::{CLEAR_CODES, Probes, run_until, started};
use crate::wire::Wire;
use crate::workload::{Workload, create_topic, delete_topic};
use crate::writer::{Durability, End, Violation, Writer};
use engine_model::ErrorCode;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const DISK_BYTES: u64 = 640 << 20;
/// The broker takes nothing more when less is free. Source: engine/log, `disk_reserve_bytes`.
const RESERVE_BYTES: u64 = 256 << 20;
/// Refusals that do not come by then do not come.
const REFUSAL_DURATION_MAX: Duration = Duration::from_secs(20);
/// A deletion that is refused for so long is not to be had.
const DELETE_DURATION_MAX: Duration = Duration::from_secs(2);
const FILLER: &str = "filler";
/// What was deleted gives its room back soon.
const SETTINGS: &[&str] = &["lane.bytes=16MiB", "log.segment.delete.delay.ms=1000"];

/// How the disk gets full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Others take the room, down to the reserve or to the last byte.
    Others,
    /// Clients write until they are refused; then their topic is deleted.
    Clients,
    /// Others take all of it, and the broker is started on that.
    AtStart,
}

const HOWS: [How; 3] = [How::Others, How::Clients, How::AtStart];

/// What to try.
#[derive(Clone, Debug)]
pub struct FullDisks {
    /// How often the disk gets full; every way in turn.
    pub cycles: u64,
    /// What decides everything but the timing of threads.
    pub seed: u64,
    /// Whether to say how it goes.
    pub is_verbose: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct FullReport {
    /// Cycles done.
    pub cycles: u64,
    /// Of which clients were refused.
    pub refused: u64,
    /// Of which the broker served again by itself when there was room.
    pub healed: u64,
    /// The longest that took.
    pub healed_after_max: Duration,
    /// Of which it needed a restart.
    pub restarts: u64,
    /// Starts on a full disk that ended with a message.
    pub starts_refused: u64,
    /// Starts on a full disk after which everything could be read.
    pub starts_served: u64,
    /// Deletions refused on a full disk.
    pub deletes_refused: u64,
    /// Records acknowledged, all of them read back.
    pub records: u64,
    /// What was wrong, by way.
    pub violations: Vec<(String, Violation)>,
}

struct Full<'a> {
    mounted: &'a Mounted,
    broker: Broker,
    workload: Workload,
    probes: Probes,
    report: &'a mut FullReport,
}

impl FullDisks {
    /// Runs all of them, each on a new disk.
    pub fn run(&self) -> FullReport {
        let mut report = FullReport::default();
        let mut random = Random::new(self.seed);
        for how in HOWS.into_iter().cycle() {
            if report.cycles == self.cycles {
                break;
            }
            let begun = Instant::now();
            if let Err(violation) = cycle(how, &mut random, &mut report) {
                eprintln!("{how:?}: {violation}");
                report.violations.push((format!("{how:?}"), violation));
            }
            report.cycles += 1;
            if self.is_verbose {
                eprintln!("{how:?} in {:.1?}", begun.elapsed());
            }
        }
        report
    }
}

fn cycle(how: How, random: &mut Random, report: &mut FullReport) -> Result<(), Violation> {
    let place = Place::new();
    let device = place.attach(&place.sparse_file("disk", DISK_BYTES));
    device.format();
    let mounted = place
        .mount_ext4("ext4", &device)
        .expect("a new file system");
    let directory = mounted.path().join("data");
    let broker = started(&directory, SETTINGS);
    let address = broker.address();
    let mut full = Full {
        mounted: &mounted,
        workload: Workload::new(address, random.draw(), 2),
        probes: Probes::new(address),
        broker,
        report,
    };
    run_until(&mut full.workload, &full.broker, 30)?;
    match how {
        How::Others => {
            let leaving =
                [0, 1 << 20, RESERVE_BYTES / 2][usize::try_from(random.below(3)).unwrap()];
            full.others(leaving)?;
            mounted.unfill();
            full.heal(&directory)?;
        }
        How::Clients => {
            full.clients(random)?;
            full.heal(&directory)?;
            if mounted.path().join("ballast").exists() {
                mounted.unfill();
            }
        }
        How::AtStart => {
            full.others(0)?;
            full.restart_full(&directory)?;
        }
    }
    run_until(&mut full.workload, &full.broker, 30)?;
    full.broker.kill();
    full.broker = started(&directory, SETTINGS);
    full.workload.check(full.broker.address(), false)?;
    assert_eq!(full.broker.complaints(), Vec::<String>::new(), "{how:?}");
    full.report.records += full.workload.acknowledged();
    // The broker before what it stands on.
    drop(full);
    Ok(())
}

impl Full<'_> {
    /// Others fill the disk under the clients, who are refused.
    fn others(&mut self, leaving: u64) -> Result<(), Violation> {
        let mounted = self.mounted;
        let ends = self.workload.run(self.broker.address(), |signs| {
            signs.wait(30, REFUSAL_DURATION_MAX);
            mounted.fill(leaving);
            let deadline = Instant::now() + REFUSAL_DURATION_MAX;
            while signs.at_work.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        })?;
        let (topics, producers) = ends.split_last().expect("clients");
        assert_eq!(*topics, End::Stopped, "{}", self.broker.said());
        for end in producers {
            let is_clear = matches!(&end, End::Refused(code) if CLEAR_CODES.contains(code));
            assert!(
                is_clear,
                "a full disk, and {end:?}:\n{}",
                self.broker.said()
            );
        }
        self.report.refused += 1;
        self.look()
    }

    /// Clients fill a topic until they are refused, and delete it.
    fn clients(&mut self, random: &mut Random) -> Result<(), Violation> {
        let address = self.broker.address();
        self.mounted.fill(RESERVE_BYTES + (48 << 20));
        let mut wire = Wire::connect(address).expect("connecting");
        let topic = create_topic(&mut wire, FILLER, 1, &[]);
        let topic = topic.expect("an answer").expect("a topic");
        let place = (FILLER, topic, 0);
        let filler = Writer::new(address, random.draw(), place, Durability::Fsync);
        let mut filler = filler.with_large(100);
        let never = AtomicBool::new(false);
        let end = filler.run(address, &never, &AtomicU64::new(0))?;
        let is_clear = matches!(&end, End::Refused(code) if CLEAR_CODES.contains(code));
        assert!(
            is_clear,
            "a full disk, and {end:?}:\n{}",
            self.broker.said()
        );
        self.report.refused += 1;
        assert!(filler.read(address)? >= filler.acknowledged());
        self.look()?;
        // Room comes back by what an operator does about it.
        let deadline = Instant::now() + DELETE_DURATION_MAX;
        while delete_topic(&mut wire, FILLER).expect("an answer") != ErrorCode::NONE {
            if Instant::now() > deadline {
                self.report.deletes_refused += 1;
                self.mounted.unfill();
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Violation> {
        let is_whole = self.workload.look(self.broker.address())?;
        assert!(
            is_whole,
            "reads go on on a full disk:\n{}",
            self.broker.said()
        );
        Ok(())
    }

    /// There is room again.
    fn heal(&mut self, directory: &Path) -> Result<(), Violation> {
        let healing = Instant::now();
        if self.probes.are_served(&mut self.broker) {
            self.report.healed += 1;
            let took = healing.elapsed();
            self.report.healed_after_max = self.report.healed_after_max.max(took);
        } else {
            self.report.restarts += 1;
            self.broker.kill();
            self.broker = started(directory, SETTINGS);
        }
        self.workload.check(self.broker.address(), false).map(drop)
    }

    /// Kills the broker on its full disk and starts it there, then gives room.
    fn restart_full(&mut self, directory: &Path) -> Result<(), Violation> {
        self.broker.kill();
        match Broker::start(directory, SETTINGS, || false) {
            Start::Ready(broker) => {
                self.broker = broker;
                self.report.starts_served += 1;
                self.look()?;
                self.mounted.unfill();
            }
            Start::Ended(said) => {
                assert!(
                    said.contains("error") && !said.contains("panicked"),
                    "{said}"
                );
                self.report.starts_refused += 1;
                self.mounted.unfill();
                self.broker = started(directory, SETTINGS);
            }
            Start::GivenUp => unreachable!("nobody gives up"),
        }
        self.heal(directory)
    }
}
