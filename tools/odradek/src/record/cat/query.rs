//! `-Q`: offsets by time.

use super::envelope::text;
use super::letters::Letters;
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use crate::topic;
use engine_model::{PartitionIndex, Timestamp};
use net_protocol::Text;
use std::io::{self, BufWriter, Write};

/// What is asked, and the offset that was found.
struct Question {
    topic: Text,
    partition: PartitionIndex,
    at: Timestamp,
    offset: i64,
}

/// Runs it.
pub fn run(driver: &mut Driver, letters: &Letters) -> Result<(), Failure> {
    let mut questions = letters
        .topics
        .iter()
        .map(|text| parse(text))
        .collect::<Result<Vec<_>, Failure>>()?;
    if questions.is_empty() {
        let what = "-t TOPIC:PARTITION:TIMESTAMP is missing";
        return Err(Failure::new(Kind::Usage, what));
    }
    // The order in which kcat answers.
    questions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
    for question in &mut questions {
        let name = question.topic.clone();
        let Some((_, topic)) = topic::find::topics(driver, std::slice::from_ref(&name))?.pop()
        else {
            return Err(topic::not_found(&name));
        };
        if !topic
            .partitions
            .iter()
            .any(|p| p.index == question.partition)
        {
            let what = format!("topic '{name}' has no partition {}", question.partition);
            return Err(Failure::new(Kind::NotFound, what));
        }
        let found = topic::find::offsets(driver, &name, &topic, question.at)?;
        question.offset = found
            .get(&question.partition)
            .map_or(-1, |(offset, _)| *offset);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    if letters.is_json {
        json(&mut out, &questions)?;
    } else {
        for question in &questions {
            let Question {
                topic,
                partition,
                offset,
                ..
            } = question;
            writeln!(out, "{topic} [{partition}] offset {offset}")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn parse(text: &str) -> Result<Question, Failure> {
    let mut parts = text.rsplitn(3, ':');
    let parsed = (|| {
        let at = parts.next()?.parse().ok()?;
        let partition = parts.next()?.parse().ok()?;
        let topic = parts.next().filter(|topic| !topic.is_empty())?;
        Some(Question {
            topic: Text::from(topic),
            partition: PartitionIndex::new(partition),
            at: Timestamp(at),
            offset: -1,
        })
    })();
    let what = format!("-t: {text:?} is not TOPIC:PARTITION:TIMESTAMP");
    parsed.ok_or_else(|| Failure::new(Kind::Usage, what))
}

/// Partitions of a topic that follow one another are in one object, as in kcat.
fn json(out: &mut impl Write, questions: &[Question]) -> io::Result<()> {
    write!(out, "{{")?;
    for (place, same) in questions.chunk_by(|a, b| a.topic == b.topic).enumerate() {
        let Some(first) = same.first() else { continue };
        if place > 0 {
            write!(out, ",")?;
        }
        text(out, Some(first.topic.as_bytes()))?;
        write!(out, ":{{\"topic\":")?;
        text(out, Some(first.topic.as_bytes()))?;
        for Question {
            partition, offset, ..
        } in same
        {
            write!(
                out,
                ",\"{partition}\":{{\"partition\":{partition},\"offset\":{offset}}}"
            )?;
        }
        write!(out, "}}")?;
    }
    write!(out, "}}")
}
