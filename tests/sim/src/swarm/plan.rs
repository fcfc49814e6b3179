//! What a seed draws: the machine, the node's sizes, topics, clients, what goes wrong and when.
//!
//! Swarm testing: every seed turns a random subset of features and faults on, and so reaches
//! states in which all of them together never are. Source: Groce et al., "Swarm Testing", 2012.

use crate::chance::Chance;
use core::fmt;
use core::time::Duration;
use engine_codec::Compression;
use engine_log::StorageOptions;
use engine_rt::sim::CrashKind;
use std::collections::BTreeSet;

/// Kinds of things that go wrong, each on or off for a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// The process is killed.
    Kill,
    /// The power goes.
    Power,
    /// The process is killed, or the power goes, at a certain change of the disk.
    CrashPoint,
    /// Another number of shards after a restart.
    OtherShards,
    /// A write, flush, read or directory operation fails once.
    ErrorOnce,
    /// Some kind of operation fails for a while.
    ErrorForAWhile,
    /// Some kind of operation fails until the node was restarted.
    ErrorForever,
    /// The disk is full for a while.
    DiskFull,
    /// Reads bring back a wrong bit; the medium is right.
    Misread,
    /// The disk is slow for a while.
    SlowDisk,
    /// The disk says that it flushed, or wrote, and did not.
    LyingDisk,
    /// A write goes to another block of its file.
    Misdirected,
    /// A bit turns over on the medium.
    Rot,
    /// Nothing passes between clients and the node for a while, one way or both.
    LinkCut,
    /// Bytes are late, differently on each connection.
    LinkSlow,
    /// Sends are lost and come again.
    LinkLossy,
    /// Connections break.
    LinkBroken,
    /// One side forgets its connections.
    HalfOpen,
    /// The node stands still for a while.
    Pause,
    /// The wall clock jumps.
    ClockJump,
}

impl Mishap {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Kill,
        Self::Power,
        Self::CrashPoint,
        Self::OtherShards,
        Self::ErrorOnce,
        Self::ErrorForAWhile,
        Self::ErrorForever,
        Self::DiskFull,
        Self::Misread,
        Self::SlowDisk,
        Self::LyingDisk,
        Self::Misdirected,
        Self::Rot,
        Self::LinkCut,
        Self::LinkSlow,
        Self::LinkLossy,
        Self::LinkBroken,
        Self::HalfOpen,
        Self::Pause,
        Self::ClockJump,
    ];

    /// Whether no software can keep all its promises over it.
    pub fn is_deceit(self) -> bool {
        matches!(self, Self::LyingDisk | Self::Misdirected | Self::Rot)
    }
}

/// A topic to be created.
#[derive(Clone, Debug)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: i32,
    /// Its settings.
    pub configs: Vec<(String, String)>,
    /// Class `written`.
    pub is_weak: bool,
    /// Records may go by themselves.
    pub has_retention: bool,
    /// Compacted.
    pub is_compacted: bool,
}

/// How a producer works.
#[derive(Clone, Debug)]
pub struct ProducerPlan {
    /// Its number, from 1 on.
    pub number: u64,
    /// Of its own draws.
    pub seed: u64,
    /// Batches carry a producer id and sequences; acks is -1.
    pub is_idempotent: bool,
    /// 0, 1 or -1.
    pub acks: i16,
    /// Requests under way at a time.
    pub pipeline: usize,
    /// A plain producer sends again what it has no answer to.
    pub resends: bool,
    /// Records a batch at most.
    pub records_max: u64,
    /// Bytes of a value at most.
    pub value_bytes_max: usize,
    /// How its batches are compressed.
    pub compression: Compression,
    /// Pause between batches at most.
    pub think_us: u64,
    /// New batches it may yet make.
    pub batches_left: u64,
}

/// How the administrator works.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each a feature that is on or off by itself"
)]
pub struct AdminPlan {
    /// Of its own draws.
    pub seed: u64,
    /// The topics there shall be.
    pub topics: Vec<TopicPlan>,
    /// Deletes topics and creates them again.
    pub deletes_topics: bool,
    /// Adds partitions.
    pub adds_partitions: bool,
    /// Up to so many.
    pub partitions_max: i32,
    /// Deletes records.
    pub deletes_records: bool,
    /// Changes settings of topics.
    pub alters_configs: bool,
    /// Pause between two changes at most.
    pub think_us: u64,
}

