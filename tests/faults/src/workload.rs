//! What clients do while something fails: producers of several partitions, and one that makes and
//! deletes topics.
//!
//! Keeps: what was acknowledged is known to the last record; [`Workload::check`] reads everything.

use crate::wire::Wire;
use crate::writer::{Durability, End, Violation, Writer, Wrong};
use engine_model::{ErrorCode, TopicId};
use net_protocol::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use net_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use net_protocol::metadata::MetadataRequest;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a broker may take to answer; connections wait longer.
pub const REQUEST_MS: i32 = 10_000;
const CREATE_VERSION: i16 = 7;
const DELETE_VERSION: i16 = 6;
const METADATA_VERSION: i16 = 12;
/// The prefix of the names of topics that come and go.
const PASSING: &str = "passing-";

/// Creates a topic.
pub fn create_topic(
    wire: &mut Wire,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> std::io::Result<Result<TopicId, ErrorCode>> {
    let configs = settings.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
    });
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..CreatableTopic::default()
        }],
        timeout_ms: REQUEST_MS,
        ..CreateTopicsRequest::default()
    };
    let answer = wire.call(CREATE_VERSION, &request)?;
    let topic = &answer.topics[0];
    Ok(match topic.error_code {
        ErrorCode::NONE => Ok(topic.topic_id),
        code => Err(code),
    })
}

/// Deletes a topic by its name.
pub fn delete_topic(wire: &mut Wire, name: &str) -> std::io::Result<ErrorCode> {
    let request = DeleteTopicsRequest {
        topics: vec![DeleteTopicState {
            name: Some(name.into()),
            ..DeleteTopicState::default()
        }],
        timeout_ms: REQUEST_MS,
        ..DeleteTopicsRequest::default()
    };
    let answer = wire.call(DELETE_VERSION, &request)?;
    Ok(answer.responses[0].error_code)
}

/// What is known of a topic that comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// Acknowledged: it must be there.
    Is,
    /// Acknowledged: it must be gone.
    IsNot,
    /// Asked for, never answered.
    MayBe,
}

/// What clients and the test tell each other while clients run.
#[derive(Debug, Default)]
pub struct Signs {
    /// Tells clients to stop.
    pub stop: AtomicBool,
    /// Counts acknowledged batches.
    pub acknowledged: AtomicU64,
    /// Counts clients that are still at work.
    pub at_work: AtomicU64,
}

