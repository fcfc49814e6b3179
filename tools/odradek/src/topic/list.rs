//! `odradek topic list`.

use crate::cli::{Global, ListArguments};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use net_client::Target;
use serde::Serialize;

#[derive(Serialize)]
struct TopicRow {
    name: String,
    id: String,
    partitions: usize,
    replication_factor: usize,
    internal: bool,
}

impl Row for TopicRow {
    const COLUMNS: &'static [&'static str] = &["NAME", "PARTITIONS", "REPLICATION", "ID"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.partitions.to_string(),
            self.replication_factor.to_string(),
            self.id.clone(),
        ]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Runs it.
pub fn run(driver: &mut Driver, global: &Global, arguments: &ListArguments) -> Result<(), Failure> {
    driver.call(Target::Any, net_client::list_topics())?;
    let rows: Vec<TopicRow> = driver
        .cluster()
        .topics
        .iter()
        .filter(|(_, topic)| arguments.internal || !topic.is_internal)
        .map(|(name, topic)| TopicRow {
            name: name.to_string(),
            id: topic.id.to_string(),
            partitions: topic.partitions.len(),
            replication_factor: topic.partitions.first().map_or(0, |p| p.replicas.len()),
            internal: topic.is_internal,
        })
        .collect();
    output::print(global.format(), &rows)
}
