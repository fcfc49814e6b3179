//! One run: what its seed drew, lived through, and judged.

use super::admin::Admin;
use super::consumer::Consumer;
use super::journal::{Figures, Journal, Phase};
use super::mischief::{Mischief, Strikes};
use super::plan::{End, Mishap, Plan};
use super::producer::Producer;
use crate::checker::history::{Last, Place};
use crate::checker::{self, Deceit, Ending, Violation};
use crate::world::{Started, Stopped, World};
use core::fmt::Write as _;
use core::time::Duration;
use engine_rt::sim::CrashKind;
use tools_node::Ready;

/// Longest start, in virtual time.
const START_MAX: Duration = Duration::from_mins(2);
/// Longest time, in virtual time, until everything that was begun is decided once all is well.
const DRAIN_MAX: Duration = Duration::from_mins(3);
/// Longest stop, in virtual time.
const STOP_MAX: Duration = Duration::from_mins(2);
/// Acknowledgements below which a run proves nothing.
const ACKNOWLEDGED_MIN: usize = 10;

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// A number that two runs share if they did the same in the same order.
    pub trace: u64,
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// What went wrong beside them: the node did not start, clients did not end.
    pub failures: Vec<String>,
    /// Records that were sent.
    pub sent: usize,
    /// Records that were acknowledged.
    pub acknowledged: usize,
    /// Records that were read, the last look aside.
    pub read: usize,
    /// What clients did.
    pub figures: Figures,
    /// Faults that really struck.
    pub strikes: Strikes,
    /// How often each error was told.
    pub errors: Vec<(i16, u64)>,
    /// What the machine did that no software can make good.
    pub deceit: Deceit,
    /// The plan and the lives, in words.
    pub story: String,
}

impl Outcome {
    /// Nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.failures.is_empty()
    }

    /// Enough was acknowledged and something went wrong indeed: the run proves something.
    pub fn counts(&self) -> bool {
        self.acknowledged >= ACKNOWLEDGED_MIN && !self.strikes.is_empty()
    }
}

/// Runs a seed.
pub fn run(seed: u64) -> Outcome {
    Run::new(Plan::draw(seed)).run()
}