impl AdminPlan {
    /// Of one who only looks.
    pub fn none() -> Self {
        Self {
            seed: 0,
            topics: Vec::new(),
            deletes_topics: false,
            adds_partitions: false,
            partitions_max: 0,
            deletes_records: false,
            alters_configs: false,
            think_us: 0,
        }
    }
}

/// How a life of the node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is asked to stop.
    Stop,
    /// It goes down at once.
    Crash(CrashKind),
    /// It goes down at the n-th change of the disk from some moment on, or at the end of the life.
    CrashAt(CrashKind, u64),
}

/// One life of the node.
#[derive(Clone, Debug)]
pub struct LifePlan {
    /// Shards.
    pub shards: usize,
    /// How long it runs once it serves, at most.
    pub lasts: Duration,
    /// Mishaps in it, each at a moment after its start.
    pub mishaps: Vec<(Duration, Mishap)>,
    /// How it ends.
    pub end: End,
    /// A crash point lies within the start that follows.
    pub crash_in_next_start: Option<u64>,
    /// The disk fails, or is full, in the start that follows.
    pub fault_in_next_start: Option<Mishap>,
}

/// Everything that one seed decides.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Which mishaps are on.
    pub mishaps: BTreeSet<Mishap>,
    /// Sizes of the store.
    pub storage: StorageOptions,
    /// Producers.
    pub producers: Vec<ProducerPlan>,
    /// Seeds of consumers and the pause between their requests.
    pub consumers: Vec<(u64, u64)>,
    /// The administrator.
    pub admin: AdminPlan,
    /// Lives.
    pub lives: Vec<LifePlan>,
    /// Of the draws that are made while it runs.
    pub luck: u64,
}

impl Plan {
    /// What `seed` draws.
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x0D0A_D0DE_C0DE_5EED);
        let mishaps = draw_mishaps(&mut chance);
        let is_large = chance.one_in(5);
        let topics = draw_topics(&mut chance);
        let admin = AdminPlan {
            seed: chance.draw(),
            topics,
            deletes_topics: chance.one_in(3),
            adds_partitions: chance.one_in(4),
            partitions_max: 6,
            deletes_records: chance.one_in(3),
            alters_configs: chance.one_in(3),
            think_us: chance.pick(&[8_000, 30_000, 90_000]),
        };
        let producers = (1..=chance.between(1, 3))
            .map(|number| draw_producer(&mut chance, number, is_large))
            .collect();
        let consumers = (0..chance.below(3))
            .map(|_| (chance.draw(), chance.pick(&[2_000, 8_000, 30_000])))
            .collect();
        let lives = draw_lives(&mut chance, &mishaps);
        Self {
            seed,
            storage: draw_storage(&mut chance),
            mishaps,
            producers,
            consumers,
            admin,
            lives,
            luck: chance.draw(),
        }
    }
}

fn draw_mishaps(chance: &mut Chance) -> BTreeSet<Mishap> {
    // Runs whose disk deceives prove less: a few of them are enough.
    let may_deceive = chance.one_in(8);
    let share = chance.pick(&[10, 25, 50]);
    let mut on: BTreeSet<Mishap> = Mishap::ALL
        .iter()
        .copied()
        .filter(|it| may_deceive || !it.is_deceit())
        .filter(|_| chance.percent(share))
        .collect();
    if on.is_disjoint(&BTreeSet::from([
        Mishap::Kill,
        Mishap::Power,
        Mishap::CrashPoint,
    ])) {
        on.insert(chance.pick(&[Mishap::Kill, Mishap::Power, Mishap::CrashPoint]));
    }
    on
}

