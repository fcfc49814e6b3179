//! The one table of settings, how their values are written, and where each value came from.
//!
//! A row of the table gives a setting its name, type, default, range, unit, scope and meaning;
//! parsing, the typed [`BrokerConfig`] and [`TopicConfig`], and every error text come from it.
//! Nothing here reads a file, the environment or a clock: callers pass in texts.
//!
//! Source: Kafka 4.3.1's broker and topic settings; the ones of our own are marked so.

mod broker;
mod broker_rows;
mod dynamic;
mod error;
mod listener;
mod properties;
mod setting;
mod settings;
mod sources;
mod suggest;
mod toml_file;
mod topic;
mod topic_rows;
mod unused;
mod value;

pub use broker::BrokerConfig;
pub use broker_rows::BROKER_SETTINGS;
pub use dynamic::DynamicConfigError;
pub use error::{ConfigError, InvalidValue, TopicConfigError};
pub use listener::{Endpoint, EndpointError};
pub use properties::read_properties;
pub use setting::{Allowed, Effect, Kind, Scope, Setting, Unit, Update};
pub use settings::{Resolved, Settings, Unused};
pub use sources::{Origin, Sources};
pub use suggest::nearest;
pub use topic::{CleanupPolicy, CompressionType, Durability, TimestampType, TopicConfig};
pub use topic_rows::TOPIC_SETTINGS;
pub use unused::UNUSED_BROKER_SETTINGS;
pub use value::Value;
