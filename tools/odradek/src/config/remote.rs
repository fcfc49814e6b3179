//! Asking a broker about settings: DescribeConfigs.

use crate::driver::Driver;
use crate::failure::Failure;
use net_client::Target;
use net_protocol::Text;
use net_protocol::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};

/// What settings belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A topic.
    Topic(String),
    /// A broker.
    Broker(i32),
    /// Every broker, as far as it was changed for all of them.
    AllBrokers,
}

impl Resource {
    /// Kafka's number of its kind.
    pub(super) const fn code(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) | Self::AllBrokers => 4,
        }
    }

    /// Where to ask about it: a broker tells of itself alone.
    ///
    /// Errors: `NotFound` for a broker that is not there.
    pub(super) fn target(&self, driver: &mut Driver) -> Result<Target, Failure> {
        let Self::Broker(id) = self else {
            return Ok(Target::Any);
        };
        driver.call(Target::Any, net_client::describe_topics([]))?;
        let node = engine_model::NodeId(*id);
        if driver.cluster().brokers.contains_key(&node) {
            return Ok(Target::Node(node));
        }
        let what = format!("there is no broker {id}");
        Err(Failure::new(crate::failure::Kind::NotFound, what)
            .hint("`odradek cluster describe` shows those there are"))
    }

    /// It in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Topic(name) => format!("topic '{}'", name.escape_debug()),
            Self::Broker(id) => format!("broker {id}"),
            Self::AllBrokers => "all brokers".to_owned(),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Topic(name) => name.clone(),
            Self::Broker(id) => id.to_string(),
            Self::AllBrokers => String::new(),
        }
    }
}

/// A setting as a broker told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub key: String,
    /// Its value; `None` where there is none, or it is withheld.
    pub value: Option<String>,
    /// Whether it is withheld.
    pub is_sensitive: bool,
    /// Where it comes from.
    pub origin: &'static str,
    /// Whether it can only change with a start.
    pub is_read_only: bool,
}

/// Asks for the settings of one resource, in order of their names.
///
/// Errors: `NotFound` for a topic that is not there; what the broker refuses otherwise.
pub fn describe(driver: &mut Driver, resource: &Resource) -> Result<Vec<Told>, Failure> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: resource.code(),
            resource_name: Text::from(resource.name()),
            configuration_keys: None,
        }],
        ..DescribeConfigsRequest::default()
    };
    let target = resource.target(driver)?;
    let response = driver.call(target, request)?;
    let mut told = Vec::new();
    for result in response.results {
        if result.error_code.is_error() {
            let what = format!("cannot show the settings of {}", resource.words());
            let message = result.error_message.as_deref().filter(|m| !m.is_empty());
            return Err(Failure::broker(what, result.error_code, message));
        }
        told.extend(result.configs.into_iter().map(|config| Told {
            key: config.name.to_string(),
            value: config.value.map(|value| value.to_string()),
            is_sensitive: config.is_sensitive,
            origin: origin(config.config_source),
            is_read_only: config.read_only,
        }));
    }
    told.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(told)
}

/// Kafka's numbers of the places a value comes from (KIP-226, KIP-412).
const fn origin(source: i8) -> &'static str {
    match source {
        1 => "topic",
        2 => "broker, while running",
        3 => "all brokers, while running",
        4 => "broker",
        5 => "default",
        6 => "broker logger",
        7 => "client metrics",
        8 => "group",
        _ => "unknown",
    }
}