fn draw_topics(chance: &mut Chance) -> Vec<TopicPlan> {
    (0..chance.between(1, 3))
        .map(|number| {
            let mut configs = Vec::new();
            let mut set = |key: &str, value: &str| configs.push((key.to_owned(), value.to_owned()));
            let is_weak = chance.one_in(4);
            if is_weak {
                set("durability", "written");
            }
            if chance.one_in(5) {
                set("message.timestamp.type", "LogAppendTime");
            }
            if chance.one_in(5) {
                let codecs = ["gzip", "snappy", "lz4", "zstd", "uncompressed"];
                set("compression.type", chance.pick(&codecs));
            }
            if chance.one_in(2) {
                set("segment.bytes", "1048576");
            }
            if chance.one_in(2) {
                set("file.delete.delay.ms", chance.pick(&["0", "1", "20"]));
            }
            if chance.one_in(3) {
                set("segment.ms", chance.pick(&["1", "10", "60"]));
            }
            let is_compacted = chance.one_in(6);
            if is_compacted {
                set("cleanup.policy", "compact");
                set("min.cleanable.dirty.ratio", chance.pick(&["0", "0.3"]));
            }
            let has_retention = !is_compacted && chance.one_in(5);
            if has_retention && chance.one_in(2) {
                set("retention.bytes", chance.pick(&["1", "3000", "100000"]));
            } else if has_retention {
                set("retention.ms", chance.pick(&["1", "20", "100"]));
            } else {
                // The wall clock jumps: nothing may go by its age.
                set("retention.ms", "-1");
            }
            TopicPlan {
                name: format!("t{number}"),
                partitions: i32::try_from(chance.between(1, 4)).unwrap_or(1),
                configs,
                is_weak,
                has_retention,
                is_compacted,
            }
        })
        .collect()
}

