//! `odradek topic alter`: more partitions, other settings.

use super::{first_failure, learn_cluster};
use crate::cli::{AlterArguments, Global};
use crate::config::{self, Resource};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use engine_model::TopicId;
use net_client::TopicResult;
use net_protocol::Text;
use net_protocol::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use serde::Serialize;

#[derive(Serialize)]
struct AlteredRow {
    name: String,
    partitions: i32,
    status: &'static str,
}

impl Row for AlteredRow {
    const COLUMNS: &'static [&'static str] = &["NAME", "PARTITIONS", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.partitions.to_string(),
            self.status.to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Runs it: settings first, which can be taken back.
pub fn run(
    driver: &mut Driver,
    global: &Global,
    arguments: &AlterArguments,
) -> Result<(), Failure> {
    let wanted = &arguments.changes;
    let settings = config::changes(&wanted.configs, &wanted.deleted)?;
    learn_cluster(driver)?;
    if !settings.is_empty() {
        let topic = |name: &String| Resource::Topic(name.clone());
        let topics: Vec<Resource> = arguments.names.iter().map(topic).collect();
        config::alter(driver, global, &topics, &settings)?;
    }
    match wanted.partitions {
        Some(partitions) => add_partitions(driver, global, &arguments.names, partitions),
        None => Ok(()),
    }
}

fn add_partitions(
    driver: &mut Driver,
    global: &Global,
    names: &[String],
    partitions: i32,
) -> Result<(), Failure> {
    let topic = |name: &String| CreatePartitionsTopic {
        name: Text::from(name.as_str()),
        count: partitions,
        assignments: None,
    };
    let request = CreatePartitionsRequest {
        topics: names.iter().map(topic).collect(),
        timeout_ms: i32::try_from(driver.timeout().as_millis()).unwrap_or(i32::MAX),
        validate_only: global.dry_run,
    };
    let response = driver.call(driver.controller(), request)?;
    let results: Vec<TopicResult> = response
        .results
        .into_iter()
        .map(|result| TopicResult {
            name: result.name,
            id: TopicId::ZERO,
            error: result.error_code,
            message: result.error_message.filter(|text| !text.is_empty()),
        })
        .collect();
    let rows: Vec<AlteredRow> = results
        .iter()
        .filter(|result| !result.error.is_error())
        .map(|result| AlteredRow {
            name: result.name.to_string(),
            partitions,
            status: if global.dry_run { "valid" } else { "altered" },
        })
        .collect();
    if !rows.is_empty() {
        output::print(global.format(), &rows)?;
    }
    first_failure("alter", &results, |_| false)
}
