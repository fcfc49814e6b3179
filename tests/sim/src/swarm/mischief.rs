//! Carries mishaps out and takes them back, and counts what really struck.

use super::plan::Mishap;
use crate::chance::Chance;
use crate::checker::Deceit;
use crate::world::World;
use core::time::Duration;
use engine_rt::sim::{Fault, FaultEffect, FaultKind, SimNode};
use std::collections::BTreeMap;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Space of the disk when it is not full.
const CAPACITY_BYTES: u64 = 4 << 30;

/// What really happened, by name.
pub type Strikes = BTreeMap<&'static str, u64>;

/// The source of mishaps in a run.
#[derive(Debug)]
pub struct Mischief {
    chance: Chance,
    clients: Vec<SimNode>,
    done: Strikes,
    rots: u64,
}

impl Mischief {
    /// One that has done nothing yet.
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            clients: Vec::new(),
            done: Strikes::new(),
            rots: 0,
        }
    }

    /// A machine whose links may suffer.
    pub fn add_client(&mut self, machine: SimNode) {
        self.clients.push(machine);
    }

    /// A stop did not end before the disk was healed.
    pub fn stop_waited(&mut self) {
        self.count("stops that waited for the disk");
    }

    fn count(&mut self, name: &'static str) {
        *self.done.entry(name).or_default() += 1;
    }

    /// Does it; how long until it is to be taken back, where it lasts.
    pub fn strike(&mut self, world: &mut World, mishap: Mishap) -> Option<Duration> {
        let disk = world.simulation.disk(world.machine());
        let chance = &mut self.chance;
        match mishap {
            Mishap::Kill | Mishap::Power | Mishap::CrashPoint | Mishap::OtherShards => None,
            Mishap::ErrorOnce => {
                disk.fail(draw_error(chance));
                None
            }
            Mishap::ErrorForAWhile => {
                disk.fail(draw_error(chance).times(u64::MAX));
                Some(chance.micros(2_000, 60_000))
            }
            Mishap::ErrorForever => {
                disk.fail(draw_error(chance).times(u64::MAX));
                None
            }
            Mishap::DiskFull => {
                let used: u64 = disk
                    .files()
                    .iter()
                    .map(|(_, bytes)| bytes.div_ceil(4096))
                    .sum();
                disk.set_capacity(used * 4096 + chance.below(2 << 20));
                self.count("disk full");
                Some(self.chance.micros(5_000, 100_000))
            }
            Mishap::Misread => {
                let count = chance.between(1, 4);
                disk.fail(Fault::next(FaultKind::Read, FaultEffect::Garble).times(count));
                None
            }
            Mishap::SlowDisk => {
                let kinds = [FaultKind::Read, FaultKind::Write, FaultKind::Flush];
                let by = chance.micros(1_000, 40_000);
                disk.slow_down(chance.pick(&kinds), by);
                Some(chance.micros(5_000, 80_000))
            }
            Mishap::LyingDisk => {
                let kinds = [FaultKind::Write, FaultKind::Flush, FaultKind::Directory];
                let fault = Fault::next(chance.pick(&kinds), FaultEffect::Lie);
                disk.fail(fault.times(chance.between(1, 5)));
                None
            }
            Mishap::Misdirected => {
                disk.fail(Fault::next(FaultKind::Write, FaultEffect::Misdirect));
                None
            }
            Mishap::Rot => {
                let files = disk.files();
                let files: Vec<_> = files.iter().filter(|(_, bytes)| *bytes > 0).collect();
                if !files.is_empty() {
                    let (path, bytes) = files[chance.size(0, files.len() - 1)];
                    let bit = u8::try_from(chance.below(8)).unwrap_or(0);
                    disk.flip_bit(path, chance.below(*bytes), bit).unwrap();
                    self.rots += 1;
                }
                None
            }
            Mishap::LinkCut
            | Mishap::LinkSlow
            | Mishap::LinkLossy
            | Mishap::LinkBroken
            | Mishap::HalfOpen => self.strike_link(world, mishap),
            Mishap::Pause => {
                let pause = chance.micros(1_000, 300_000);
                world.simulation.pause(world.machine(), pause);
                self.count("pauses");
                None
            }
            Mishap::ClockJump => {
                let hours = i64::try_from(chance.below(200)).unwrap_or(0) - 100;
                let ms = chance.pick(&[hours, hours * 1_000, hours * 60_000, hours * 3_600_000]);
                world.simulation.jump_wall_clock(world.machine(), ms);
                self.count("clock jumps");
                None
            }
        }
    }

    fn strike_link(&mut self, world: &mut World, mishap: Mishap) -> Option<Duration> {
        if self.clients.is_empty() {
            return None;
        }
        let chance = &mut self.chance;
        let client = chance.pick(&self.clients);
        let (node, network) = (world.machine(), world.simulation.network());
        let (from, to) = if chance.one_in(2) {
            (client, node)
        } else {
            (node, client)
        };
        match mishap {
            Mishap::LinkCut => {
                if chance.one_in(2) {
                    network.part(from, to);
                } else {
                    network.cut(from, to);
                }
                self.count("links cut");
                Some(self.chance.micros(1_000, 400_000))
            }
            Mishap::LinkSlow => {
                let most = chance.micros(500, 30_000);
                network.slow(from, to, Duration::ZERO, most);
                self.count("links slow");
                Some(self.chance.micros(10_000, 200_000))
            }
            Mishap::LinkLossy => {
                network.lose(from, to, chance.between(2, 20));
                self.count("links lossy");
                Some(self.chance.micros(10_000, 200_000))
            }
            Mishap::LinkBroken => {
                network.break_connections(from, to);
                self.count("links broken");
                None
            }
            _ => {
                network.half_open(from, to);
                self.count("links half open");
                None
            }
        }
    }

    /// Takes everything back that can be.
    pub fn heal(world: &World) {
        let disk = world.simulation.disk(world.machine());
        disk.heal();
        disk.set_capacity(CAPACITY_BYTES);
        world.simulation.network().heal();
    }

    /// What the machine did that no software can make good.
    pub fn deceit(&self, world: &World) -> Deceit {
        let counts = world.simulation.disk(world.machine()).counts();
        Deceit {
            lied: counts.lies > 0,
            rotted: counts.writes_misdirected > 0 || self.rots > 0,
        }
    }

    /// What really happened.
    pub fn strikes(&self, world: &World) -> Strikes {
        let it = world.simulation.disk(world.machine()).counts();
        let mut all = self.done.clone();
        for (name, count) in [
            ("reads failed", it.reads_failed),
            ("writes failed", it.writes_failed),
            ("flushes failed", it.flushes_failed),
            ("other operations failed", it.others_failed),
            ("lies", it.lies),
            ("writes misdirected", it.writes_misdirected),
            ("reads garbled", it.reads_garbled),
            ("operations slowed", it.operations_slowed),
            ("bits rotten", self.rots),
            ("crashes", it.crashes),
            ("crash points", it.crash_points),
            ("operations interrupted", it.operations_interrupted),
            ("writes lost", it.writes_lost),
            ("writes torn", it.writes_torn),
            ("changes of names and sizes lost", it.changes_lost),
            ("blocks garbled", it.blocks_garbled),
        ] {
            if count > 0 {
                all.insert(name, count);
            }
        }
        all
    }
}

fn draw_error(chance: &mut Chance) -> Fault {
    let kinds = [
        FaultKind::Write,
        FaultKind::Write,
        FaultKind::Flush,
        FaultKind::Flush,
        FaultKind::Read,
        FaultKind::Space,
        FaultKind::Directory,
    ];
    let kind = chance.pick(&kinds);
    let errno = match kind {
        FaultKind::Write | FaultKind::Space | FaultKind::Directory => chance.pick(&[EIO, ENOSPC]),
        FaultKind::Read | FaultKind::Flush => EIO,
    };
    let paths = ["", "", "lane", "manifest", "seg", "CURRENT"];
    Fault::once(kind, errno)
        .on(chance.pick(&paths))
        .after(chance.below(6))
}
