//! Many mutated frames over many connections, in blocks, with checks after each.
//!
//! Keeps: what lane `l` of block `b` sends is a function of the seed, `b` and `l`; a failure names
//! them.

use engine_model::{ErrorCode, TopicId};
use net_protocol::api_versions::ApiVersionsRequest;
use net_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use net_protocol::metadata::MetadataRequest;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::honest::Honest;
use crate::mutation::mutate;
use crate::random::Random;
use crate::seeds::{Seed, seeds};
use crate::wire::{Outcome, Wire, create_topic, with_topic_id};

/// The topic that frames are about.
const TARGET: &str = "target";
/// Connections that send at the same time.
const LANES: u64 = 12;
/// How long a frame is given to be answered or closed, before the client leaves.
const PATIENCE: Duration = Duration::from_millis(25);
/// The broker must answer an honest question within this, whatever else it gets.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const SENTINEL: i32 = 0x5e47_1e11;

/// What to try.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Frames in all.
    pub frames: u64,
    /// What decides them.
    pub seed: u64,
    /// Frames between checks.
    pub block: u64,
    /// The first block, to repeat one that failed.
    pub first_block: u64,
    /// `queued.max.request.bytes` of the broker.
    pub budget: u64,
    /// What the broker may have in RAM.
    pub resident_max: u64,
    /// Where to put a frame that made the broker complain.
    pub save: Option<PathBuf>,
    /// Whether to say how it goes.
    pub is_verbose: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Frames sent.
    pub frames: u64,
    /// Frames answered.
    pub answered: u64,
    /// Connections the broker closed.
    pub closed: u64,
    /// Frames whose client left before anything came.
    pub left: u64,
    /// How long it took.
    pub took: Duration,
    /// The most the broker had in RAM.
    pub resident_bytes_max: u64,
    /// The longest an honest ApiVersions took.
    pub answer_max: Duration,
    /// Numbers the honest producer had acknowledged, all of which were read.
    pub honest: u64,
    /// The longest it waited for one.
    pub honest_max: Duration,
}

impl Campaign {
    /// Runs it; panics at the first thing that is wrong.
    pub fn run(&self) -> Report {
        let mut broker = Broker::start(2, self.budget);
        let address = broker.address();
        let mut honest = Honest::start(address);
        let seeds = seeds(TARGET);
        let begun = Instant::now();
        let mut report = Report::default();
        let mut block = self.first_block;
        while report.frames < self.frames {
            let topic = target(address);
            let count = self.block.min(self.frames - report.frames);
            let quota = count.div_ceil(LANES);
            std::thread::scope(|scope| {
                let lanes: Vec<_> = (0..LANES)
                    .map(|lane| {
                        let random = self.lane(block, lane);
                        let seeds = &seeds;
                        scope.spawn(move || send(address, seeds, topic, random, quota))
                    })
                    .collect();
                for lane in lanes {
                    let lane = lane.join().expect("a lane");
                    report.frames += lane.frames;
                    report.answered += lane.answered;
                    report.closed += lane.closed;
                    report.left += lane.left;
                }
            });
            let place = format!("seed {} block {block}", self.seed);
            assert!(broker.is_running(), "{place}: the broker ended");
            let complaints = broker.complaints();
            if !complaints.is_empty() {
                self.find_culprit(&mut broker, &seeds, topic, block);
                panic!("{place}: {complaints:#?}");
            }
            report.answer_max = report.answer_max.max(answers(address));
            assert!(
                report.answer_max < ANSWER_MAX,
                "{place}: {:?}",
                report.answer_max
            );
            report.resident_bytes_max = broker.resident_bytes_max();
            assert!(
                report.resident_bytes_max <= self.resident_max,
                "{place}: {} MiB",
                report.resident_bytes_max >> 20
            );
            report.honest = honest.check();
            if self.is_verbose {
                let rate = report.frames * 1000
                    / u64::try_from(begun.elapsed().as_millis()).unwrap().max(1);
                eprintln!(
                    "block {block}: {} frames, {rate}/s, {} MiB (at most {}), {} sockets, honest {}",
                    report.frames,
                    broker.resident_bytes() >> 20,
                    report.resident_bytes_max >> 20,
                    broker.sockets(),
                    report.honest,
                );
            }
            tidy(address);
            block += 1;
        }
        report.took = begun.elapsed();
        (report.honest, report.honest_max) = honest.finish();
        assert!(broker.is_running(), "the broker ended");
        report
    }

    fn lane(&self, block: u64, lane: u64) -> Random {
        let mut random = Random::new(self.seed);
        let mixed = random.draw() ^ block.wrapping_mul(0x1_0000_0001) ^ (lane << 48);
        Random::new(mixed)
    }

