//! `odradek topic delete`.

use super::{first_failure, learn_cluster, texts};
use crate::cli::{DeleteArguments, Global};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::output::{self, Row};
use engine_model::ErrorCode;
use net_client::TopicResult;
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Write};

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
    if !global.yes {
        confirm(&arguments.names)?;
    }
    learn_cluster(driver)?;
    let names = texts(&arguments.names);
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

/// Asks the person at the terminal; without one, `--yes` is needed.
fn confirm(names: &[String]) -> Result<(), Failure> {
    let refused = |what: &str| Failure::new(Kind::Usage, what).hint("--yes deletes without asking");
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(refused("deleting topics needs a person to ask, or --yes"));
    }
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("'{}'", name.escape_debug()))
        .collect();
    let mut stderr = io::stderr().lock();
    let _ = write!(
        stderr,
        "Delete {} and all records? [y/N] ",
        quoted.join(", ")
    );
    let _ = stderr.flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, "nothing was deleted"))
}
