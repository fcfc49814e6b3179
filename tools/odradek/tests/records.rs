//! What goes in with `record produce` comes out of `record consume`.

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

use support::Node;

#[test]
fn every_compression_and_acks_makes_the_round_trip_over_all_partitions() {
    let node = Node::ephemeral();
    node.run(&["topic", "create", "trip", "-p", "5"]).good();
    let mut expected = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for acks in ["0", "1", "all"] {
            let mut lines = String::new();
            for n in 0..500 {
                let line = format!("key {n}:{codec} {acks} {n}");
                expected.push(line.replacen(':', " ", 1));
                lines.push_str(&line);
                lines.push('\n');
            }
            node.run_with_input(
                &[
                    "record", "produce", "trip", "-K", ":", "-z", codec, "--acks", acks,
                ],
                lines.as_bytes(),
            )
            .good();
        }
    }
    let output = node
        .run(&["record", "consume", "trip", "-e", "--format", "%p %k %v\\n"])
        .good();
    let mut found = Vec::new();
    let mut partition_of = std::collections::BTreeMap::new();
    for line in output.text().lines() {
        let (partition, rest) = line.split_once(' ').unwrap();
        let key: Vec<&str> = rest.split(' ').take(2).collect();
        let first = partition_of.entry(key.join(" ")).or_insert(partition);
        assert_eq!(*first, partition, "{line}: a key stays in its partition");
        found.push(rest.to_owned());
    }
    let partitions: std::collections::BTreeSet<_> = partition_of.values().collect();
    assert_eq!(partitions.len(), 5);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn nulls_headers_and_bytes_that_are_no_text_survive() {
    let node = Node::ephemeral();
    node.run_with_input(
        &[
            "record",
            "produce",
            "odd",
            "-K",
            "=>",
            "-H",
            "a=1",
            "-H",
            "a=",
            "-p",
            "0",
            "--null-value",
            "NULL",
        ],
        b"k\xff=>v\xfe\nNULL=>plain\nkey=>NULL\n=>\ncr=>lf\r\nlast=>line",
    )
    .good();
    let output = node
        .run(&["record", "consume", "odd", "-e", "--json"])
        .good();
    let json: serde_json::Value = serde_json::from_str(output.text()).unwrap();
    let items = json["items"].as_array().unwrap();
    let pairs: Vec<[&serde_json::Value; 4]> = items
        .iter()
        .map(|item| {
            [
                &item["key"],
                &item["key_base64"],
                &item["value"],
                &item["value_base64"],
            ]
        })
        .collect();
    let null = &serde_json::Value::Null;
    let text = |text: &str| serde_json::Value::from(text);
    assert_eq!(
        pairs,
        [
            [null, &text("a/8="), null, &text("dv4=")],
            [null, null, &text("plain"), null],
            [&text("key"), null, null, null],
            [&text(""), null, &text(""), null],
            [&text("cr"), null, &text("lf\r"), null],
            [&text("last"), null, &text("line"), null],
        ]
    );
    for (offset, item) in items.iter().enumerate() {
        assert_eq!(item["offset"], offset);
        assert_eq!(
            item["headers"],
            serde_json::json!([{"key": "a", "value": "1"}, {"key": "a", "value": ""}])
        );
    }
    // The same bytes as they are.
    let output = node
        .run(&[
            "record",
            "consume",
            "odd",
            "--from",
            "0",
            "-n",
            "1",
            "--format",
            "%k|%v|%h|%K %V",
        ])
        .good();
    assert_eq!(output.stdout, b"k\xff|v\xfe|a=1,a=|2 2");
    let lines = node
        .run(&["record", "consume", "odd", "-e", "--format", "json"])
        .good();
    assert_eq!(lines.text().lines().count(), 6);
    let empty = node
        .run(&[
            "record", "consume", "odd", "-e", "--from", "latest", "--json",
        ])
        .good();
    assert_eq!(empty.text(), "{\"items\": []}\n");
}

#[test]
fn reading_begins_where_it_is_told_to() {
    let node = Node::ephemeral();
    node.run(&["topic", "create", "places", "-p", "1"]).good();
    node.run_with_input(&["record", "produce", "places"], b"0\n1\n2\n")
        .good();
    // Two batches that are apart in time.
    std::thread::sleep(std::time::Duration::from_millis(20));
    node.run_with_input(&["record", "produce", "places"], b"3\n4\n")
        .good();
    let times = node
        .run(&["record", "consume", "places", "-e", "--format", "%T\\n"])
        .good();
    let fourth = format!("@{}", times.text().lines().nth(3).unwrap());
    let after_all = "@99999999999999";
    for (from, expected) in [
        ("earliest", "0\n1\n2\n3\n4\n"),
        ("2", "2\n3\n4\n"),
        ("-2", "3\n4\n"),
        ("-99", "0\n1\n2\n3\n4\n"),
        ("1d", "0\n1\n2\n3\n4\n"),
        (fourth.as_str(), "3\n4\n"),
        (after_all, ""),
        ("latest", ""),
        ("5", ""),
    ] {
        let output = node
            .run(&["record", "consume", "places", "-e", "--from", from])
            .good();
        assert_eq!(output.text(), expected, "{from}");
    }
    let output = node
        .run(&["record", "consume", "places", "--from", "1", "-n", "2"])
        .good();
    assert_eq!(output.text(), "1\n2\n");
}

#[test]
fn a_line_without_its_separator_is_told_and_what_stood_before_it_is_sent() {
    let node = Node::ephemeral();
    let output = node.run_with_input(&["record", "produce", "cut", "-K", ":"], b"a:1\nb\nc:3\n");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("line 2"), "{output:#?}");
    let output = node.run(&["record", "consume", "cut", "-e"]).good();
    assert_eq!(output.text(), "1\n");
}

#[test]
fn a_stop_and_a_start_with_other_shards_keep_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut expected = Vec::new();
    for shards in ["1", "3", "2"] {
        let mut node = Node::start(&[
            "--data-dir",
            data,
            "--listen",
            "127.0.0.1:0",
            "--shards",
            shards,
        ]);
        node.run(&["topic", "create", "kept", "-p", "4", "--if-not-exists"])
            .good();
        let lines: String = (0..200).map(|n| format!("{shards}-{n}\n")).collect();
        node.run_with_input(
            &[
                "record",
                "produce",
                "kept",
                "-z",
                "lz4",
                "-X",
                "batch.size=500",
            ],
            lines.as_bytes(),
        )
        .good();
        expected.extend(lines.lines().map(str::to_owned));
        expected.sort();
        let output = node.run(&["record", "consume", "kept", "-e"]).good();
        let mut found: Vec<String> = output.text().lines().map(str::to_owned).collect();
        found.sort();
        assert_eq!(found, expected, "{shards} shards");
        node.signal("TERM");
        assert_eq!(node.child.wait().unwrap().code(), Some(0));
    }
}
