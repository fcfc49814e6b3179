//! `odradek config show`: the settings a start would have, with where each comes from; or those of
//! a topic or broker that runs.

use super::remote::{self, Resource};
use super::{rows, unknown};
use crate::cli::{Format, Global, ShowArguments};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::properties::ClientProperties;
use crate::start;
use engine_config::{Origin, Resolved};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct ValueRow {
    key: String,
    value: Option<String>,
    origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_force: Option<bool>,
}

impl Row for ValueRow {
    const COLUMNS: &'static [&'static str] = &["KEY", "VALUE", "ORIGIN"];

    fn cells(&self) -> Vec<String> {
        let value = self.value.clone().unwrap_or_else(|| "null".to_owned());
        vec![self.key.clone(), value, self.origin.clone()]
    }

    fn name(&self) -> String {
        self.key.clone()
    }
}

/// The same without origins.
#[derive(Serialize)]
#[serde(transparent)]
struct PlainRow(ValueRow);

impl Row for PlainRow {
    const COLUMNS: &'static [&'static str] = &["KEY", "VALUE"];

    fn cells(&self) -> Vec<String> {
        let mut cells = self.0.cells();
        cells.truncate(2);
        cells
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

/// Runs it.
pub fn run(global: &Global, arguments: &ShowArguments) -> Result<(), Failure> {
    for key in &arguments.keys {
        if rows(key).is_empty() {
            return Err(unknown(key));
        }
    }
    let resource = match (&arguments.topic, arguments.broker) {
        (Some(topic), _) => Some(Resource::Topic(topic.clone())),
        (None, Some(id)) => Some(Resource::Broker(id)),
        (None, None) => arguments.all_brokers.then_some(Resource::AllBrokers),
    };
    let mut values = match resource {
        None => of_start(global, arguments)?,
        Some(resource) => of_resource(global, &resource)?,
    };
    values.retain(|row| arguments.keys.is_empty() || arguments.keys.contains(&row.key));
    if arguments.changed {
        values.retain(|row| row.origin != "default");
    }
    if arguments.origin || global.format() != Format::Table {
        output::print(global.format(), &values)
    } else {
        let values: Vec<PlainRow> = values.into_iter().map(PlainRow).collect();
        output::print(global.format(), &values)
    }
}

/// The settings of something that runs.
fn of_resource(global: &Global, resource: &Resource) -> Result<Vec<ValueRow>, Failure> {
    let properties = ClientProperties::of(global)?;
    let mut driver = Driver::new(global, &properties);
    let told = remote::describe(&mut driver, resource)?;
    let row = |told: remote::Told| ValueRow {
        key: told.key,
        value: if told.is_sensitive {
            Some("(hidden)".to_owned())
        } else {
            told.value
        },
        origin: told.origin.to_owned(),
        in_force: None,
    };
    Ok(told.into_iter().map(row).collect())
}

/// The settings a broker would start with.
fn of_start(global: &Global, arguments: &ShowArguments) -> Result<Vec<ValueRow>, Failure> {
    let config = start::read_settings(global, &arguments.start)?;
    let row = |resolved: &Resolved| ValueRow {
        key: resolved.setting.key.to_owned(),
        value: if resolved.setting.sensitive && resolved.origin != Origin::Default {
            Some("(hidden)".to_owned())
        } else {
            resolved.value.as_ref().map(ToString::to_string)
        },
        origin: resolved.origin.to_string(),
        in_force: Some(resolved.setting.effect == engine_config::Effect::InForce),
    };
    Ok(config.settings.iter().map(row).collect())
}
