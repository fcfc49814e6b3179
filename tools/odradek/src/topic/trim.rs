//! `odradek topic trim`: deletes the records below an offset.

use super::find::{self, EARLIEST, LATEST};
use crate::cli::{Global, TrimArguments};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::output::{self, Row};
use engine_model::{NodeId, Offset, PartitionIndex};
use net_client::{Target, Topic};
use net_protocol::Text;
use net_protocol::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct TrimmedRow {
    topic: String,
    partition: i32,
    start_offset: i64,
    deleted: i64,
    status: &'static str,
}

impl Row for TrimmedRow {
    const COLUMNS: &'static [&'static str] = &["TOPIC", "PARTITION", "START", "DELETED", "STATUS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.topic.clone(),
            self.partition.to_string(),
            self.start_offset.to_string(),
            self.deleted.to_string(),
            self.status.to_owned(),
        ]
    }

    fn name(&self) -> String {
        format!("{}-{}", self.topic, self.partition)
    }
}

/// The first offset to keep.
enum Place {
    Offset(i64),
    End,
    Time(engine_model::Timestamp),
}

/// Runs it.
pub fn run(driver: &mut Driver, global: &Global, arguments: &TrimArguments) -> Result<(), Failure> {
    let place = match (arguments.offset.as_str(), arguments.offset.parse::<i64>()) {
        ("end" | "latest", _) => Place::End,
        (_, Ok(offset)) if offset >= 0 => Place::Offset(offset),
        (text, _) => Place::Time(super::moment("--offset", text)?),
    };
    if !global.yes && !global.dry_run {
        let what = format!(
            "all records of '{}' below it",
            arguments.name.escape_debug()
        );
        super::confirm(&what)?;
    }
    let name = Text::from(arguments.name.as_str());
    let Some((_, topic)) = find::topics(driver, std::slice::from_ref(&name))?.pop() else {
        return Err(super::not_found(&name));
    };
    let wanted = wanted(&arguments.partitions, &name, &topic)?;
    let starts = find::numbers(&find::offsets(driver, &name, &topic, EARLIEST)?);
    let ends = find::numbers(&find::offsets(driver, &name, &topic, LATEST)?);
    let of_time = match place {
        Place::Time(at) => find::numbers(&find::offsets(driver, &name, &topic, at)?),
        _ => BTreeMap::new(),
    };
    let mut cuts = BTreeMap::new();
    for partition in &wanted {
        let end = ends.get(partition).copied();
        let cut = cut(&place, end, of_time.get(partition).copied());
        cuts.insert(*partition, cut.ok_or_else(|| unanswered(*partition))?);
    }
    let cut = |partition: PartitionIndex| cuts.get(&partition).copied().unwrap_or_default();
    let row = |partition: PartitionIndex, start: i64, status| TrimmedRow {
        topic: name.to_string(),
        partition: partition.get(),
        start_offset: start,
        deleted: start
            .saturating_sub(starts.get(&partition).copied().unwrap_or(start))
            .max(0),
        status,
    };
    if global.dry_run {
        let rows: Vec<TrimmedRow> = wanted
            .iter()
            .map(|partition| row(*partition, cut(*partition), "valid"))
            .collect();
        return output::print(global.format(), &rows);
    }
    let mut rows = Vec::new();
    let mut failed = None;
    for (leader, partitions) in of_leaders(&topic, &wanted) {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: name.clone(),
                partitions: partitions
                    .into_iter()
                    .map(|partition| DeleteRecordsPartition {
                        partition_index: partition,
                        offset: Offset::new(cut(partition)),
                    })
                    .collect(),
            }],
            timeout_ms: i32::try_from(driver.timeout().as_millis()).unwrap_or(i32::MAX),
        };
        let response = driver.call(Target::Node(leader), request)?;
        for answer in response
            .topics
            .into_iter()
            .flat_map(|topic| topic.partitions)
        {
            if answer.error_code.is_error() {
                let what = format!("cannot trim partition {}", answer.partition_index);
                failed.get_or_insert(Failure::broker(what, answer.error_code, None));
            } else {
                let start = answer.low_watermark.get();
                rows.push(row(answer.partition_index, start, "trimmed"));
            }
        }
    }
    rows.sort_by_key(|row| row.partition);
    output::print(global.format(), &rows)?;
    failed.map_or(Ok(()), Err)
}

/// The first offset of a partition to keep, where brokers told what has to be known for it. `of_time`
/// is -1 where no record is that late: then all of them are older.
fn cut(place: &Place, end: Option<i64>, of_time: Option<i64>) -> Option<i64> {
    match place {
        Place::Offset(offset) => Some(*offset),
        Place::End => end,
        Place::Time(_) => match of_time {
            Some(offset) if offset >= 0 => Some(offset),
            Some(_) => end,
            // Not known is not "none": all records would go.
            None => None,
        },
    }
}

fn unanswered(partition: PartitionIndex) -> Failure {
    let what = format!("no broker told the offsets of partition {partition}; nothing was deleted");
    Failure::new(Kind::Failed, what)
}

fn wanted(partitions: &[i32], name: &Text, topic: &Topic) -> Result<Vec<PartitionIndex>, Failure> {
    let there: Vec<PartitionIndex> = topic.partitions.iter().map(|p| p.index).collect();
    if partitions.is_empty() {
        return Ok(there);
    }
    let wanted = partitions.iter().map(|index| PartitionIndex::new(*index));
    wanted
        .map(|partition| {
            let what = format!("topic '{name}' has no partition {partition}");
            let absent = Failure::new(Kind::NotFound, what);
            there
                .contains(&partition)
                .then_some(partition)
                .ok_or(absent)
        })
        .collect()
}

fn of_leaders(topic: &Topic, wanted: &[PartitionIndex]) -> BTreeMap<NodeId, Vec<PartitionIndex>> {
    let mut leaders: BTreeMap<NodeId, Vec<PartitionIndex>> = BTreeMap::new();
    for partition in topic
        .partitions
        .iter()
        .filter(|p| wanted.contains(&p.index))
    {
        leaders
            .entry(partition.leader)
            .or_default()
            .push(partition.index);
    }
    leaders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_broker_told_is_never_taken_for_the_end() {
        let time = Place::Time(engine_model::Timestamp(7));
        for (place, end, of_time, kept) in [
            (&Place::Offset(5), None, None, Some(5)),
            (&Place::End, Some(9), None, Some(9)),
            (&Place::End, None, None, None),
            (&time, Some(9), Some(4), Some(4)),
            (&time, Some(9), Some(0), Some(0)),
            (&time, Some(9), Some(-1), Some(9)),
            (&time, None, Some(-1), None),
            (&time, Some(9), None, None),
        ] {
            assert_eq!(cut(place, end, of_time), kept);
        }
    }
}
