//! Every command has one line of help and two examples, and the examples work as they stand.

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

use std::process::Command;
use support::{Node, launch, odradek, path_with_odradek, signal};

/// The names in the list of commands of a help text.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Every command that does something: `start`, `topic list`...
fn verbs() -> Vec<Vec<String>> {
    let mut verbs = Vec::new();
    for noun in commands(odradek(&["--help"]).good().text()) {
        let inner = commands(odradek(&[&noun, "--help"]).good().text());
        if inner.is_empty() {
            verbs.push(vec![noun]);
        } else {
            verbs.extend(inner.into_iter().map(|verb| vec![noun.clone(), verb]));
        }
    }
    verbs
}

fn help(verb: &[String]) -> String {
    let mut arguments: Vec<&str> = verb.iter().map(String::as_str).collect();
    arguments.push("--help");
    odradek(&arguments).good().text().to_owned()
}

fn examples(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Examples:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn every_command_has_one_line_of_help_and_two_examples() {
    let verbs = verbs();
    let names: Vec<String> = verbs.iter().map(|verb| verb.join(" ")).collect();
    assert_eq!(
        names,
        [
            "start",
            "doctor",
            "topic list",
            "topic describe",
            "topic create",
            "topic alter",
            "topic offsets",
            "topic trim",
            "topic delete",
            "record produce",
            "record consume",
            "record cat",
            "bench produce",
            "bench fetch",
            "bench e2e",
            "log dump",
            "log stat",
            "log verify",
            "storage repair",
            "cluster describe",
            "config show",
            "config set",
            "config unset",
            "config explain",
            "completion"
        ]
    );
    for verb in verbs {
        let help = help(&verb);
        let mut lines = help.lines();
        let first = lines.next().unwrap();
        assert!(!first.is_empty() && first.len() <= 80, "{verb:?}: {first}");
        assert_eq!(lines.next(), Some(""), "{verb:?}: more than one line");
        let examples = examples(&help);
        assert_eq!(examples.len(), 2, "{verb:?}: {examples:?}");
        for example in examples {
            assert!(
                example.contains(&format!("odradek {}", verb[0])),
                "{example}"
            );
        }
    }
}

#[test]
fn the_examples_of_topics_and_records_work_in_the_order_of_a_topics_life() {
    let node = Node::start(&["--data-dir", "odradek-data", "--listen", "127.0.0.1:0"]);
    let order = ["create", "produce", "consume", "cat", "delete"];
    let place = |verb: &[String]| match verb.last().map(String::as_str) {
        // What makes records go comes when everything else has seen them.
        Some("trim") => order.len(),
        Some("delete") => order.len() + 1,
        last => order
            .iter()
            .position(|name| Some(*name) == last)
            .unwrap_or(order.len() - 1),
    };
    let mut verbs = verbs();
    // Those of storage need a broker that is stopped: tests/repair.rs.
    verbs.retain(|verb| !["start", "bench", "storage"].contains(&verb[0].as_str()));
    verbs.sort_by_key(|verb| place(verb));
    for verb in verbs {
        for example in examples(&help(&verb)) {
            let output = node.shell(&example);
            // Of the machine it runs on a doctor may have something to say.
            let is_fine = output.code == Some(0) || verb[0] == "doctor" && output.code == Some(1);
            assert!(is_fine, "{example}: {output:#?}");
            // What verifies tells of what is wrong, and here nothing is.
            let is_silent = ["record produce", "cat -P", "log verify odradek-data"]
                .iter()
                .any(|silent| example.contains(silent) && !example.contains("--json"));
            assert_eq!(
                output.stdout.is_empty(),
                is_silent,
                "{example}: {output:#?}"
            );
            assert_eq!(output.stderr, "", "{example}");
        }
    }
}

#[test]
fn the_examples_of_bench_measure_what_they_say() {
    let node = Node::ephemeral();
    let mut verbs = verbs();
    verbs.retain(|verb| verb[0] == "bench");
    assert!(!verbs.is_empty());
    for verb in verbs {
        for example in examples(&help(&verb)) {
            let output = node.shell(&example);
            assert_eq!(output.code, Some(0), "{example}: {output:#?}");
            assert!(
                output.text().starts_with("FIGURE"),
                "{example}: {output:#?}"
            );
        }
    }
}

#[test]
fn the_examples_of_start_serve_until_they_are_told_to_stop() {
    for example in examples(&help(&["start".to_owned()])) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec {example}")])
            .env("PATH", path_with_odradek());
        let (child, address) = launch(command, folder.path());
        odradek(&["topic", "list", "-b", &address]).good();
        signal(&child, "TERM");
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{example}");
        assert_eq!(output.stdout, b"", "{example}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(
            left.is_empty(),
            example.contains("--ephemeral"),
            "{example}: {left:?}"
        );
    }
}
