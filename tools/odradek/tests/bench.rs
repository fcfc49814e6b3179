//! The load program against a real broker: its counts are those of the log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::format_collect,
    clippy::zombie_processes,
    reason = "test code: a failure is the report"
)]

#[path = "support/node.rs"]
mod support;

use serde_json::Value;
use support::Node;

/// Runs a command and gives its one item.
fn item(node: &Node, arguments: &[&str]) -> Value {
    let output = node.run(&[arguments, &["-o", "json"]].concat()).good();
    let mut value: Value = serde_json::from_str(output.text()).unwrap();
    value["items"][0].take()
}

/// Records in the topic, by its offsets.
fn records_in(node: &Node, topic: &str) -> u64 {
    let output = node.run(&["topic", "offsets", topic, "-o", "json"]).good();
    let value: Value = serde_json::from_str(output.text()).unwrap();
    let rows = value["items"].as_array().unwrap();
    rows.iter()
        .map(|row| row["end_offset"].as_u64().unwrap() - row["start_offset"].as_u64().unwrap())
        .sum()
}

#[test]
fn what_was_counted_is_what_is_in_the_log() {
    let node = Node::ephemeral();
    let pid = node.child.id().to_string();
    for (topic, options) in [
        ("plain", "--batch-size 4KiB"),
        ("one", "--batch-size 1 --window 1 --records 50"),
        ("none", "--acks 0 --partitions 2 --connections 3"),
        ("leader", "--acks 1 -z lz4 --connections 2"),
        (
            "groups",
            "-p 5 --partitions-per-request 2 --acks all -z zstd",
        ),
        (
            "spread",
            "-p 4 --connections 2 --partitions-per-request 2 -z gzip",
        ),
        (
            "numbered",
            "--idempotent -p 3 --connections 2 --batch-size 2KiB",
        ),
        ("paced", "--rate 20000/s --batch-size 2KiB -z snappy"),
        ("warmed", "--warmup 100ms"),
    ] {
        let mut arguments = vec!["bench", "produce", "--topic", topic, "--broker-pid", &pid];
        arguments.extend(options.split(' '));
        if !options.contains("--records") {
            arguments.extend(["--records", "1000"]);
        }
        let report = item(&node, &arguments);
        let (load, settings) = (&report["load"], &report["settings"]);
        let records = load["records"].as_u64().unwrap();
        // Whole requests are sent, so there may be some more.
        assert!(
            records >= if topic == "one" { 50 } else { 1000 },
            "{topic}: {report:#}"
        );
        let warmup = load["warmup_records"].as_u64().unwrap();
        assert_eq!(warmup > 0, topic == "warmed");
        // With acks 0 the broker has read them all, and may still be writing.
        let mut found = records_in(&node, topic);
        while topic == "none" && found < records + warmup {
            found = records_in(&node, topic);
        }
        assert_eq!(found, records + warmup, "{topic}: {report:#}");
        assert_eq!(load["bytes"], records * 1024);
        assert_eq!(report["latency"]["count"], load["requests"]);
        let each = settings["records_per_batch"].as_u64().unwrap();
        assert_eq!(records % each, 0);
        assert!(report["cost"]["broker_cpu_s"].is_f64(), "{topic}");
        assert!(report["cost"]["broker_rss_bytes"].as_u64().unwrap() > 1 << 20);
        let file_systems = report["broker_file_systems"].as_array().unwrap();
        assert!(!file_systems.is_empty(), "{report:#}");
        let command = report["broker_command"].as_str().unwrap();
        assert!(command.contains("start --ephemeral"), "{command}");

        // And all of it can be read, once and again, batch by batch and record by record.
        for more in [
            "--verify",
            "--sessions",
            "--partition-max-bytes 5000 --connections 2",
        ] {
            let wanted = ((records + warmup) * 2).to_string();
            let mut arguments = vec!["bench", "fetch", "--topic", topic, "--records", &wanted];
            arguments.extend(more.split(' '));
            let report = item(&node, &arguments);
            let found = report["load"]["records"].as_u64().unwrap();
            assert!(found >= (records + warmup) * 2, "{topic}: {report:#}");
        }
    }
}

#[test]
fn what_is_produced_end_to_end_is_all_received() {
    let node = Node::ephemeral();
    for (topic, options) in [
        ("a", "--rate 200/s --batch-size 1 --records 40"),
        (
            "b",
            "-p 3 --connections 3 --rate 2MB/s --records 600 -z lz4 --sessions",
        ),
        // The same again: reading begins where the topic ends.
        (
            "a",
            "--rate 200/s --batch-size 1 --records 40 --acks 0 --warmup 100ms",
        ),
    ] {
        let mut arguments = vec!["bench", "e2e", "--topic", topic];
        arguments.extend(options.split(' '));
        let before = match topic {
            "a" if options.contains("warmup") => records_in(&node, topic),
            _ => 0,
        };
        let report = item(&node, &arguments);
        let batches = report["load"]["requests"].as_u64().unwrap();
        // One batch a request, each received once.
        assert_eq!(report["latency"]["count"], batches, "{report:#}");
        assert_eq!(report["ack_latency"]["count"], batches);
        assert_eq!(report["lateness"]["count"], batches);
        let records = report["load"]["records"].as_u64().unwrap();
        let warmup = report["load"]["warmup_records"].as_u64().unwrap();
        assert_eq!(records_in(&node, topic), before + records + warmup);
    }
}

#[test]
fn what_cannot_be_measured_is_said_in_words_and_codes() {
    let node = Node::ephemeral();
    node.run(&["topic", "create", "empty"]).good();
    for (arguments, code, word) in [
        ("fetch --topic missing", 5, "missing"),
        ("fetch --topic empty", 2, "no records"),
        (
            "produce --topic empty -p 9 --records 1",
            2,
            "1 partitions, 9",
        ),
        ("produce --idempotent --acks 1", 2, "acks all"),
        ("produce --broker-pid 4194305", 2, "no process 4194305"),
        ("produce --batch-size 1GiB", 2, "--batch-size"),
        ("e2e --connections 2 -p 1 --topic empty", 2, "of its own"),
        (
            "produce --record-size 2MiB --topic empty --records 1",
            1,
            "MESSAGE_TOO_LARGE",
        ),
    ] {
        let mut all = vec!["bench"];
        all.extend(arguments.split(' '));
        let output = node.run(&all);
        assert_eq!(output.code, Some(code), "{arguments}: {output:#?}");
        assert!(output.stderr.contains(word), "{arguments}: {output:#?}");
    }
}
