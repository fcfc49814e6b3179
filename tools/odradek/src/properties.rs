//! The client properties that `-X` and `--command-config` take: Kafka's names, those that mean
//! something here.
//!
//! Keeps: `-X` is stronger than the file. An unknown name after `-X` is an error; in a file, which
//! other tools read too, it is passed over.

use crate::cli::Global;
use crate::failure::{Failure, Kind};
use crate::quantity::parse_duration;
use engine_codec::Compression;
use net_client::{Acks, ConsumerOptions, Isolation, OffsetReset, ProducerOptions};
use std::time::Duration;

/// What was set; `None` where nothing was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientProperties {
    /// `bootstrap.servers`
    pub bootstrap_servers: Option<String>,
    /// `client.id`
    pub client_id: Option<String>,
    /// `acks`
    pub acks: Option<Acks>,
    /// `enable.idempotence`
    pub enable_idempotence: Option<bool>,
    /// `compression.type`
    pub compression: Option<Compression>,
    /// `batch.size`
    pub batch_size: Option<usize>,
    /// `request.timeout.ms`
    pub request_timeout: Option<Duration>,
    /// `delivery.timeout.ms`
    pub delivery_timeout: Option<Duration>,
    /// `fetch.max.bytes`
    pub fetch_max_bytes: Option<i32>,
    /// `max.partition.fetch.bytes`
    pub max_partition_fetch_bytes: Option<i32>,
    /// `fetch.max.wait.ms`
    pub fetch_max_wait: Option<Duration>,
    /// `isolation.level`
    pub isolation: Option<Isolation>,
    /// `auto.offset.reset`
    pub offset_reset: Option<OffsetReset>,
}

const NAMES: &[&str] = &[
    "bootstrap.servers",
    "client.id",
    "acks",
    "enable.idempotence",
    "compression.type",
    "batch.size",
    "request.timeout.ms",
    "delivery.timeout.ms",
    "fetch.max.bytes",
    "max.partition.fetch.bytes",
    "fetch.max.wait.ms",
    "isolation.level",
    "auto.offset.reset",
    "security.protocol",
];

