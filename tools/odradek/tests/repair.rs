//! `storage repair` over the files of a real broker, as its examples have it.

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
use std::path::Path;
use support::{Node, odradek};

fn start(folder: tempfile::TempDir) -> Node {
    let data = folder.path().join("odradek-data");
    let data = data.to_str().unwrap();
    let mut node = Node::start(&["--data-dir", data, "--listen", "127.0.0.1:0"]);
    node.folder = folder;
    node
}

fn stop(mut node: Node) -> tempfile::TempDir {
    node.signal("TERM");
    node.child.wait().unwrap();
    std::mem::replace(&mut node.folder, tempfile::tempdir().unwrap())
}

fn repair(data: &Path, more: &[&str]) -> (Vec<Value>, Option<i32>) {
    let mut arguments = vec!["storage", "repair", data.to_str().unwrap(), "--json"];
    arguments.extend(more);
    let output = odradek(&arguments);
    let json: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:#?}"));
    (json["items"].as_array().unwrap().clone(), output.code)
}

#[test]
fn a_rotten_block_is_told_given_up_only_when_asked_and_the_rest_is_served() {
    let node = start(tempfile::tempdir().unwrap());
    node.run(&["topic", "create", "kept"]).good();
    // Batches that are extents by themselves.
    for round in 0..4 {
        let line = format!("{round}{}\n", "x".repeat(300_000));
        node.run_with_input(&["record", "produce", "kept"], line.as_bytes())
            .good();
    }
    let data = node.folder.path().join("odradek-data");
    let refused = odradek(&["storage", "repair", data.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "in use: {refused:#?}");
    let folder = stop(node);
    assert_eq!(repair(&data, &[]), (vec![], Some(0)));
    let example = odradek(&["storage", "repair", data.to_str().unwrap()]);
    assert!(example.good().text().starts_with("LOG"));

    let segment = std::fs::read_dir(data.join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes
        .windows(3)
        .position(|window| window == b"1xx")
        .unwrap();
    bytes[at] ^= 4;
    std::fs::write(&segment, &bytes).unwrap();
    let (planned, code) = repair(&data, &[]);
    assert_eq!((planned.len(), code), (1, Some(1)), "{planned:#?}");
    assert_eq!(planned[0]["topic"], "kept");
    assert_eq!(
        planned[0]["lost"],
        serde_json::json!([{"first_offset": 1, "last_offset": 1}])
    );
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
    let (other, code) = repair(&data, &["--accept-loss", "--log", "9.0.9"]);
    assert_eq!((other, code), (vec![], Some(1)), "another log");
    let (done, code) = repair(&data, &["--accept-loss"]);
    assert_eq!(code, Some(0));
    assert_eq!(done[0]["lost"], planned[0]["lost"]);
    assert_eq!(repair(&data, &[]), (vec![], Some(0)));
    let kept = std::fs::read_dir(&data).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        (name.starts_with("repair-")).then_some(name)
    });
    assert_eq!(kept.count(), 2, "what was given up is kept in a file");
    odradek(&["log", "verify", data.to_str().unwrap()]).good();

    let node = start(folder);
    let read = node.run(&["record", "consume", "kept", "--from", "earliest", "-e"]);
    let lines = read.good();
    let firsts: Vec<char> = lines
        .text()
        .lines()
        .filter_map(|line| line.chars().next())
        .collect();
    assert_eq!(firsts, ['0', '2', '3']);
}
