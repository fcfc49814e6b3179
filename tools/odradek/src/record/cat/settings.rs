//! librdkafka's properties, in Kafka's names.
//!
//! Keeps: a property that is not known is refused, as kcat does; one that is known and has nothing
//! to decide here is taken without a word.

use super::letters::Letters;
use crate::cli::Global;
use crate::failure::{Failure, Kind};
use crate::properties::ClientProperties;
use net_client::KeyHash;
use std::path::Path;

/// What decides how records are produced and consumed.
#[derive(Clone, Debug)]
pub struct Settings {
    pub client: ClientProperties,
    pub key_hash: KeyHash,
}

/// librdkafka's name, and Kafka's, which `ClientProperties` knows.
const KNOWN: &[(&str, &str)] = &[
    ("bootstrap.servers", "bootstrap.servers"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("client.id", "client.id"),
    ("acks", "acks"),
    ("request.required.acks", "acks"),
    ("enable.idempotence", "enable.idempotence"),
    ("compression.codec", "compression.type"),
    ("compression.type", "compression.type"),
    ("batch.size", "batch.size"),
    ("request.timeout.ms", "request.timeout.ms"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("delivery.timeout.ms", "delivery.timeout.ms"),
    ("fetch.max.bytes", "fetch.max.bytes"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    ("max.partition.fetch.bytes", "max.partition.fetch.bytes"),
    ("fetch.wait.max.ms", "fetch.max.wait.ms"),
    ("isolation.level", "isolation.level"),
    ("auto.offset.reset", "auto.offset.reset"),
    ("security.protocol", "security.protocol"),
];

/// Known to librdkafka; nothing here listens to them.
const IDLE: &[&str] = &[
    "allow.auto.create.topics",
    "api.version.fallback.ms",
    "api.version.request",
    "api.version.request.timeout.ms",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "batch.num.messages",
    "broker.address.family",
    "broker.address.ttl",
    "broker.version.fallback",
    "check.crcs",
    "client.rack",
    "compression.level",
    "connections.max.idle.ms",
    "enable.auto.commit",
    "enable.partition.eof",
    "fetch.error.backoff.ms",
    "fetch.min.bytes",
    "group.id",
    "linger.ms",
    "log.connection.close",
    "log_level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.send.max.retries",
    "metadata.max.age.ms",
    "produce.offset.report",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retries",
    "retry.backoff.ms",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "statistics.interval.ms",
    "sticky.partitioning.linger.ms",
    "topic.metadata.refresh.interval.ms",
];

/// The names `-X list` shows.
pub fn names() -> impl Iterator<Item = &'static str> {
    let known = KNOWN.iter().map(|(name, _)| *name);
    known.chain(["partitioner"])
}

impl Settings {
    /// What the files of -F and -X say, the later the stronger, over what global flags say.
    pub fn new(global: &Global, letters: &Letters) -> Result<Self, Failure> {
        let mut settings = Self {
            client: ClientProperties::of(global)?,
            key_hash: KeyHash::Crc32,
        };
        for path in &letters.files {
            settings.file(path)?;
        }
        if let Some(codec) = &letters.compression {
            settings.set("-z", "compression.codec", codec)?;
        }
        for assignment in &letters.properties {
            let Some((name, value)) = assignment.split_once('=') else {
                let what = format!("-X: {assignment:?} is no assignment");
                return Err(Failure::new(Kind::Usage, what).hint("write -X NAME=VALUE"));
            };
            settings.set("-X", name, value)?;
        }
        Ok(settings)
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(Kind::Usage, format!("-F: cannot read {place}: {error}"))
        })?;
        let entries = engine_config::read_properties(&place, &text)
            .map_err(|error| Failure::new(Kind::Usage, error))?;
        for (name, value) in entries {
            self.set(&place, &name, &value)?;
        }
        Ok(())
    }

    fn set(&mut self, place: &str, name: &str, value: &str) -> Result<(), Failure> {
        let name = name.trim();
        let bare = name.strip_prefix("topic.").unwrap_or(name);
        let known = |wanted: &str| KNOWN.iter().find(|(name, _)| *name == wanted);
        if let Some((_, ours)) = known(name).or_else(|| known(bare)) {
            return self.client.set(place, ours, value.trim());
        }
        if bare == "partitioner" {
            self.key_hash = match value.trim() {
                "consistent" | "consistent_random" => KeyHash::Crc32,
                "murmur2" | "murmur2_random" => KeyHash::Murmur2,
                "random" => KeyHash::Ignored,
                other => {
                    let what = format!("{place}: there is no partitioner {other:?} here");
                    return Err(Failure::new(Kind::Usage, what)
                        .hint("there are consistent_random, murmur2_random and random"));
                }
            };
            return Ok(());
        }
        if IDLE.contains(&name) || IDLE.contains(&bare) {
            return Ok(());
        }
        if name == "transactional.id" {
            let what = format!("{place}: this release has no transactions yet");
            return Err(Failure::new(Kind::Usage, what));
        }
        let what = format!("{place}: no such configuration property: {name:?}");
        let failure = Failure::new(Kind::Usage, what);
        match engine_config::nearest(bare, names()) {
            Some(near) => Err(failure.hint(format!("did you mean {near:?}?"))),
            None => Err(failure.hint("-X list shows those that mean something here")),
        }
    }
}