impl Signs {
    /// Waits for so many acknowledgements, until nobody works any more, or for too long.
    pub fn wait(&self, acknowledged: u64, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.acknowledged.load(Ordering::Relaxed) < acknowledged {
            if Instant::now() > deadline || self.at_work.load(Ordering::Relaxed) == 0 {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

/// The clients.
#[derive(Debug)]
pub struct Workload {
    writers: Vec<Writer>,
    passing: BTreeMap<String, Passing>,
    next_passing: u64,
}

impl Workload {
    /// Makes the topics: `synced` of three partitions, `written` of two of that class; so many of
    /// 100 values are large.
    pub fn new(address: SocketAddr, seed: u64, large_percent: u64) -> Self {
        let mut wire = Wire::connect(address).expect("connecting");
        let mut writers = Vec::new();
        let topics = [
            ("synced", 3, Durability::Fsync, "fsync"),
            ("written", 2, Durability::Written, "written"),
        ];
        for (name, partitions, durability, setting) in topics {
            let topic = create_topic(&mut wire, name, partitions, &[("durability", setting)]);
            let topic = topic.expect("an answer").expect("a topic");
            for partition in 0..partitions {
                let place = (name, topic, partition);
                let writer = Writer::new(address, seed, place, durability);
                writers.push(writer.with_large(large_percent));
            }
        }
        Self {
            writers,
            passing: BTreeMap::new(),
            next_passing: 0,
        }
    }

    /// Records acknowledged and to be kept.
    pub fn acknowledged(&self) -> u64 {
        self.writers.iter().map(Writer::acknowledged).sum()
    }

    /// Runs every client against the broker while `during` does its worst; how each producer
    /// ended, and last the maker of topics, who is never refused. Returns when all clients have ended, for which `during` has to see.
    pub fn run(
        &mut self,
        address: SocketAddr,
        during: impl FnOnce(&Signs),
    ) -> Result<Vec<End>, Violation> {
        let signs = Signs::default();
        let Self {
            writers,
            passing,
            next_passing,
        } = self;
        let count = u64::try_from(writers.len()).unwrap();
        signs.at_work.store(count, Ordering::Relaxed);
        thread::scope(|scope| {
            let signs = &signs;
            let runs: Vec<_> = writers
                .iter_mut()
                .map(|writer| {
                    scope.spawn(move || {
                        let end = writer.run(address, &signs.stop, &signs.acknowledged);
                        signs.at_work.fetch_sub(1, Ordering::Relaxed);
                        end
                    })
                })
                .collect();
            let topics = scope.spawn(move || pass(address, &signs.stop, passing, next_passing));
            during(signs);
            signs.stop.store(true, Ordering::Relaxed);
            let ends: Vec<_> = runs
                .into_iter()
                .map(|run| run.join().expect("a producer"))
                .collect();
            let topics = topics.join().expect("the maker of topics");
            ends.into_iter().chain([Ok(topics)]).collect()
        })
    }

    /// Reads everything while something fails: nothing that is read may be wrong. Whether all could
    /// be read.
    pub fn look(&self, address: SocketAddr) -> Result<bool, Violation> {
        let mut is_whole = true;
        for writer in &self.writers {
            match writer.read(address) {
                Ok(_) => {}
                Err(violation) if violation.kind == Wrong::Refused => is_whole = false,
                Err(violation) => return Err(violation),
            }
        }
        Ok(is_whole)
    }

    /// Reads everything and compares; how many records of class [`Durability::Written`] a power cut
    /// (`is_cut`) took.
    pub fn check(&mut self, address: SocketAddr, is_cut: bool) -> Result<u64, Violation> {
        let mut lost = 0;
        for writer in &mut self.writers {
            lost += writer.check(address, is_cut)?;
        }
        self.check_topics(address)?;
        Ok(lost)
    }

    fn check_topics(&mut self, address: SocketAddr) -> Result<(), Violation> {
        let refused = |error: std::io::Error| Violation {
            kind: Wrong::Refused,
            text: format!("topics: {error}"),
        };
        let mut wire = Wire::connect(address).map_err(refused)?;
        let request = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        let answer = wire.call(METADATA_VERSION, &request).map_err(refused)?;
        let there: Vec<String> = answer
            .topics
            .iter()
            .filter_map(|topic| topic.name.as_ref())
            .map(|name| name.as_str().to_owned())
            .filter(|name| name.starts_with(PASSING))
            .collect();
        for (name, known) in &mut self.passing {
            let is_there = there.contains(name);
            let (kind, text) = match known {
                Passing::Is if !is_there => (Wrong::Lost, "was created and is gone"),
                Passing::IsNot if is_there => (Wrong::Changed, "was deleted and is there"),
                _ => {
                    *known = if is_there {
                        Passing::Is
                    } else {
                        Passing::IsNot
                    };
                    continue;
                }
            };
            let text = format!("topic {name} {text}");
            return Err(Violation { kind, text });
        }
        let unknown = there.iter().find(|name| !self.passing.contains_key(*name));
        match unknown {
            None => Ok(()),
            Some(name) => Err(Violation {
                kind: Wrong::Changed,
                text: format!("topic {name} was never asked for"),
            }),
        }
    }
}

/// Makes topics and deletes those of before, until told to stop or until the broker is gone.
fn pass(
    address: SocketAddr,
    stop: &AtomicBool,
    passing: &mut BTreeMap<String, Passing>,
    next: &mut u64,
) -> End {
    let Ok(mut wire) = Wire::connect(address) else {
        return End::Cut;
    };
    while !stop.load(Ordering::Relaxed) {
        let name = format!("{PASSING}{next}");
        *next += 1;
        passing.insert(name.clone(), Passing::MayBe);
        match create_topic(&mut wire, &name, 1, &[]) {
            Ok(Ok(_)) => passing.insert(name, Passing::Is),
            // Refused in a fault: whether it was made shows later.
            Ok(Err(_)) => None,
            Err(_) => return End::Cut,
        };
        let old = passing.iter().find(|(_, known)| **known == Passing::Is);
        let old = old.map(|(name, _)| name.clone());
        if let Some(old) = old.filter(|_| passing.len().is_multiple_of(2)) {
            passing.insert(old.clone(), Passing::MayBe);
            match delete_topic(&mut wire, &old) {
                Ok(ErrorCode::NONE) => passing.insert(old, Passing::IsNot),
                Ok(_) => None,
                Err(_) => return End::Cut,
            };
        }
        thread::sleep(Duration::from_millis(50));
    }
    End::Stopped
}
