//! `odradek topic create`.

use super::{configs, first_failure, learn_cluster};
use crate::cli::{CreateArguments, Global};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use engine_model::{ErrorCode, TopicId};
use net_client::{NewTopic, TopicResult};
use net_protocol::Text;
use serde::Serialize;

#[derive(Serialize)]
struct CreatedRow {
    name: String,
    id: Option<String>,
    status: &'static str,
}

impl Row for CreatedRow {
    const COLUMNS: &'static [&'static str] = &["NAME", "ID", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.id.clone().unwrap_or_default(),
            self.status.to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Runs it.
pub fn run(
    driver: &mut Driver,
    global: &Global,
    arguments: &CreateArguments,
) -> Result<(), Failure> {
    let configs = configs(&arguments.configs)?;
    let topics = arguments
        .names
        .iter()
        .map(|name| NewTopic {
            name: Text::from(name.as_str()),
            partitions: arguments.partitions,
            replication_factor: arguments.replication_factor,
            configs: configs.clone(),
        })
        .collect();
    learn_cluster(driver)?;
    let request = net_client::create_topics(topics, driver.timeout(), global.dry_run);
    let response = driver.call(driver.controller(), request)?;
    let results = TopicResult::of_creation(response);
    let is_fine = |result: &TopicResult| {
        arguments.if_not_exists && result.error == ErrorCode::TOPIC_ALREADY_EXISTS
    };
    let rows: Vec<CreatedRow> = results
        .iter()
        .filter(|result| !result.error.is_error() || is_fine(result))
        .map(|result| CreatedRow {
            name: result.name.to_string(),
            id: (result.id != TopicId::ZERO).then(|| result.id.to_string()),
            status: match result.error.is_error() {
                true => "exists",
                false if global.dry_run => "valid",
                false => "created",
            },
        })
        .collect();
    if !rows.is_empty() {
        output::print(global.format(), &rows)?;
    }
    first_failure("create", &results, is_fine)
}
