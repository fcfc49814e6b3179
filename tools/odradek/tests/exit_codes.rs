//! Each kind of failure has its exit code, says what, why and what to do on stderr, and nothing on
//! stdout.

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

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Node, ODRADEK, Output, odradek, signal};

fn fails(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output:#?}");
    assert_eq!(output.text(), "", "{output:#?}");
    for word in words {
        assert!(
            output.stderr.contains(word),
            "{word:?} is not in {output:#?}"
        );
    }
}

#[test]
fn what_a_broker_refuses_has_the_code_of_its_kind() {
    let node = Node::ephemeral();
    node.run(&["topic", "create", "here", "-p", "2"]).good();
    for (arguments, code, words) in [
        (
            &["topic", "describe", "nowhere"][..],
            5,
            &["no topic 'nowhere'", "odradek topic list"][..],
        ),
        (&["topic", "delete", "nowhere", "--yes"], 5, &["'nowhere'"]),
        (&["record", "consume", "nowhere", "-e"], 5, &["'nowhere'"]),
        (
            &["record", "consume", "here", "-p", "2", "-e"],
            5,
            &["no partition 2", "it has 2"],
        ),
        (
            &["topic", "create", "here"],
            6,
            &["'here'", "already exists"],
        ),
        (
            &["topic", "create", "a/b"],
            1,
            &["'a/b'", "INVALID_TOPIC_EXCEPTION"],
        ),
        (
            &["topic", "create", "new", "-c", "nonsense=1"],
            1,
            &["nonsense"],
        ),
        (
            &["topic", "alter", "here", "-c", "nonsense=1"],
            1,
            &["topic 'here'", "nonsense", "INVALID_CONFIG"],
        ),
        (
            &[
                "config",
                "set",
                "--topic",
                "here",
                "retention.ms=soon",
                "--dry-run",
            ],
            1,
            &["Not a number of type LONG"],
        ),
        (
            &["config", "set", "--topic", "nowhere", "retention.ms=5"],
            5,
            &["'nowhere'"],
        ),
        (
            &["config", "unset", "--broker", "77", "log.retention.ms"],
            5,
            &["no broker 77"],
        ),
        (
            &["config", "set", "--all-brokers", "num.partitions=5"],
            1,
            &[
                "all brokers",
                "Cannot update these configs dynamically: [num.partitions]",
            ],
        ),
        (
            &["topic", "create", "new", "-r", "3"],
            1,
            &["INVALID_REPLICATION_FACTOR"],
        ),
        (
            &[
                "record", "consume", "here", "--from", "7", "-p", "0", "-n", "1",
            ],
            1,
            &["offset 7"],
        ),
    ] {
        fails(&node.run(arguments), code, words);
    }
    // The one that can be created is; the other one is told.
    let output = node.run(&["topic", "create", "also", "here"]);
    assert_eq!(output.code, Some(6), "{output:#?}");
    assert!(output.text().contains("also"), "{output:#?}");
    assert!(!output.text().contains("here"), "{output:#?}");
    node.run(&["topic", "create", "here", "--if-not-exists"])
        .good();
    node.run(&["topic", "create", "dry", "--dry-run"]).good();
    fails(&node.run(&["topic", "describe", "dry"]), 5, &[]);
}

#[test]
fn wrong_usage_is_2_before_anything_is_done() {
    for (arguments, words) in [
        (&["nonsense"][..], &["unrecognized subcommand"][..]),
        (&["topic"], &["Usage"]),
        (&["topic", "create"], &["TOPIC"]),
        (&["topic", "create", "a", "-p", "0"], &["0"]),
        (&["topic", "create", "a", "-c", "x"], &["-c KEY=VALUE"]),
        (&["topic", "alter", "a"], &["--partitions", "--config"]),
        (&["config", "set", "--topic", "a"], &["KEY=VALUE"]),
        (&["config", "set", "a=1"], &["--topic", "--all-brokers"]),
        (&["config", "set", "--topic", "a", "x"], &["KEY=VALUE"]),
        (&["topic", "delete", "a"], &["--yes"]),
        (&["topic", "list", "-X", "aks=1"], &["aks"]),
        (
            &["topic", "list", "-X", "ack=1"],
            &["did you mean \"acks\""],
        ),
        (&["topic", "list", "--timeout", "soon"], &["10s"]),
        (
            &["record", "consume", "a", "--from", "noon"],
            &["--from", "earliest"],
        ),
        (&["record", "consume", "a", "--format", "%q"], &["%q"]),
        (&["record", "produce", "a", "-H", "x"], &["NAME=VALUE"]),
        (&["--ephemeral", "topic", "list"], &["odradek start"]),
        (&["start", "--durability", "maybe"], &["fsync", "written"]),
        (
            &["start", "--data-dir", "x", "--ephemeral"],
            &["cannot be used with"],
        ),
    ] {
        fails(&odradek(arguments), 2, words);
    }
}

