//! `odradek topic delete`.

use super::{find, first_failure, learn_cluster, texts};
use crate::cli::{DeleteArguments, Global};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::output::{self, Row};
use engine_model::ErrorCode;
use net_client::TopicResult;
use serde::Serialize;

#[derive(Serialize)]
struct DeletedRow {
    name: String,
    status: &'static str,
}

impl Row for DeletedRow {
    const COLUMNS: &'static [&'static str] = &["NAME", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.status.to_owned()]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Runs it.
pub fn run(
    driver: &mut Driver,
    global: &Global,
    arguments: &DeleteArguments,
) -> Result<(), Failure> {
    let names = texts(&arguments.names);
    if global.dry_run {
        return rehearse(driver, global, arguments);
    }
    if !global.yes {
        let quoted: Vec<String> = names
            .iter()
            .map(|name| format!("'{}'", name.escape_debug()))
            .collect();
        super::confirm(&format!("{} and all records", quoted.join(", ")))?;
    }
    learn_cluster(driver)?;
    let request = net_client::delete_topics(&names, driver.timeout());
    let response = driver.call(driver.controller(), request)?;
    let results = TopicResult::of_deletion(response);
    let is_fine = |result: &TopicResult| {
        arguments.if_exists && result.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    };
    let rows: Vec<DeletedRow> = results
        .iter()
        .filter(|result| !result.error.is_error() || is_fine(result))
        .map(|result| DeletedRow {
            name: result.name.to_string(),
            status: if result.error.is_error() {
                "absent"
            } else {
                "deleted"
            },
        })
        .collect();
    if !rows.is_empty() {
        output::print(global.format(), &rows)?;
    }
    first_failure("delete", &results, is_fine)
}

/// Says what would be deleted.
fn rehearse(
    driver: &mut Driver,
    global: &Global,
    arguments: &DeleteArguments,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for name in texts(&arguments.names) {
        let status = match find::topics(driver, std::slice::from_ref(&name)) {
            Ok(_) => "valid",
            Err(failure) if arguments.if_exists && failure.is(Kind::NotFound) => "absent",
            Err(failure) => return Err(failure),
        };
        let name = name.to_string();
        rows.push(DeletedRow { name, status });
    }
    output::print(global.format(), &rows)
}
