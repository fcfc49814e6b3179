//! `log dump` and `log stat` over the files a real broker wrote: whole, in use, and damaged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::format_collect,
    clippy::zombie_processes,
    clippy::too_many_lines,
    reason = "test code: a failure is the report"
)]

#[path = "support/node.rs"]
mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::{Node, odradek};

/// A directory with two topics, one of them started twice so that it has segments.
fn written() -> Node {
    let mut node = start(tempfile::tempdir().unwrap());
    node.run(&["topic", "create", "dumped", "-p", "2"]).good();
    for round in 0..2 {
        let lines: String = (0..300).map(|n| format!("k{n}:{round} {n}\n")).collect();
        node.run_with_input(
            &[
                "record",
                "produce",
                "dumped",
                "-K:",
                "-p",
                "1",
                "-z",
                "lz4",
                "-X",
                "batch.size=2000",
            ],
            lines.as_bytes(),
        )
        .good();
        node.run_with_input(
            &["record", "produce", "dumped", "-p", "0", "-H", "h=1"],
            b"\xff\xfe\nplain\n",
        )
        .good();
        if round == 0 {
            node = again(node);
        }
    }
    node
}

fn start(folder: tempfile::TempDir) -> Node {
    let data = folder.path().join("data");
    let mut node = Node::start(&[
        "--data-dir",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    node.folder = folder;
    node
}

/// Kills the broker, so that its lane holds records, and starts another one on its directory.
fn again(node: Node) -> Node {
    start(stop(node, "KILL"))
}

fn stop(mut node: Node, signal: &str) -> tempfile::TempDir {
    node.signal(signal);
    node.child.wait().unwrap();
    std::mem::replace(&mut node.folder, tempfile::tempdir().unwrap())
}

fn items(arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let mut all = arguments.to_vec();
    all.push("--json");
    let output = odradek(&all);
    let json: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {arguments:?} {output:#?}"));
    (json["items"].as_array().unwrap().clone(), output.code)
}

fn of_kind<'a>(items: &'a [Value], kind: &str) -> Vec<&'a Value> {
    items.iter().filter(|item| item["kind"] == kind).collect()
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().unwrap() != "LOCK" {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_produced_is_what_is_dumped_from_a_directory_in_use_and_from_a_stopped_one() {
    let node = written();
    let data = node.folder.path().join("data");
    let data = data.to_str().unwrap().to_owned();
    let expected: Vec<(String, String)> = (0..2)
        .flat_map(|round| (0..300).map(move |n| (format!("k{n}"), format!("{round} {n}"))))
        .collect();
    let look = |place: &str| {
        let (found, code) = items(&[
            "log",
            "dump",
            &data,
            "--topic",
            "dumped",
            "--partition",
            "1",
            "--deep",
        ]);
        assert_eq!(code, Some(0), "{place}");
        let records: Vec<(String, String)> = of_kind(&found, "record")
            .iter()
            .enumerate()
            .map(|(place, record)| {
                assert_eq!(record["offset"], place);
                assert!(record["timestamp"].as_str().unwrap().ends_with('Z'));
                (
                    record["key"].as_str().unwrap().to_owned(),
                    record["value"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        assert_eq!(records, expected, "{place}");
        let batches = of_kind(&found, "batch");
        assert!(batches.len() > 4, "{place}");
        assert!(
            batches
                .iter()
                .all(|batch| batch["codec"] == "lz4" && batch["valid"] == true)
        );

        let (found, code) = items(&[
            "log",
            "dump",
            &data,
            "--topic",
            "dumped",
            "--partition",
            "0",
            "--deep",
        ]);
        assert_eq!(code, Some(0), "{place}");
        let values: Vec<&Value> = of_kind(&found, "record")
            .iter()
            .map(|r| &r["value"])
            .collect();
        let bytes = serde_json::json!({"base64": "//4="});
        assert_eq!(
            values,
            [&bytes, &"plain".into(), &bytes, &"plain".into()],
            "{place}"
        );
        assert_eq!(of_kind(&found, "record")[0]["headers"][0]["key"], "h");

        // The brokers' own log names the topic.
        let (found, _) = items(&[
            "log",
            "dump",
            &data,
            "--topic",
            "__cluster_metadata",
            "--deep",
        ]);
        let told = of_kind(&found, "metadata_record");
        let told = told.iter().filter_map(|item| item["record"].as_str());
        assert!(
            told.filter(|text| text.contains("dumped")).count() == 1,
            "{place}"
        );

        let (rows, code) = items(&["log", "stat", &data]);
        assert_eq!(code, Some(0), "{place}");
        let row = |partition: i32| {
            let row = rows
                .iter()
                .find(|row| row["topic"] == "dumped" && row["partition"] == partition);
            row.unwrap_or_else(|| panic!("{rows:#?}")).clone()
        };
        assert_eq!(row(1)["records"], 600, "{place}");
        assert_eq!(row(1)["end_offset"], 600, "{place}");
        assert_eq!(row(0)["records"], 4, "{place}");
        assert_eq!(row(1)["damaged_places"], 0, "{place}");
        let (lanes, _) = items(&["log", "stat", &data, "--lanes"]);
        assert!(
            lanes.iter().all(|lane| lane["damaged_frames"] == 0),
            "{lanes:#?}"
        );
        assert_eq!(
            items(&["log", "verify", &data]),
            (vec![], Some(0)),
            "{place}"
        );
        row(1)["lane_batches"].as_u64().unwrap()
    };
    assert!(look("in use") > 0, "the lane holds the last round");
    let folder = stop(node, "TERM");
    look("stopped");
    // Every file by itself, and the whole as it lies in the files.
    for path in files(&folder.path().join("data")) {
        let (found, code) = items(&["log", "dump", path.to_str().unwrap(), "--deep"]);
        assert_eq!(code, Some(0), "{path:?}: {found:#?}");
        let (found, code) = items(&["log", "verify", path.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{path:?}: {found:#?}");
    }
    let (found, code) = items(&["log", "dump", &data, "--physical", "--deep"]);
    assert_eq!(code, Some(0));
    assert!(of_kind(&found, "record").len() >= 604);
    let text = odradek(&["log", "dump", &data, "--topic", "dumped", "--deep"]).good();
    assert!(
        text.text()
            .contains(" keySize: 2 valueSize: 3 sequence: 0 headerKeys: [] key: k0 payload: 0 0\n")
    );
    assert!(text.text().contains("baseOffset: 0 lastOffset: "));
    assert_eq!(
        odradek(&["log", "dump", &data, "--topic", "nowhere"]).code,
        Some(5)
    );
    assert_eq!(odradek(&["log", "dump", "/no/such/place"]).code, Some(5));
    assert_eq!(odradek(&["log", "stat", "/"]).code, Some(5));
    assert_eq!(odradek(&["log", "verify", "/"]).code, Some(5));
}

/// A repeatable stream of numbers.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 16
}

#[test]
fn a_damaged_file_is_told_with_its_place_and_never_upsets_the_reader() {
    let folder = stop(written(), "KILL");
    let data = folder.path().join("data");
    let mut state = 42;
    let mut told = 0;
    for path in files(&data) {
        let whole = std::fs::read(&path).unwrap();
        let used = whole
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |place| place + 1);
        if used == 0 {
            continue;
        }
        for round in 0..3 {
            let mut bytes = whole.clone();
            let at = usize::try_from(next(&mut state)).unwrap() % used;
            match round {
                // Cut short, and blocks swapped; else a bit turned.
                0 => bytes.truncate(at),
                1 => {
                    let block = at / 4096 * 4096;
                    let end = (block + 4096).min(bytes.len());
                    bytes.copy_within(0..end - block, block);
                    if block == 0 {
                        bytes[at] ^= 1;
                    }
                }
                _ => bytes[at] ^= 1 << (at % 8),
            }
            std::fs::write(&path, &bytes).unwrap();
            for arguments in [
                &["log", "dump", path.to_str().unwrap(), "--deep"][..],
                &["log", "dump", data.to_str().unwrap(), "--deep"],
                &["log", "stat", data.to_str().unwrap()],
                &["log", "verify", data.to_str().unwrap()],
                &["log", "verify", path.to_str().unwrap()],
            ] {
                let output = odradek(arguments);
                let code = output
                    .code
                    .unwrap_or_else(|| panic!("{arguments:?} {output:#?}"));
                assert!(code == 0 || code == 1, "{path:?} {arguments:?} {output:#?}");
                assert!(!output.stderr.contains("panicked"), "{output:#?}");
                if code == 1 {
                    told += 1;
                }
            }
        }
        std::fs::write(&path, &whole).unwrap();
    }
    assert!(told > 5, "{told}");
    odradek(&["log", "stat", data.to_str().unwrap()]).good();
}

#[test]
fn a_turned_bit_of_a_segment_names_the_file_and_the_place_and_the_rest_is_shown() {
    let folder = stop(again(written()), "KILL");
    let data = folder.path().join("data");
    let data_text = data.to_str().unwrap();
    let (before, code) = items(&["log", "dump", data_text, "--topic", "dumped", "--deep"]);
    assert_eq!(code, Some(0));
    let segment = files(&data.join("segments"))
        .into_iter()
        .max_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[200] ^= 0x10;
    std::fs::write(&segment, &bytes).unwrap();
    let (after, code) = items(&["log", "dump", data_text, "--topic", "dumped", "--deep"]);
    assert_eq!(code, Some(1));
    let (found, code) = items(&["log", "verify", data_text]);
    assert_eq!((found.len(), code), (1, Some(1)), "{found:#?}");
    assert_eq!(found[0]["severity"], "damage");
    assert_eq!(found[0]["problem"], "extent");
    assert_eq!(found[0]["topic"], "dumped");
    assert!(segment.ends_with(found[0]["file"].as_str().unwrap()));
    assert_eq!(found[0]["position"], 0);
    assert!(found[0]["first_offset"].as_i64() < found[0]["last_offset"].as_i64());
    assert_eq!(
        items(&["log", "verify", segment.to_str().unwrap()]).0,
        found
    );
    let damage = of_kind(&after, "damage");
    assert_eq!(damage.len(), 1, "{damage:#?}");
    assert_eq!(damage[0]["position"], 0);
    assert_eq!(damage[0]["file"], segment.to_str().unwrap());
    let (all, left) = (
        of_kind(&before, "record").len(),
        of_kind(&after, "record").len(),
    );
    assert!(left < all && left > 0, "{left} of {all}");
}
