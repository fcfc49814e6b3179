//! `odradek config set` and `unset`: settings of topics and of running brokers, by
//! IncrementalAlterConfigs.

use super::remote::Resource;
use super::rows;
use crate::cli::{Global, OwnerArguments, SetArguments, UnsetArguments};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::properties::ClientProperties;
use net_protocol::Text;
use net_protocol::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use serde::Serialize;

/// Kafka's numbers of what happens to a setting (KIP-339).
const SET: i8 = 0;
const DELETE: i8 = 1;

/// A setting and its new value; `None` takes it back to its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    key: Text,
    value: Option<Text>,
}

#[derive(Serialize)]
struct ChangedRow {
    #[serde(rename = "of")]
    owner: String,
    key: String,
    value: Option<String>,
    status: &'static str,
}

impl Row for ChangedRow {
    const COLUMNS: &'static [&'static str] = &["OF", "KEY", "VALUE", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.owner.clone(),
            self.key.clone(),
            self.value.clone().unwrap_or_else(|| "default".to_owned()),
            self.status.to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.key.clone()
    }
}

/// Runs `config set`.
pub fn set(global: &Global, arguments: &SetArguments) -> Result<(), Failure> {
    run(
        global,
        &arguments.owner,
        &changes(&arguments.assignments, &[])?,
    )
}

/// Runs `config unset`.
pub fn unset(global: &Global, arguments: &UnsetArguments) -> Result<(), Failure> {
    run(global, &arguments.owner, &changes(&[], &arguments.keys)?)
}

fn run(global: &Global, owner: &OwnerArguments, changes: &[Change]) -> Result<(), Failure> {
    let resource = match (&owner.topic, owner.broker) {
        (Some(topic), _) => Resource::Topic(topic.clone()),
        (None, Some(id)) => Resource::Broker(id),
        (None, None) => Resource::AllBrokers,
    };
    let properties = ClientProperties::of(global)?;
    let mut driver = Driver::new(global, &properties);
    alter(&mut driver, global, &[resource], changes)
}

/// Changes from assignments `KEY=VALUE` and the names of settings that lose their value.
///
/// Durations and sizes become the raw numbers that every broker reads; what cannot be read here is
/// left to the broker. Errors: `Usage` for what is no assignment.
pub fn changes(assignments: &[String], deleted: &[String]) -> Result<Vec<Change>, Failure> {
    let set = crate::topic::configs(assignments)?;
    let set = set.into_iter().map(|(key, value)| {
        let known = rows(&key).first().and_then(|row| row.parse(&value).ok());
        let value = known.map_or(value, |value| Text::from(value.to_string()));
        Change {
            key,
            value: Some(value),
        }
    });
    let deleted = deleted.iter().map(|key| Change {
        key: Text::from(key.as_str()),
        value: None,
    });
    Ok(set.chain(deleted).collect())
}

/// Makes the same changes to each resource, or with `--dry-run` asks whether they could be made, and
/// prints those that were.
///
/// Errors: the first that a broker told; every other one goes to stderr.
pub fn alter(
    driver: &mut Driver,
    global: &Global,
    resources: &[Resource],
    changes: &[Change],
) -> Result<(), Failure> {
    let configs: Vec<AlterableConfig> = changes
        .iter()
        .map(|change| AlterableConfig {
            name: change.key.clone(),
            config_operation: if change.value.is_some() { SET } else { DELETE },
            value: change.value.clone(),
        })
        .collect();
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for resource in resources {
        let target = resource.target(driver)?;
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.code(),
                resource_name: Text::from(resource.name()),
                configs: configs.clone(),
            }],
            validate_only: global.dry_run,
        };
        let response = driver.call(target, request)?;
        let refused = response
            .responses
            .into_iter()
            .find(|result| result.error_code.is_error());
        if let Some(result) = refused {
            let what = format!("cannot change the settings of {}", resource.words());
            let message = result.error_message.as_deref().filter(|m| !m.is_empty());
            failures.push(Failure::broker(what, result.error_code, message));
            continue;
        }
        rows.extend(changes.iter().map(|change| ChangedRow {
            owner: resource.words(),
            key: change.key.to_string(),
            value: change.value.as_ref().map(ToString::to_string),
            status: match &change.value {
                _ if global.dry_run => "valid",
                Some(_) => "set",
                None => "unset",
            },
        }));
    }
    if !rows.is_empty() {
        output::print(global.format(), &rows)?;
    }
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else {
        return Ok(());
    };
    for failure in failures {
        failure.print();
    }
    Err(first)
}