struct Run {
    plan: Plan,
    world: World,
    journal: Journal,
    mischief: Mischief,
    story: String,
    failures: Vec<String>,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let shards = plan.lives.first().map_or(1, |life| life.shards);
        let mut world = World::new(plan.seed, shards).with("message.max.bytes=262144");
        world.storage = Some(plan.storage.clone());
        let mischief = Mischief::new(plan.luck);
        Self {
            world,
            journal: Journal::default(),
            mischief,
            story: plan.to_string(),
            failures: Vec::new(),
            plan,
        }
    }

    fn tell(&mut self, line: &str) {
        let now = Duration::from_nanos(self.world.simulation.now().0);
        // Writing to a string cannot fail.
        let _ = writeln!(self.story, "  {:>12} {line}", format!("{now:.3?}"));
    }

    fn fail(&mut self, line: String) {
        self.tell(&line);
        self.failures.push(line);
    }

    fn run(mut self) -> Outcome {
        let is_up = self.live();
        if is_up {
            self.finish();
        }
        let deceit = self.mischief.deceit(&self.world);
        let violations = self.journal.with(|history| {
            history.deceit = deceit;
            checker::check(history)
        });
        let (sent, read) = self.journal.with(|history| {
            let read = history.reads.iter().map(|read| read.found.len()).sum();
            (history.sent.len(), read)
        });
        Outcome {
            seed: self.plan.seed,
            trace: self.world.simulation.trace_hash(),
            violations,
            failures: self.failures,
            sent,
            acknowledged: self.journal.acknowledged(),
            read,
            figures: self.journal.figures(),
            strikes: self.mischief.strikes(&self.world),
            errors: self.journal.errors(),
            deceit,
            story: self.story,
        }
    }

    /// Lives one life after another; whether the node is up at the end.
    fn live(&mut self) -> bool {
        for number in 0..self.plan.lives.len() {
            let life = self.plan.lives[number].clone();
            self.world.set_shards(life.shards);
            let mut fault = None;
            if number > 0 {
                let before = &self.plan.lives[number - 1];
                fault = before.fault_in_next_start;
                if let Some(point) = before.crash_in_next_start {
                    let disk = self.world.simulation.disk(self.world.machine());
                    disk.crash_after(point);
                }
            }
            if let Some(fault) = fault {
                self.tell(&format!("{fault:?} in the start"));
                self.mischief.strike(&mut self.world, fault);
            }
            if !self.start(fault.is_some()) {
                return false;
            }
            if number == 0 {
                self.start_clients();
            }
            self.life(&life.mishaps, life.lasts, life.end);
        }
        self.start(false)
    }

    fn start_clients(&mut self) {
        let admin = self.plan.admin.clone();
        let journal = self.journal.clone();
        journal.begin_work();
        let machine = self.world.background(async move |address| {
            Admin::new(admin, journal.clone(), address).run().await;
            journal.end_work();
        });
        self.mischief.add_client(machine);
        for plan in self.plan.producers.clone() {
            let journal = self.journal.clone();
            journal.begin_work();
            let machine = self.world.background(async move |address| {
                Producer::new(plan, journal, address).run().await;
            });
            self.mischief.add_client(machine);
        }
        for (number, (seed, think_us)) in (0..).zip(self.plan.consumers.clone()) {
            let journal = self.journal.clone();
            journal.begin_work();
            let machine = self.world.background(async move |address| {
                let consumer = Consumer::new(number, seed, think_us, journal.clone(), address);
                consumer.run().await;
                journal.end_work();
            });
            self.mischief.add_client(machine);
        }
    }

    /// Starts the node, once more where a crash or a fault was planned within the start.
    fn start(&mut self, mut is_faulty: bool) -> bool {
        for _ in 0..4 {
            match self.world.attempt(START_MAX) {
                Started::Ready(ready) => {
                    self.up(&ready);
                    return true;
                }
                Started::CrashPoint => {
                    let kind = self.crash_kind();
                    self.tell(&format!("start: {kind:?} in the middle"));
                    self.crash(kind);
                }
                Started::Refused(error) if is_faulty => {
                    self.tell(&format!("the node does not start: {error}"));
                    Mischief::heal(&self.world);
                    is_faulty = false;
                    self.journal.ended(Ending::Kill);
                }
                Started::Refused(error) => {
                    if self.mischief.deceit(&self.world) == Deceit::default() {
                        self.fail(format!("the node does not start: {error}"));
                    } else {
                        // Whoever refuses to go on over what the machine did does right.
                        self.tell(&format!("the node does not start: {error}"));
                    }
                    return false;
                }
                Started::Stuck => {
                    self.fail(format!("the node does not start within {START_MAX:?}"));
                    return false;
                }
            }
        }
        self.fail("the node does not start".to_owned());
        false
    }

    fn up(&mut self, ready: &Ready) {
        if ready.was_clean {
            self.journal.with(|history| {
                if let Some(ending @ Ending::Kill) = history.endings.last_mut() {
                    *ending = Ending::Clean;
                }
            });
        }
        let clean = if ready.was_clean { ", clean" } else { "" };
        self.tell(&format!("up: {} partitions{clean}", ready.partitions));
        if !ready.recovery.quarantined.is_empty() {
            let quarantined = format!("{:?}", ready.recovery.quarantined);
            self.tell(&format!("quarantined: {quarantined}"));
        }
    }

    fn crash_kind(&self) -> CrashKind {
        let life = self.plan.lives.iter().find_map(|life| match life.end {
            End::Crash(kind) | End::CrashAt(kind, _) => Some(kind),
            End::Stop => None,
        });
        life.unwrap_or(CrashKind::Kill)
    }

    fn crash(&mut self, kind: CrashKind) {
        self.world.crash(kind);
        Mischief::heal(&self.world);
        self.journal.ended(match kind {
            CrashKind::Kill => Ending::Kill,
            CrashKind::Power => Ending::Power,
        });
    }

    fn life(&mut self, mishaps: &[(Duration, Mishap)], lasts: Duration, end: End) {
        let begun = self.world.simulation.now();
        let mut acts: Vec<(Duration, Option<Mishap>)> = mishaps
            .iter()
            .map(|(at, mishap)| (*at, Some(*mishap)))
            .collect();
        if let End::CrashAt(_, point) = end {
            let disk = self.world.simulation.disk(self.world.machine());
            disk.crash_after(point);
        }
        loop {
            acts.sort();
            let next = acts.first().copied();
            let until = next.map_or(lasts, |(at, _)| at.min(lasts));
            let passed = self.world.simulation.now().saturating_since(begun);
            let wait = until.saturating_sub(passed);
            if self.world.simulation.run_for(wait).is_some() {
                break;
            }
            match next {
                Some((at, act)) if at <= lasts => {
                    acts.remove(0);
                    let Some(mishap) = act else {
                        self.tell("healed");
                        Mischief::heal(&self.world);
                        continue;
                    };
                    self.tell(&format!("{mishap:?}"));
                    if let Some(healed) = self.mischief.strike(&mut self.world, mishap) {
                        acts.push((at + healed, None));
                    }
                }
                _ => break,
            }
        }
        match end {
            End::Crash(kind) | End::CrashAt(kind, _) => {
                self.tell(&format!("{kind:?}"));
                self.crash(kind);
            }
            End::Stop => {
                self.stop();
            }
        }
    }

    /// Stops the node; whether that was clean is what the next start says.
    fn stop(&mut self) {
        self.tell("stop");
        let mut stopped = self.world.stop_within(STOP_MAX);
        if stopped == Stopped::Stuck {
            // A stop tries its last checkpoint for as long as the disk refuses it.
            self.tell("the stop waits for the disk");
            Mischief::heal(&self.world);
            self.mischief.stop_waited();
            stopped = self.world.stop_within(STOP_MAX);
        }
        match stopped {
            Stopped::Down => {}
            Stopped::CrashPoint => {
                let kind = self.crash_kind();
                self.tell(&format!("{kind:?} in the middle"));
                self.crash(kind);
                return;
            }
            Stopped::Stuck => {
                self.fail(format!("the node does not stop within {STOP_MAX:?}"));
                self.world.crash(CrashKind::Kill);
            }
        }
        Mischief::heal(&self.world);
        self.journal.ended(Ending::Kill);
    }

    /// Lets clients find out what became of what they began, and looks at everything.
    fn finish(&mut self) {
        Mischief::heal(&self.world);
        self.journal.set_phase(Phase::Drain);
        let journal = self.journal.clone();
        let is_done = move || journal.working() == 0;
        if !self.world.simulation.run_until(is_done, DRAIN_MAX) {
            let working = self.journal.working();
            self.fail(format!(
                "{working} clients have no answer {DRAIN_MAX:?} after all is well"
            ));
        }
        self.journal.set_phase(Phase::Over);
        if self.plan.seed.is_multiple_of(2) {
            self.stop();
            if !self.start(false) {
                return;
            }
        }
        let journal = self.journal.clone();
        let looked = self.world.try_client(DRAIN_MAX, async move |address| {
            let plan = super::plan::AdminPlan::none();
            let mut admin = Admin::new(plan, journal.clone(), address);
            let mut consumer = Consumer::new(u64::MAX, 0, 0, journal.clone(), address);
            let topics = admin.last_look().await?;
            for (topic, name) in &topics {
                for partition in 0..topic.partitions {
                    let place = Place {
                        topic: topic.topic,
                        partition,
                    };
                    let state = consumer.read_whole(name, place).await;
                    if topic.topic != usize::MAX
                        && !(state.is_err() && journal.is_going(topic.topic))
                    {
                        journal.with(|history| history.last.push(Last { place, state }));
                    }
                }
            }
            let known = topics.iter().map(|(topic, _)| *topic);
            let known = known.filter(|topic| topic.topic != usize::MAX).collect();
            journal.with(|history| history.last_topics = Some(known));
            Some(())
        });
        match looked {
            Ok(Some(())) => {}
            Ok(None) => self.fail("nobody answers at the end".to_owned()),
            Err(error) => self.fail(format!("the last look does not end: {error}")),
        }
        self.stop();
        self.tell("stopped");
    }
}
