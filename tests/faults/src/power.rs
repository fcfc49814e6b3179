//! Power cuts: the broker on a real ext4, on a loop device, on a disk of ours whose cache forgets.
//!
//! ```text
//! clients -> broker -> ext4 -> loop device -> /dev/fuse -> `Disk` with a volatile cache
//! ```
//!
//! Keeps: the power goes at a drawn operation of the disk, wherever the broker is at that moment,
//! its start included; then whatever no flush covered is lost by chance, torn at 512 bytes, 4 KiB of
//! it garbage at times. After each cut the file system replays its journal, the broker starts and
//! everything is read and compared.
//!
//! The control: a disk that lies about its flushes must be found out, else the rig shows nothing.

use crate::broker::{Broker, Start};
use crate::disk::{Damage, Loss};
use crate::files::Files;
use crate::mounts::{Loop, Mounted, Place};
use crate::random::Random;
use crate::switches::Countdown;
use crate::workload::Workload;
use crate::writer::Violation;
use fuser::BackgroundSession;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Far more than is written: what was never written takes no memory.
const DISK_BYTES: u64 = 4 << 30;
const DISK: &str = "disk";
/// Cuts on one disk before a new one is made, so that a full read stays short.
const CUTS_PER_DISK: u64 = 20;
/// Operations of the disk before a cut, at most.
const OPERATIONS_MAX: u64 = 600;
/// In case that too few operations come for a cut, it comes by itself.
const CUT_DURATION_MAX: Duration = Duration::from_secs(10);
/// Cuts in a row during a start before the broker is left alone.
const START_CUTS_MAX: u32 = 3;
/// Small lanes: checkpoints and reuse of halves happen within a run.
const SETTINGS: &[&str] = &["lane.bytes=16MiB"];

/// What to try.
#[derive(Clone, Debug)]
pub struct Cuts {
    /// How many cuts.
    pub cuts: u64,
    /// What decides everything but the timing of threads.
    pub seed: u64,
    /// Whether flushes lie for a while before each cut.
    pub lies: bool,
    /// Whether to say how it goes.
    pub is_verbose: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct CutReport {
    /// Cuts done.
    pub cuts: u64,
    /// Of which hit a broker that was starting.
    pub in_start: u64,
    /// Of which lost at least one sector that no flush had covered.
    pub with_loss: u64,
    /// Of which left garbage.
    pub with_garbage: u64,
    /// Sectors lost.
    pub sectors_lost: u64,
    /// Flushes the disk was asked for.
    pub flushes: u64,
    /// Records acknowledged, all of them read back.
    pub records: u64,
    /// Records of class `written` that the cuts took.
    pub written_lost: u64,
    /// The longest start of the broker.
    pub start_max: Duration,
    /// What was wrong, by cut.
    pub violations: Vec<(u64, Violation)>,
    /// File systems that could not be mounted any more, brokers that would not start.
    pub broken: Vec<(u64, String)>,
}

/// The disk with everything on it; the parts go in this order.
struct Rig {
    mounted: Option<Mounted>,
    device: Option<Loop>,
    _session: BackgroundSession,
    files: Files,
    disk: PathBuf,
    place: Place,
}

impl Rig {
    fn new() -> Self {
        let place = Place::new();
        let files = Files::default();
        files.add_disk(DISK, DISK_BYTES);
        let (path, session) = place.mount_files("files", &files);
        let mut rig = Self {
            mounted: None,
            device: None,
            _session: session,
            files,
            disk: path.join(DISK),
            place,
        };
        let device = rig.place.attach(&rig.disk);
        device.format();
        rig.device = Some(device);
        rig.mount().expect("a new file system");
        rig
    }

    fn mount(&mut self) -> Result<(), String> {
        let device = match self.device.take() {
            Some(device) => device,
            None => self.place.attach(&self.disk),
        };
        let device = self.device.insert(device);
        self.mounted = Some(self.place.mount_ext4("ext4", device)?);
        Ok(())
    }

    fn data_directory(&self) -> PathBuf {
        self.mounted
            .as_ref()
            .expect("a mounted disk")
            .path()
            .join("data")
    }

    /// The power is off: everything above the disk goes, then what its cache held.
    fn lose(&mut self, loss: Loss, garbage: bool, random: &mut Random) -> Damage {
        self.mounted = None;
        self.device = None;
        let damage = self.files.lose(DISK, loss, garbage, random);
        self.files.switches().restore();
        damage
    }
}

impl Cuts {
    /// Runs all of them.
    pub fn run(&self) -> CutReport {
        let mut report = CutReport::default();
        let mut random = Random::new(self.seed);
        let begun = Instant::now();
        while report.cuts < self.cuts {
            let count = CUTS_PER_DISK.min(self.cuts - report.cuts);
            self.run_disk(count, &mut random, &mut report);
            if self.is_verbose {
                eprintln!(
                    "{} cuts in {:.0?}: {} records, {} violations, {} broken",
                    report.cuts,
                    begun.elapsed(),
                    report.records,
                    report.violations.len(),
                    report.broken.len()
                );
            }
        }
        report
    }