#[test]
fn wrong_settings_are_2_with_place_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let toml = file(
        "wrong.toml",
        "\"num.partitions\" = 3\n\"log.retention.mss\" = 1\n",
    );
    let properties = file("server.properties", "# Kafka's\nnum.partitions=none\n");
    let absent = folder.path().join("absent.toml");
    for (arguments, words) in [
        (
            &["-X", "num.partition=1"][..],
            &["num.partition", "did you mean \"num.partitions\"", "-X"][..],
        ),
        (&["-X", "num.partitions"], &["KEY=VALUE"]),
        (&["-X", "num.partitions=many"], &["many", "num.partitions"]),
        (&["--config", &toml], &["wrong.toml:2", "log.retention.ms"]),
        (&["--config", &properties], &["server.properties:2", "none"]),
        (&["--config", absent.to_str().unwrap()], &["absent.toml"]),
        (&["--listen", "nowhere"], &["--listen", "nowhere"]),
        (&["--shards", "100000"], &["shards"]),
    ] {
        let mut all = vec!["start", "--ephemeral"];
        all.extend(arguments);
        fails(&odradek(&all), 2, words);
    }
    let mut command = Command::new(ODRADEK);
    command
        .args(["start", "--ephemeral"])
        .env("ODRADEK__NUM_PARTITIONS", "few");
    fails(
        &support::run(command, b""),
        2,
        &["ODRADEK__NUM_PARTITIONS", "few"],
    );
}

#[test]
fn a_directory_or_port_that_is_taken_is_refused_and_the_owner_goes_on() {
    let node = Node::start(&["--data-dir", "data", "--listen", "127.0.0.1:0"]);
    let data = node.folder.path().join("data");
    let data = data.to_str().unwrap();
    fails(
        &odradek(&["start", "--data-dir", data, "--listen", "127.0.0.1:0"]),
        2,
        &[data, "--data-dir"],
    );
    fails(
        &odradek(&["start", "--ephemeral", "--listen", &node.address]),
        1,
        &[&node.address, "--listen"],
    );
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("thesis.txt"), "mine").unwrap();
    let path = foreign.path().to_str().unwrap();
    fails(
        &odradek(&["start", "--data-dir", path, "--listen", "127.0.0.1:0"]),
        2,
        &[path],
    );
    let left: Vec<_> = std::fs::read_dir(foreign.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    node.run(&["topic", "list"]).good();
}

#[test]
fn no_broker_is_3_and_a_silent_one_is_7() {
    // Bound and closed again: nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    fails(
        &odradek(&["topic", "list", "-b", &closed]),
        3,
        &[&closed, "Connection refused", "odradek start"],
    );
    fails(
        &odradek(&["topic", "list", "-b", "no.such.host.invalid:1"]),
        3,
        &["no.such.host"],
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    fails(
        &odradek(&["topic", "list", "-b", &address, "--timeout", "300ms"]),
        7,
        &[&address],
    );
    // One that is no broker at all.
    std::thread::spawn(move || {
        use std::io::Write;
        while let Ok((mut stream, _)) = silent.accept() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let output = odradek(&["topic", "list", "-b", &address, "--timeout", "5s"]);
    fails(&output, 3, &["is this a Kafka broker?"]);
}

#[test]
fn ctrl_c_ends_a_command_with_130_and_a_broker_with_0() {
    let mut node = Node::ephemeral();
    node.run(&["topic", "create", "quiet"]).good();
    let consumer = Command::new(ODRADEK)
        .args([
            "record",
            "consume",
            "quiet",
            "-b",
            &node.address,
            "--from",
            "earliest",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The signal may come before the command has begun to watch for it: then it ends by the signal
    // itself, which a shell also calls 130.
    node.run_with_input(&["record", "produce", "quiet"], b"x\n")
        .good();
    let mut byte = [0];
    let mut consumer = consumer;
    std::io::Read::read_exact(consumer.stdout.as_mut().unwrap(), &mut byte).unwrap();
    signal(&consumer, "INT");
    assert_eq!(consumer.wait().unwrap().code(), Some(130));

    node.signal("INT");
    let mut waited = 0;
    let status = loop {
        if let Some(status) = node.child.try_wait().unwrap() {
            break status;
        }
        waited += 1;
        assert!(waited < 3000, "the broker does not stop");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let node = Node::ephemeral();
    let lines: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
    node.run_with_input(&["record", "produce", "many"], lines.as_bytes())
        .good();
    let output = node.shell("{ odradek record consume many -e; echo $? >&2; } | head -n 1");
    assert_eq!(output.text().lines().count(), 1, "{output:#?}");
    assert_eq!(output.stderr, "0\n", "{output:#?}");
}
