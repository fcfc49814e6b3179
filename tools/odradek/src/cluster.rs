//! `odradek cluster`: what there is of brokers.

use crate::cli::{ClusterVerb, Format, Global};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::output::{self, Row};
use crate::properties::ClientProperties;
use net_client::Target;
use serde::Serialize;

#[derive(Serialize)]
struct BrokerRow {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
    controller: bool,
    cluster_id: Option<String>,
}

impl Row for BrokerRow {
    const COLUMNS: &'static [&'static str] = &["ID", "HOST", "PORT", "RACK", "CONTROLLER"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            self.host.clone(),
            self.port.to_string(),
            self.rack.clone().unwrap_or_else(|| "-".to_owned()),
            if self.controller { "yes" } else { "" }.to_owned(),
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

/// Runs a verb.
pub fn run(global: &Global, verb: ClusterVerb) -> Result<(), Failure> {
    let properties = ClientProperties::of(global)?;
    let mut driver = Driver::new(global, &properties);
    match verb {
        ClusterVerb::Describe => describe(&mut driver, global),
    }
}

fn describe(driver: &mut Driver, global: &Global) -> Result<(), Failure> {
    // Metadata says it all, in brokers of every age.
    driver.call(Target::Any, net_client::describe_topics([]))?;
    let cluster = driver.cluster();
    let id = cluster.id.as_ref().map(ToString::to_string);
    let rows: Vec<BrokerRow> = cluster
        .brokers
        .iter()
        .map(|(node, broker)| BrokerRow {
            id: node.0,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.as_ref().map(ToString::to_string),
            controller: cluster.controller == Some(*node),
            cluster_id: id.clone(),
        })
        .collect();
    if global.format() == Format::Table {
        output::note(global.quiet, &format!("cluster {}", id.unwrap_or_default()));
    }
    output::print(global.format(), &rows)
}