    /// Runs some on one new disk; ends early when it is damaged.
    fn run_disk(&self, cuts: u64, random: &mut Random, report: &mut CutReport) {
        let mut rig = Rig::new();
        let Start::Ready(broker) = Broker::start(&rig.data_directory(), SETTINGS, || false) else {
            panic!("no broker on a new disk");
        };
        let large_percent = [0, 2, 30][usize::try_from(random.below(3)).unwrap()];
        let mut workload = Workload::new(broker.address(), random.draw(), large_percent);
        let mut broker = Some(broker);
        for _ in 0..cuts {
            let cut = report.cuts;
            report.cuts += 1;
            let mut running = broker.take().expect("a running broker");
            if let Err(violation) = self.cut(&mut rig, &mut running, &mut workload, random, report)
            {
                report.violations.push((cut, violation));
                break;
            }
            match self.start_again(&mut rig, random, report) {
                Ok(started) => running = started,
                Err(text) => {
                    report.broken.push((cut, text));
                    break;
                }
            }
            match workload.check(running.address(), true) {
                Ok(lost) => report.written_lost += lost,
                Err(violation) => {
                    eprintln!("cut {cut}: {violation}\n{}", running.said());
                    report.violations.push((cut, violation));
                    break;
                }
            }
            assert_eq!(running.complaints(), Vec::<String>::new(), "cut {cut}");
            broker = Some(running);
        }
        report.flushes += rig.files.switches().counts().flushes;
        report.records += workload.acknowledged();
    }

    /// Runs the clients and takes the power away under them.
    fn cut(
        &self,
        rig: &mut Rig,
        broker: &mut Broker,
        workload: &mut Workload,
        random: &mut Random,
        report: &mut CutReport,
    ) -> Result<(), Violation> {
        let switches = rig.files.switches();
        let countdown = self.countdown(random);
        let flushes = switches.counts().flushes;
        let address = broker.address();
        let mut acknowledged = 0;
        let ends = workload.run(address, |signs| {
            switches.cut_after(countdown);
            if !switches.wait_off(CUT_DURATION_MAX) {
                switches.cut();
            }
            broker.kill();
            acknowledged = signs.acknowledged.load(Ordering::Relaxed);
        });
        let flushes = switches.counts().flushes - flushes;
        assert!(
            acknowledged == 0 || flushes > 0,
            "{acknowledged} acknowledgements without a flush that reached the disk"
        );
        self.lose(rig, random, report);
        ends.map(drop)
    }

    fn countdown(&self, random: &mut Random) -> Countdown {
        // The control lies as long as it can: a lie that covers nothing yet is no lie.
        let operations = if self.lies {
            OPERATIONS_MAX
        } else {
            random.below(OPERATIONS_MAX)
        };
        Countdown {
            operations,
            // A last flush that is carried out would save the control everything.
            takes_effect: !self.lies && random.chance(50),
            lies: if self.lies { operations } else { 0 },
        }
    }

    fn lose(&self, rig: &mut Rig, random: &mut Random, report: &mut CutReport) {
        let loss = match random.below(5) {
            _ if self.lies => Loss::All,
            0 => Loss::All,
            1 => Loss::Writes,
            2 => Loss::Tail,
            _ => Loss::Sectors,
        };
        let garbage = !self.lies && random.chance(30);
        let damage = rig.lose(loss, garbage, random);
        report.with_loss += u64::from(damage.lost > 0);
        report.with_garbage += u64::from(damage.has_garbage);
        report.sectors_lost += damage.lost;
    }

    /// Mounts and starts again, now and then with cuts on the way.
    fn start_again(
        &self,
        rig: &mut Rig,
        random: &mut Random,
        report: &mut CutReport,
    ) -> Result<Broker, String> {
        for attempt in 0.. {
            rig.mount()?;
            let is_cut = !self.lies && attempt < START_CUTS_MAX && random.chance(20);
            let switches = rig.files.switches();
            if is_cut {
                switches.cut_after(Countdown {
                    operations: random.below(OPERATIONS_MAX / 4),
                    takes_effect: random.chance(50),
                    lies: 0,
                });
            }
            let begun = Instant::now();
            let start = Broker::start(&rig.data_directory(), SETTINGS, || switches.is_off());
            if !is_cut || !switches.is_off() {
                return match start {
                    Start::Ready(broker) => {
                        report.start_max = report.start_max.max(begun.elapsed());
                        // Too late for this cut: the next one is armed with the clients at work.
                        switches.restore();
                        Ok(broker)
                    }
                    Start::Ended(said) => Err(said),
                    Start::GivenUp => Err("given up".to_owned()),
                };
            }
            drop(start);
            report.cuts += 1;
            report.in_start += 1;
            self.lose(rig, random, report);
        }
        Err("too many attempts".to_owned())
    }
}