impl ClientProperties {
    /// What the file of `--command-config` says, and over it what `-X` says.
    ///
    /// Errors: `Usage` for a file that cannot be read, an unknown key of `-X`, or a value that its
    /// key cannot have.
    pub fn of(global: &Global) -> Result<Self, Failure> {
        let mut properties = Self::default();
        if let Some(path) = &global.command_config {
            let place = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                let what = format!("cannot read --command-config {place}: {error}");
                Failure::new(Kind::Usage, what)
            })?;
            let entries = engine_config::read_properties(&place, &text)
                .map_err(|error| Failure::new(Kind::Usage, error))?;
            for (key, value) in entries {
                if NAMES.contains(&key.as_str()) {
                    properties.set(&place, &key, value.trim())?;
                } else if global.verbose > 0 {
                    eprintln!("{place}: {key} has no effect here");
                }
            }
        }
        properties.assign(&global.properties)?;
        Ok(properties)
    }

    /// Reads the values of `-X`; of two for one key the later wins.
    ///
    /// Errors: `Usage` for an unknown key or a value that its key cannot have.
    #[cfg(test)]
    fn parse(assignments: &[String]) -> Result<Self, Failure> {
        let mut properties = Self::default();
        properties.assign(assignments)?;
        Ok(properties)
    }

    /// How to produce, where a request may take `timeout`.
    pub fn producer(&self, timeout: Duration) -> ProducerOptions {
        let defaults = ProducerOptions::default();
        ProducerOptions {
            acks: self.acks.unwrap_or(defaults.acks),
            is_idempotent: self.enable_idempotence.unwrap_or(true),
            compression: self.compression.unwrap_or(defaults.compression),
            batch_bytes_max: self.batch_size.unwrap_or(defaults.batch_bytes_max),
            request_timeout: timeout,
            delivery_timeout: self.delivery_timeout.unwrap_or(timeout),
            ..defaults
        }
    }

    /// How to consume, where a request may take `timeout`.
    pub fn consumer(&self, timeout: Duration) -> ConsumerOptions {
        let defaults = ConsumerOptions::default();
        ConsumerOptions {
            isolation: self.isolation.unwrap_or(defaults.isolation),
            offset_reset: self.offset_reset.unwrap_or(defaults.offset_reset),
            wait_max: self.fetch_max_wait.unwrap_or(defaults.wait_max),
            bytes_max: self.fetch_max_bytes.unwrap_or(defaults.bytes_max),
            partition_bytes_max: self
                .max_partition_fetch_bytes
                .unwrap_or(defaults.partition_bytes_max),
            request_timeout: timeout,
            retry_timeout: timeout,
            ..defaults
        }
    }

    fn assign(&mut self, assignments: &[String]) -> Result<(), Failure> {
        for assignment in assignments {
            let Some((key, value)) = assignment.split_once('=') else {
                let what = format!("-X: {assignment:?} is no assignment");
                return Err(Failure::new(Kind::Usage, what).hint("write -X KEY=VALUE"));
            };
            self.set("-X", key.trim(), value.trim())?;
        }
        Ok(())
    }

    /// Sets one property; `place` is where it was given.
    ///
    /// Errors: `Usage` for an unknown key or a value that it cannot have.
    pub fn set(&mut self, place: &str, key: &str, value: &str) -> Result<(), Failure> {
        let invalid = |wanted: &str| {
            let what = format!("{place}: invalid value {value:?} for {key}");
            Failure::new(Kind::Usage, what).hint(format!("it takes {wanted}"))
        };
        let bytes = || {
            let number = value.parse::<i32>().ok().filter(|n| *n > 0);
            number.ok_or_else(|| invalid("a number of bytes from 1 to 2147483647"))
        };
        let duration = || parse_duration(value).map_err(|_| invalid("milliseconds, or 10s, 2m"));
        match key {
            "bootstrap.servers" => self.bootstrap_servers = Some(value.to_owned()),
            "client.id" => self.client_id = Some(value.to_owned()),
            "acks" => {
                self.acks = Some(match value {
                    "0" => Acks::None,
                    "1" => Acks::Leader,
                    "all" | "-1" => Acks::All,
                    _ => return Err(invalid("0, 1 or all")),
                });
            }
            "enable.idempotence" => {
                let value = value.parse().map_err(|_| invalid("true or false"))?;
                self.enable_idempotence = Some(value);
            }
            "compression.type" => {
                let codec = Compression::from_name(value);
                let codec = codec.ok_or_else(|| invalid("none, gzip, snappy, lz4 or zstd"))?;
                self.compression = Some(codec);
            }
            "batch.size" => self.batch_size = usize::try_from(bytes()?).ok(),
            "request.timeout.ms" => self.request_timeout = Some(duration()?),
            "delivery.timeout.ms" => self.delivery_timeout = Some(duration()?),
            "fetch.max.bytes" => self.fetch_max_bytes = Some(bytes()?),
            "max.partition.fetch.bytes" => self.max_partition_fetch_bytes = Some(bytes()?),
            "fetch.max.wait.ms" => self.fetch_max_wait = Some(duration()?),
            "isolation.level" => {
                self.isolation = Some(match value {
                    "read_committed" => Isolation::ReadCommitted,
                    "read_uncommitted" => Isolation::ReadUncommitted,
                    _ => return Err(invalid("read_committed or read_uncommitted")),
                });
            }
            "auto.offset.reset" => {
                self.offset_reset = Some(match value {
                    "earliest" | "smallest" | "beginning" => OffsetReset::Earliest,
                    "latest" | "largest" | "end" => OffsetReset::Latest,
                    "none" | "error" => OffsetReset::Fail,
                    _ => return Err(invalid("earliest, latest or none")),
                });
            }
            "security.protocol" if value.eq_ignore_ascii_case("PLAINTEXT") => {}
            "security.protocol" => return Err(invalid("PLAINTEXT: no other is spoken yet")),
            _ => {
                let what = format!("{place}: there is no client property {key:?}");
                return Err(Failure::new(Kind::Usage, what).hint(suggestion(key)));
            }
        }
        Ok(())
    }
}

fn suggestion(key: &str) -> String {
    match engine_config::nearest(key, NAMES.iter().copied()) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("there are: {}", NAMES.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(assignments: &[&str]) -> Result<ClientProperties, Failure> {
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        ClientProperties::parse(&assignments)
    }

    #[test]
    fn kafkas_names_are_read_and_the_later_wins() {
        let properties = parse(&["acks=0", "acks = all", "fetch.max.wait.ms=10s"]).unwrap();
        assert_eq!(properties.acks, Some(Acks::All));
        assert_eq!(properties.fetch_max_wait, Some(Duration::from_secs(10)));
        assert_eq!(properties.client_id, None);
    }

    #[test]
    fn every_name_there_is_is_taken() {
        for name in NAMES {
            let taken = ["1", "true", "none", "read_committed", "PLAINTEXT"]
                .iter()
                .any(|value| parse(&[&format!("{name}={value}")]).is_ok());
            assert!(taken, "{name}");
        }
    }

    #[test]
    fn wrong_names_and_values_are_usage_errors() {
        for wrong in [
            "x",
            "acks",
            "acks=2",
            "akks=1",
            "batch.size=0",
            "batch.size=-1",
            "=1",
            "a=b",
        ] {
            assert_eq!(
                parse(&[wrong]).map_err(|f| f.exit_code()),
                Err(2),
                "{wrong}"
            );
        }
    }
}
