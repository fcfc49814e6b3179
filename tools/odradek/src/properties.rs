//! The client properties that `-X` takes: Kafka's names, those that mean something here.

use crate::failure::{Failure, Kind};
use crate::quantity::parse_duration;
use engine_codec::Compression;
use net_client::Acks;
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
];

impl ClientProperties {
    /// Reads the values of `-X`; of two for one key the later wins.
    ///
    /// Errors: `Usage` for an unknown key or a value that its key cannot have.
    pub fn parse(assignments: &[String]) -> Result<Self, Failure> {
        let mut properties = Self::default();
        for assignment in assignments {
            let Some((key, value)) = assignment.split_once('=') else {
                let what = format!("-X: {assignment:?} is no assignment");
                return Err(Failure::new(Kind::Usage, what).hint("write -X KEY=VALUE"));
            };
            properties.set(key.trim(), value.trim())?;
        }
        Ok(properties)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        let invalid = |wanted: &str| {
            let what = format!("-X: invalid value {value:?} for {key}");
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
            _ => {
                let what = format!("-X: there is no client property {key:?}");
                return Err(Failure::new(Kind::Usage, what).hint(suggestion(key)));
            }
        }
        Ok(())
    }
}

fn suggestion(key: &str) -> String {
    // The name that shares the longest beginning, if that is more than a letter or two.
    let shared = |name: &str| {
        name.bytes()
            .zip(key.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    match NAMES.iter().max_by_key(|name| shared(name)) {
        Some(name) if shared(name) >= 3 => format!("did you mean {name:?}?"),
        _ => format!("there are: {}", NAMES.join(", ")),
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
            let taken = ["1", "true", "none"]
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
