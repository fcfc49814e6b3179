//! kcat, the command line client over librdkafka.

use crate::command::{run, run_with_input};
use std::process::Command;

/// Produces lines to one partition and waits until all are delivered.
pub fn produce_partition(
    address: &str,
    topic: &str,
    partition: usize,
    settings: &[(&str, &str)],
    lines: &[String],
) {
    let mut command = Command::new("kcat");
    command.args([
        "-P",
        "-b",
        address,
        "-t",
        topic,
        "-p",
        &partition.to_string(),
    ]);
    for (key, value) in settings {
        command.arg("-X").arg(format!("{key}={value}"));
    }
    let mut input = lines.join("\n");
    input.push('\n');
    let _delivered = run_with_input(&mut command, input.as_bytes()).expect_success();
}

/// Consumes one partition from `offset` (a number or `beginning`) to its end, as `OFFSET VALUE`.
pub fn consume_partition(
    address: &str,
    topic: &str,
    partition: usize,
    offset: &str,
) -> Vec<(i64, String)> {
    let output = run(Command::new("kcat")
        .args(["-C", "-q", "-e", "-b", address, "-t", topic])
        .args(["-p", &partition.to_string(), "-o", offset, "-f", "%o %s\n"])
        .args(["-X", "check.crcs=true"]))
    .expect_success();
    output
        .text()
        .lines()
        .map(|line| {
            let (offset, value) = line.split_once(' ').expect("OFFSET VALUE");
            (offset.parse().expect("an offset"), value.to_owned())
        })
        .collect()
}
