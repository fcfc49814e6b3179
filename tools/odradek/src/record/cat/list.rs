//! `-L`.

use super::envelope::text;
use super::letters::Letters;
use crate::driver::Driver;
use crate::failure::Failure;
use engine_model::{ErrorCode, NodeId};
use net_client::Target;
use net_protocol::Text;
use net_protocol::metadata::MetadataResponse;
use std::io::{self, BufWriter, Write};

/// Runs it.
pub fn run(driver: &mut Driver, letters: &Letters) -> Result<(), Failure> {
    let topic = letters.topics.last();
    let request = match topic {
        Some(topic) => net_client::describe_topics([&Text::from(topic.as_str())]),
        None => net_client::list_topics(),
    };
    let response = driver.call(Target::Any, request)?;
    let asked = asked(driver.asked_address(), &response);
    let mut out = BufWriter::new(io::stdout().lock());
    if letters.is_json {
        json(&mut out, topic.map(String::as_str), &asked, &response)?;
    } else {
        plain(&mut out, topic.map(String::as_str), &asked, &response)?;
    }
    out.flush()?;
    Ok(())
}

/// The broker that was asked, by id and by librdkafka's name for it.
fn asked(address: &str, response: &MetadataResponse) -> (i32, String) {
    let found = response
        .brokers
        .iter()
        .find(|broker| format!("{}:{}", broker.host, broker.port) == address);
    match found {
        Some(broker) => (broker.node_id.0, format!("{address}/{}", broker.node_id)),
        None => (-1, format!("{address}/bootstrap")),
    }
}

fn ids(nodes: &[NodeId]) -> String {
    let ids: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    ids.join(",")
}

/// librdkafka's words for the errors that stand here.
fn words(code: ErrorCode) -> String {
    match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => "Broker: Unknown topic or partition".to_owned(),
        ErrorCode::LEADER_NOT_AVAILABLE => "Broker: Leader not available".to_owned(),
        ErrorCode::INVALID_TOPIC_EXCEPTION => "Broker: Invalid topic".to_owned(),
        other => format!("Broker: {other}"),
    }
}

fn plain(
    out: &mut impl Write,
    topic: Option<&str>,
    (id, name): &(i32, String),
    response: &MetadataResponse,
) -> io::Result<()> {
    let what = topic.unwrap_or("all topics");
    writeln!(out, "Metadata for {what} (from broker {id}: {name}):")?;
    writeln!(out, " {} brokers:", response.brokers.len())?;
    for broker in &response.brokers {
        let (id, host, port) = (broker.node_id, &broker.host, broker.port);
        let is_controller = broker.node_id == response.controller_id;
        let mark = if is_controller { " (controller)" } else { "" };
        writeln!(out, "  broker {id} at {host}:{port}{mark}")?;
    }
    writeln!(out, " {} topics:", response.topics.len())?;
    for topic in &response.topics {
        let name = topic.name.as_deref().unwrap_or_default();
        let count = topic.partitions.len();
        write!(out, "  topic \"{name}\" with {count} partitions:")?;
        if topic.error_code.is_error() {
            write!(out, " {}", words(topic.error_code))?;
            if topic.error_code == ErrorCode::LEADER_NOT_AVAILABLE {
                write!(out, " (try again)")?;
            }
        }
        writeln!(out)?;
        for partition in &topic.partitions {
            write!(
                out,
                "    partition {}, leader {}, replicas: {}, isrs: {}",
                partition.partition_index,
                partition.leader_id,
                ids(&partition.replica_nodes),
                ids(&partition.isr_nodes)
            )?;
            if partition.error_code.is_error() {
                write!(out, ", {}", words(partition.error_code))?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn json(
    out: &mut impl Write,
    topic: Option<&str>,
    (id, name): &(i32, String),
    response: &MetadataResponse,
) -> io::Result<()> {
    write!(out, "{{\"originating_broker\":{{\"id\":{id},\"name\":")?;
    text(out, Some(name.as_bytes()))?;
    write!(out, "}},\"query\":{{\"topic\":")?;
    text(out, Some(topic.unwrap_or("*").as_bytes()))?;
    write!(
        out,
        "}},\"controllerid\":{},\"brokers\":",
        response.controller_id
    )?;
    list(out, &response.brokers, |out, broker| {
        write!(out, "{{\"id\":{},\"name\":", broker.node_id)?;
        let name = format!("{}:{}", broker.host, broker.port);
        text(out, Some(name.as_bytes()))?;
        write!(out, "}}")
    })?;
    write!(out, ",\"topics\":")?;
    list(out, &response.topics, |out, topic| {
        write!(out, "{{\"topic\":")?;
        text(
            out,
            Some(topic.name.as_deref().unwrap_or_default().as_bytes()),
        )?;
        error(out, topic.error_code)?;
        write!(out, ",\"partitions\":")?;
        list(out, &topic.partitions, |out, partition| {
            write!(out, "{{\"partition\":{}", partition.partition_index)?;
            error(out, partition.error_code)?;
            write!(out, ",\"leader\":{},\"replicas\":", partition.leader_id)?;
            let id = |out: &mut dyn Write, node: &NodeId| write!(out, "{{\"id\":{node}}}");
            list(out, &partition.replica_nodes, id)?;
            write!(out, ",\"isrs\":")?;
            list(out, &partition.isr_nodes, id)?;
            write!(out, "}}")
        })?;
        write!(out, "}}")
    })?;
    write!(out, "}}")
}

fn error(out: &mut dyn Write, code: ErrorCode) -> io::Result<()> {
    if code.is_error() {
        write!(out, ",\"error\":")?;
        text(out, Some(words(code).as_bytes()))?;
    }
    Ok(())
}

fn list<T>(
    out: &mut dyn Write,
    items: &[T],
    mut item: impl FnMut(&mut dyn Write, &T) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, "[")?;
    for (place, one) in items.iter().enumerate() {
        if place > 0 {
            write!(out, ",")?;
        }
        item(out, one)?;
    }
    write!(out, "]")
}