fn draw_producer(chance: &mut Chance, number: u64, is_large: bool) -> ProducerPlan {
    let is_idempotent = chance.one_in(2);
    let codecs = [
        Compression::None,
        Compression::None,
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    ProducerPlan {
        number,
        seed: chance.draw(),
        is_idempotent,
        acks: if is_idempotent {
            -1
        } else {
            chance.pick(&[-1, -1, 1, 0])
        },
        pipeline: chance.size(1, 5),
        resends: chance.one_in(3),
        records_max: chance.pick(&[1, 3, 10]),
        value_bytes_max: if is_large {
            chance.pick(&[20_000, 90_000])
        } else {
            chance.pick(&[16, 100, 1_000])
        },
        compression: chance.pick(&codecs),
        think_us: chance.pick(&[200, 2_000, 10_000]),
        batches_left: chance.pick(&[40, 80, 140]),
    }
}

fn draw_lives(chance: &mut Chance, mishaps: &BTreeSet<Mishap>) -> Vec<LifePlan> {
    let faults = [Mishap::ErrorOnce, Mishap::ErrorForever, Mishap::DiskFull];
    let mut shards = chance.size(1, 3);
    let count = chance.size(1, 3);
    let quiet: Vec<Mishap> = mishaps
        .iter()
        .copied()
        .filter(|it| {
            !matches!(
                it,
                Mishap::Kill | Mishap::Power | Mishap::CrashPoint | Mishap::OtherShards
            )
        })
        .collect();
    (0..count)
        .map(|life| {
            if life > 0 && mishaps.contains(&Mishap::OtherShards) && chance.one_in(2) {
                shards = chance.size(1, 4);
            }
            let millis = chance.pick(&[20, 80, 200]);
            let lasts = chance.micros(millis * 300, millis * 1_000);
            let mut when: Vec<(Duration, Mishap)> = Vec::new();
            if !quiet.is_empty() {
                for _ in 0..chance.below(4) {
                    let at = lasts
                        .mul_f64(f64::from(u32::try_from(chance.below(100)).unwrap_or(0)) / 100.0);
                    when.push((at, chance.pick(&quiet)));
                }
            }
            when.sort();
            let kinds: Vec<CrashKind> = [
                (Mishap::Kill, CrashKind::Kill),
                (Mishap::Power, CrashKind::Power),
            ]
            .into_iter()
            .filter(|(mishap, _)| mishaps.contains(mishap))
            .map(|(_, kind)| kind)
            .collect();
            let kind = if kinds.is_empty() {
                chance.pick(&[CrashKind::Kill, CrashKind::Power])
            } else {
                chance.pick(&kinds)
            };
            let at_point = mishaps.contains(&Mishap::CrashPoint);
            let end = match chance.below(8) {
                0 => End::Stop,
                1..=4 if at_point => End::CrashAt(kind, chance.between(1, 120)),
                _ => End::Crash(kind),
            };
            LifePlan {
                shards,
                lasts,
                mishaps: when,
                end,
                fault_in_next_start: faults
                    .get(chance.size(0, 5))
                    .copied()
                    .filter(|it| mishaps.contains(it)),
                crash_in_next_start: (at_point && chance.one_in(2)).then(|| chance.between(1, 60)),
            }
        })
        .collect()
}

fn draw_storage(chance: &mut Chance) -> StorageOptions {
    let frame = chance.pick(&[16_u32 << 10, 64 << 10, 512 << 10]);
    StorageOptions {
        lane_bytes: chance.pick(&[1 << 20, 2 << 20, 4 << 20]),
        lane_bytes_at_start: 256 << 10,
        frame_bytes_target: frame,
        frame_bytes_early: frame / 2,
        tail_flush_bytes: chance.pick(&[4 << 10, 32 << 10, 256 << 10]),
        tail_cache_bytes: chance.pick(&[0, 64 << 10, 4 << 20]),
        extent_bytes_target: chance.pick(&[4 << 10, 32 << 10, 256 << 10]),
        read_cache_bytes: chance.pick(&[0, 64 << 10, 1 << 20]),
        index_cache_bytes: chance.pick(&[0, 16 << 10, 1 << 20]),
        open_files_max: chance.pick(&[2, 8, 64]),
        written_flush_bytes: chance.pick(&[16 << 10, 1 << 20]),
        written_flush_interval: chance.micros(5_000, 300_000),
        heartbeat: chance.pick(&[Duration::from_millis(5), Duration::from_millis(100)]),
        cleaner_backoff: chance.micros(1_000, 20_000),
        cleaner_dedupe_bytes: chance.pick(&[1_000, 1 << 20]),
        retention_check_interval: chance.micros(2_000, 60_000),
        disk_reserve_bytes: 1 << 20,
        ..StorageOptions::default()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  mishaps   {:?}", self.mishaps)?;
        let it = &self.storage;
        writeln!(
            f,
            "  store     lane {} KiB, frame {} KiB, tail {} KiB, extent {} KiB, caches {}/{}/{} KiB, heartbeat {:?}",
            it.lane_bytes >> 10,
            it.frame_bytes_target >> 10,
            it.tail_flush_bytes >> 10,
            it.extent_bytes_target >> 10,
            it.tail_cache_bytes >> 10,
            it.read_cache_bytes >> 10,
            it.index_cache_bytes >> 10,
            it.heartbeat
        )?;
        for topic in &self.admin.topics {
            writeln!(
                f,
                "  topic     {} x{} {:?}",
                topic.name, topic.partitions, topic.configs
            )?;
        }
        for it in &self.producers {
            writeln!(
                f,
                "  producer  {} {} acks {} x{} <= {} records of <= {} bytes, {:?}{}",
                it.number,
                if it.is_idempotent {
                    "idempotent"
                } else {
                    "plain"
                },
                it.acks,
                it.pipeline,
                it.records_max,
                it.value_bytes_max,
                it.compression,
                if it.resends && !it.is_idempotent {
                    ", sends again"
                } else {
                    ""
                },
            )?;
        }
        let it = &self.admin;
        writeln!(
            f,
            "  clients   {} consumers; admin: delete topics {}, add partitions {}, delete records {}, alter {}",
            self.consumers.len(),
            it.deletes_topics,
            it.adds_partitions,
            it.deletes_records,
            it.alters_configs
        )?;
        for (number, life) in self.lives.iter().enumerate() {
            writeln!(
                f,
                "  life {number}    {} shards, {:?}, {:?}, ends by {:?}",
                life.shards, life.lasts, life.mishaps, life.end
            )?;
        }
        Ok(())
    }
}