    /// Sends the frames of a block one by one until the broker complains, and keeps that one.
    fn find_culprit(&self, broker: &mut Broker, seeds: &[Seed], topic: TopicId, block: u64) {
        let Some(folder) = &self.save else {
            return;
        };
        let before = broker.complaints().len();
        let quota = self.block.div_ceil(LANES);
        for lane in 0..LANES {
            let mut random = self.lane(block, lane);
            let mut sent = 0;
            while sent < quota {
                let step = Step::draw(seeds, &mut random);
                sent += u64::try_from(step.frames.len()).unwrap();
                for frame in step.frames {
                    let _ = replay(broker.address(), topic, &frame);
                    if broker.complaints().len() > before {
                        let name = format!("seed-{}-block-{block}.bin", self.seed);
                        std::fs::write(folder.join(name), &frame).unwrap();
                        return;
                    }
                }
            }
        }
    }
}

/// Sends one frame on a connection of its own and waits for what comes of it.
pub fn replay(address: SocketAddr, topic: TopicId, frame: &[u8]) -> Outcome {
    let mut wire = Wire::connect(address).expect("connecting");
    wire.send(&with_topic_id(frame.to_vec(), topic));
    wire.receive(Duration::from_millis(200))
}

/// What is sent in one go.
struct Step {
    frames: Vec<Vec<u8>>,
    leaves: bool,
}

impl Step {
    fn draw(seeds: &[Seed], random: &mut Random) -> Self {
        let several = random.below(8) == 0;
        let count = if several { 2 + random.below(7) } else { 1 };
        Self {
            frames: (0..count).map(|_| mutate(seeds, random)).collect(),
            leaves: random.below(20) == 0,
        }
    }
}

/// One lane: sends, waits a little, and comes again where it was closed.
fn send(
    address: SocketAddr,
    seeds: &[Seed],
    topic: TopicId,
    mut random: Random,
    quota: u64,
) -> Report {
    let mut report = Report::default();
    let mut sentinel = vec![0, 0, 0, 10, 0, 18, 0, 0];
    sentinel.extend_from_slice(&SENTINEL.to_be_bytes());
    sentinel.extend_from_slice(&[0xff, 0xff]);
    let mut open: Option<Wire> = None;
    while report.frames < quota {
        let step = Step::draw(seeds, &mut random);
        report.frames += u64::try_from(step.frames.len()).unwrap();
        let mut bytes = with_topic_id(step.frames.concat(), topic);
        bytes.extend_from_slice(&sentinel);
        let mut wire = match open.take() {
            Some(wire) => wire,
            None => Wire::connect(address).expect("the broker accepts"),
        };
        if !wire.send(&bytes) {
            report.closed += 1;
            continue;
        }
        if step.leaves {
            report.left += 1;
            continue;
        }
        loop {
            match wire.receive(PATIENCE) {
                Outcome::Answer(body) if body.starts_with(&SENTINEL.to_be_bytes()) => {
                    open = Some(wire);
                    break;
                }
                Outcome::Answer(_) => report.answered += 1,
                Outcome::Closed => {
                    report.closed += 1;
                    break;
                }
                Outcome::Nothing => {
                    report.left += 1;
                    break;
                }
            }
        }
    }
    report
}

/// How long an honest question takes.
fn answers(address: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut wire = Wire::connect(address).expect("the broker accepts");
    let request = ApiVersionsRequest {
        client_software_name: "tests-hostile".into(),
        client_software_version: "1".into(),
    };
    let answer = wire.call(3, &request).expect("the broker answers");
    assert_eq!(answer.error_code, ErrorCode::NONE);
    begun.elapsed()
}

fn topics(address: SocketAddr) -> Vec<(String, TopicId)> {
    let mut wire = Wire::connect(address).expect("the broker accepts");
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let answer = wire.call(12, &request).expect("the broker answers");
    let name = |name: Option<net_protocol::Text>| {
        name.map_or_else(String::new, |name| name.as_str().to_owned())
    };
    answer
        .topics
        .into_iter()
        .map(|topic| (name(topic.name), topic.topic_id))
        .collect()
}

/// The target; a mutated DeleteTopics may have hit it.
fn target(address: SocketAddr) -> TopicId {
    match topics(address).into_iter().find(|(name, _)| name == TARGET) {
        Some((_, id)) => id,
        None => create_topic(address, TARGET, &[("compression.type", "zstd")]),
    }
}

/// Deletes what mutated requests created, so that the broker's memory stays a measure of requests.
fn tidy(address: SocketAddr) {
    let strange: Vec<DeleteTopicState> = topics(address)
        .into_iter()
        .filter(|(name, _)| name != TARGET && name != "honest-beside")
        .map(|(_, topic_id)| DeleteTopicState {
            name: None,
            topic_id,
        })
        .collect();
    if !strange.is_empty() {
        let request = DeleteTopicsRequest {
            topics: strange,
            // Without a time to wait nothing is begun.
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        let mut wire = Wire::connect(address).expect("the broker accepts");
        let answer = wire.call(6, &request).expect("topics are deleted");
        for deleted in &answer.responses {
            // A mutated request that is still under way may have been first.
            let is_gone =
                [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_ID].contains(&deleted.error_code);
            assert!(is_gone, "{deleted:?}");
        }
    }
}
