//! Starting the binary: settings, directories and ports that are wrong, and clean stops.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tests_clients::{Broker, BrokerOptions, Output, consume_partition, produce_partition, run};

/// Starts a broker that is to refuse: on this directory, on a free port, with further arguments.
fn start(data: &Path, further: &[&str]) -> Output {
    start_at("127.0.0.1:0", data, further)
}

fn start_at(listen: &str, data: &Path, further: &[&str]) -> Output {
    run(Command::new(tests_binary::path())
        .args(["start", "--listen", listen, "--data-dir"])
        .arg(data)
        .args(further))
}

#[test]
fn an_unknown_setting_is_refused_with_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = start(&data, &["-X", "log.segment.byts=1048576"]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(
        output.stderr.contains("log.segment.byts"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("log.segment.bytes"),
        "{}",
        output.stderr
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_wrong_value_in_a_file_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odradek.toml");
    fs::write(
        &file,
        "\"num.partitions\" = 3\n\"log.segment.bytes\" = \"many\"\n",
    )
    .unwrap();
    let data = folder.path().join("data");
    let output = start(&data, &["--config", file.to_str().unwrap()]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(
        output.stderr.contains("log.segment.bytes"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("many"), "{}", output.stderr);
    assert!(
        output.stderr.contains("odradek.toml:2"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_data_directory_in_use_is_refused() {
    let broker = Broker::with_defaults();
    let data = broker.data_directory();
    let output = start(&data, &[]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("in use"), "{}", output.stderr);
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letters.txt"), "dear").unwrap();
    let output = start(folder.path(), &[]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    let data = folder.path().to_str().unwrap();
    assert!(output.stderr.contains(data), "{}", output.stderr);
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["letters.txt"]);
}

#[test]
fn a_port_of_another_broker_is_refused() {
    let broker = Broker::with_defaults();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = start_at(broker.address(), &data, &[]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(
        output.stderr.contains(broker.address()),
        "{}",
        output.stderr
    );
}

#[test]
fn a_clean_stop_ends_with_0_and_keeps_everything() {
    let mut broker = Broker::with_defaults();
    produce_partition(
        broker.address(),
        "kept",
        0,
        &[],
        &["a".to_owned(), "b".to_owned()],
    );
    let status = broker.stop();
    assert_eq!(status.code(), Some(0), "{}", broker.said());
    broker.restart();
    let seen = consume_partition(broker.address(), "kept", 0, "beginning");
    assert_eq!(seen, [(0, "a".to_owned()), (1, "b".to_owned())]);
}

#[test]
fn what_it_writes_is_for_its_user_only() {
    let broker = Broker::with_defaults();
    broker.create_topic("private", 2);
    produce_partition(broker.address(), "private", 0, &[], &["a".to_owned()]);
    let mut folders = vec![broker.data_directory()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(
            fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 0, "no file seen");
}

#[test]
fn an_ephemeral_broker_leaves_nothing() {
    let mut broker = Broker::start(BrokerOptions {
        is_ephemeral: true,
        ..BrokerOptions::default()
    });
    produce_partition(broker.address(), "gone", 0, &[], &["a".to_owned()]);
    let said = broker.said();
    let line = said
        .lines()
        .find(|line| line.trim_start().starts_with("data "))
        .expect("a banner");
    let folder = line
        .split_whitespace()
        .nth(1)
        .map(std::path::PathBuf::from)
        .expect("a path");
    assert!(folder.is_dir(), "{said}");
    assert_eq!(broker.stop().code(), Some(0), "{}", broker.said());
    assert!(!folder.exists(), "{}", broker.said());
}

#[test]
fn a_directory_of_a_newer_format_is_refused_and_left_alone() {
    let mut broker = Broker::with_defaults();
    assert_eq!(broker.stop().code(), Some(0), "{}", broker.said());
    let current = broker.data_directory().join("CURRENT");
    let mut bytes = fs::read(&current).unwrap();
    // Layout: format at 8, length at 12, checksum at 16 over all but itself.
    let length = usize::try_from(u32::from_le_bytes(bytes[12..16].try_into().unwrap())).unwrap();
    bytes[8] += 1;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[20..length]);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
    fs::write(&current, &bytes).unwrap();
    let data = broker.data_directory();
    let output = start(&data, &[]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("newer"), "{}", output.stderr);
    assert_eq!(fs::read(&current).unwrap(), bytes);
}
