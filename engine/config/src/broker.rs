//! The settings of a broker, typed.

use crate::error::{ConfigError, InvalidValue};
use crate::listener::{Endpoint, EndpointError};
use crate::settings::{Resolved, Settings};
use crate::sources::invalid;
use crate::topic::{TopicConfig, defaults};
use crate::value::Value;
use core::net::IpAddr;
use core::time::Duration;
use engine_model::NodeId;
use std::collections::BTreeMap;

/// What a broker was told at its start.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerConfig {
    /// `node.id`, or its older name `broker.id`.
    pub node_id: NodeId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `data.dir`, or Kafka's `log.dirs` or `log.dir`.
    pub data_dir: String,
    /// `listeners` without those meant for controllers; at least one, each PLAINTEXT.
    pub listeners: Vec<Endpoint>,
    /// `advertised.listeners`; empty: each client is told the address it came to.
    pub advertised_listeners: Vec<Endpoint>,
    /// `shards`; `None` is one for each core this process may use.
    pub shards: Option<usize>,
    /// `lane.bytes`: size of each shard's redo log.
    pub lane_bytes: u64,
    /// `storage.min.free.bytes`: free space of the disk below which appends are refused.
    pub storage_min_free_bytes: u64,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`, all shards together; `None` leaves it to the broker.
    pub queued_request_bytes_max: Option<u64>,
    /// `fetch.max.bytes`.
    pub fetch_bytes_max: usize,
    /// `max.incremental.fetch.session.cache.slots`, all shards together.
    pub fetch_session_slots: usize,
    /// `max.connections`.
    pub connections_max: usize,
    /// `max.connections.per.ip`.
    pub connections_per_ip_max: usize,
    /// `max.connections.per.ip.overrides`.
    pub connections_per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// `max.connection.creation.rate`; `None` is any.
    pub connection_rate_max: Option<u32>,
    /// `connections.max.idle.ms`; `None` is never.
    pub connections_idle_max: Option<Duration>,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration: Duration,
    /// `log.retention.check.interval.ms`, at least 1 ms.
    pub log_retention_check_interval: Duration,
    /// `log.scrub.bytes.per.second`, of each shard.
    pub log_scrub_bytes_per_second: u64,
    /// `log.scrub.interval.ms`; zero is never.
    pub log_scrub_interval: Duration,
    /// `log.segment.delete.delay.ms`.
    pub log_segment_delete_delay: Duration,
    /// `log.cleaner.enable`.
    pub log_cleaner_enable: bool,
    /// `log.cleaner.backoff.ms`.
    pub log_cleaner_backoff: Duration,
    /// `log.cleaner.dedupe.buffer.size`, bytes, all shards together; may be less than a shard
    /// needs.
    pub log_cleaner_dedupe_buffer_size: u64,
    /// `log.cleaner.io.max.bytes.per.second`, all shards together, at least 1; `None` is no limit.
    pub log_cleaner_io_max_bytes_per_second: Option<u64>,
    /// `watchdog.timeout.ms`.
    pub watchdog_timeout: Duration,
    /// What topics have that do not say otherwise, by topic setting.
    pub topic_defaults: BTreeMap<&'static str, Value>,
    /// The same, typed.
    pub default_topic_config: TopicConfig,
    /// Every setting with its value and origin, for describing.
    pub settings: Settings,
}

impl BrokerConfig {
    /// The settings, typed, after the checks that concern several of them.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let config = Self::typed(settings)?;
        TopicConfig::from_values(config.topic_defaults.clone())?;
        Ok(config)
    }

    pub(crate) fn typed(settings: Settings) -> Result<Self, ConfigError> {
        let listeners = listeners(&settings)?;
        let topic_defaults = defaults(&settings);
        let node_id = match settings.strongest(&["node.id", "broker.id"]) {
            Some(Resolved {
                value: Some(Value::Number(id)),
                ..
            }) if *id >= 0 => *id,
            _ => settings.number("node.id"),
        };
        Ok(Self {
            node_id: NodeId(i32::try_from(node_id).unwrap_or_default()),
            rack: settings.text("broker.rack").map(str::to_owned),
            data_dir: data_dir(&settings)?,
            advertised_listeners: advertised(&settings, &listeners)?,
            listeners,
            shards: Some(size(&settings, "shards")).filter(|shards| *shards > 0),
            lane_bytes: size(&settings, "lane.bytes"),
            storage_min_free_bytes: size(&settings, "storage.min.free.bytes"),
            num_partitions: size(&settings, "num.partitions"),
            default_replication_factor: size(&settings, "default.replication.factor"),
            auto_create_topics: settings.boolean("auto.create.topics.enable"),
            delete_topics: settings.boolean("delete.topic.enable"),
            request_bytes_max: size(&settings, "socket.request.max.bytes"),
            queued_request_bytes_max: queued_request_bytes_max(&settings)?,
            fetch_bytes_max: size(&settings, "fetch.max.bytes"),
            fetch_session_slots: size(&settings, "max.incremental.fetch.session.cache.slots"),
            connections_max: size(&settings, "max.connections"),
            connections_per_ip_max: size(&settings, "max.connections.per.ip"),
            connections_per_ip_overrides: per_ip_overrides(&settings)?,
            connection_rate_max: Some(size(&settings, "max.connection.creation.rate"))
                .filter(|rate| *rate < i32::MAX.unsigned_abs()),
            connections_idle_max: u64::try_from(settings.number("connections.max.idle.ms"))
                .ok()
                .map(Duration::from_millis),
            producer_id_expiration: millis(&settings, "producer.id.expiration.ms"),
            log_retention_check_interval: millis(&settings, "log.retention.check.interval.ms"),
            log_scrub_bytes_per_second: size(&settings, "log.scrub.bytes.per.second"),
            log_scrub_interval: millis(&settings, "log.scrub.interval.ms"),
            log_segment_delete_delay: millis(&settings, "log.segment.delete.delay.ms"),
            log_cleaner_enable: settings.boolean("log.cleaner.enable"),
            log_cleaner_backoff: millis(&settings, "log.cleaner.backoff.ms"),
            log_cleaner_dedupe_buffer_size: size(&settings, "log.cleaner.dedupe.buffer.size"),
            log_cleaner_io_max_bytes_per_second: rate(
                settings.double("log.cleaner.io.max.bytes.per.second"),
            ),
            watchdog_timeout: millis(&settings, "watchdog.timeout.ms"),
            default_topic_config: TopicConfig::from_unchecked_values(topic_defaults.clone()),
            topic_defaults,
            settings,
        })
    }
}

fn size<T: TryFrom<i64> + Default>(settings: &Settings, key: &str) -> T {
    // Ranges keep every such number within its type; the table's tests pin the defaults.
    T::try_from(settings.number(key)).unwrap_or_default()
}

fn millis(settings: &Settings, key: &str) -> Duration {
    Duration::from_millis(size(settings, key))
}

/// A whole rate of at least 1; `None` where it is more than can be counted, as Kafka's default is.
fn rate(number: f64) -> Option<u64> {
    format!("{:.0}", number.max(1.0)).parse().ok()
}

/// Kafka, too, refuses to start where not even one largest request would fit.
fn queued_request_bytes_max(settings: &Settings) -> Result<Option<u64>, ConfigError> {
    const KEY: &str = "queued.max.request.bytes";
    const LEAST: &str = "socket.request.max.bytes";
    let (bytes, least) = (settings.number(KEY), settings.number(LEAST));
    match settings.get(KEY) {
        Some(found) if bytes > 0 && bytes < least => {
            Err(refused(found, InvalidValue::Below { key: LEAST, least }))
        }
        _ => Ok(u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)),
    }
}

fn per_ip_overrides(settings: &Settings) -> Result<BTreeMap<IpAddr, usize>, ConfigError> {
    const KEY: &str = "max.connections.per.ip.overrides";
    let Some(found) = settings.get(KEY) else {
        return Ok(BTreeMap::new());
    };
    let read = |text: &str| {
        let (address, count) = text.rsplit_once(':')?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        Some((address.to_canonical(), count.trim().parse().ok()?))
    };
    settings
        .list(KEY)
        .iter()
        .map(|text| read(text))
        .collect::<Option<_>>()
        .ok_or_else(|| refused(found, InvalidValue::NotALimitForAnAddress))
}

fn data_dir(settings: &Settings) -> Result<String, ConfigError> {
    let Some(found) = settings.strongest(&["data.dir", "log.dirs", "log.dir"]) else {
        return Ok(settings.text("data.dir").unwrap_or_default().to_owned());
    };
    match &found.value {
        Some(Value::Text(path)) if !path.is_empty() => Ok(path.clone()),
        Some(Value::List(paths)) if paths.len() == 1 => Ok(paths.concat()),
        _ => Err(refused(found, InvalidValue::SeveralDirectories)),
    }
}

fn refused(found: &Resolved, reason: InvalidValue) -> ConfigError {
    let text = found
        .value
        .as_ref()
        .map(Value::to_string)
        .unwrap_or_default();
    invalid(found.setting, &text, &found.origin, reason)
}

/// The endpoints of a list setting; a name may stand once.
fn endpoints(settings: &Settings, key: &str) -> Result<Vec<Endpoint>, EndpointError> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for text in settings.list(key) {
        let endpoint = Endpoint::parse(text)?;
        if endpoints
            .iter()
            .any(|other| other.listener == endpoint.listener)
        {
            return Err(EndpointError::Repeated {
                listener: endpoint.listener,
            });
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

fn listeners(settings: &Settings) -> Result<Vec<Endpoint>, ConfigError> {
    const KEY: &str = "listeners";
    let Some(found) = settings.get(KEY) else {
        return Ok(Vec::new());
    };
    let controllers = settings.list("controller.listener.names");
    let check = || {
        let mut listeners = endpoints(settings, KEY)?;
        listeners.retain(|endpoint| !is_named(controllers, &endpoint.listener));
        for Endpoint { listener, .. } in &listeners {
            let protocol =
                protocol(settings, listener).ok_or_else(|| EndpointError::NoProtocol {
                    listener: listener.clone(),
                })?;
            if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
                return Err(EndpointError::Protocol {
                    listener: listener.clone(),
                    protocol: protocol.to_owned(),
                });
            }
        }
        if listeners.is_empty() {
            Err(EndpointError::None)
        } else {
            Ok(listeners)
        }
    };
    check().map_err(|error| refused(found, InvalidValue::Endpoint(error)))
}

fn advertised(settings: &Settings, listeners: &[Endpoint]) -> Result<Vec<Endpoint>, ConfigError> {
    const KEY: &str = "advertised.listeners";
    let Some(found) = settings.get(KEY) else {
        return Ok(Vec::new());
    };
    let controllers = settings.list("controller.listener.names");
    let check = || {
        let mut advertised = endpoints(settings, KEY)?;
        advertised.retain(|endpoint| !is_named(controllers, &endpoint.listener));
        for endpoint in &advertised {
            if endpoint.host.is_empty() || endpoint.port == 0 {
                return Err(EndpointError::Vague {
                    text: endpoint.to_string(),
                });
            }
            if !listeners
                .iter()
                .any(|other| other.listener == endpoint.listener)
            {
                return Err(EndpointError::NotListenedOn {
                    listener: endpoint.listener.clone(),
                });
            }
        }
        Ok(advertised)
    };
    check().map_err(|error| refused(found, InvalidValue::Endpoint(error)))
}

fn is_named(names: &[String], name: &str) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn protocol<'a>(settings: &'a Settings, listener: &str) -> Option<&'a str> {
    settings
        .list("listener.security.protocol.map")
        .iter()
        .filter_map(|pair| pair.split_once(':'))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(listener))
        .map(|(_, protocol)| protocol.trim())
}

#[cfg(test)]
mod tests;
