//! `record cat` and kcat side by side on the same topics: what goes to stdout is the same byte for
//! byte, and both succeed or both fail.

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

use std::process::Command;
use support::{Node, ODRADEK, Output};

fn kcat(node: &Node, letters: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new("kcat");
    command
        .args(letters)
        .args(["-b", &node.address, "-F", "none"]);
    command.current_dir(node.folder.path());
    support::run(command, input)
}

fn ours(node: &Node, letters: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(ODRADEK);
    command.args(["record", "cat"]).args(letters);
    command.args(["-b", &node.address]);
    command.current_dir(node.folder.path());
    support::run(command, input)
}

/// `-L` names the connection that was asked: kcat's first one, or the one it made when it knew the
/// broker's number, whichever was quicker.
fn asked_of_anyone(mut output: Output) -> Output {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for (opening, closing) in [("(from broker ", ")"), ("\"originating_broker\":{", "}")] {
        if let Some((before, rest)) = text.split_once(opening)
            && let Some((_, after)) = rest.split_once(closing)
        {
            output.stdout = format!("{before}{opening}..{closing}{after}").into_bytes();
        }
    }
    output
}

fn same(node: &Node, letters: &[&str]) {
    let (mut theirs, mut ours) = (kcat(node, letters, b""), ours(node, letters, b""));
    if letters.first() == Some(&"-L") {
        (theirs, ours) = (asked_of_anyone(theirs), asked_of_anyone(ours));
    }
    assert_eq!(
        String::from_utf8_lossy(&ours.stdout),
        String::from_utf8_lossy(&theirs.stdout),
        "{letters:?}\nours: {ours:#?}\nkcat: {theirs:#?}"
    );
    assert_eq!(ours.stdout, theirs.stdout, "{letters:?}");
    assert_eq!(
        ours.code == Some(0),
        theirs.code == Some(0),
        "{letters:?}\nours: {ours:#?}\nkcat: {theirs:#?}"
    );
}

/// A topic with keys, values and headers of every kind, written by kcat.
fn fill(node: &Node) {
    for (input, letters) in [
        (
            &b"a:1\nb:2\nnosep\n:emptykey\nk:\n"[..],
            &["-p0", "-K:"][..],
        ),
        (
            b"with\n",
            &["-p0", "-H", "a=1", "-H", "b=", "-H", "c", "-H", "d=x=y"],
        ),
        (b"k:\n:v\n:\n", &["-p0", "-K:", "-Z"]),
        (
            b"q\"\\/\x08\x0c\r\t\x01\x7f\xff\xc3\xa9</script>\0z",
            &["-p0", "-D", "zz"],
        ),
        (b"zip\n", &["-p0", "-z", "lz4"]),
    ] {
        let mut all = vec!["-P", "-t", "odd"];
        all.extend(letters);
        kcat(node, &all, input).good();
    }
    let lines: String = (0..2000).map(|n| format!("key-{n}:value {n}\n")).collect();
    kcat(
        node,
        &["-P", "-t", "many", "-K:", "-z", "gzip"],
        lines.as_bytes(),
    )
    .good();
}

#[test]
fn what_is_consumed_listed_and_queried_is_the_same_byte_for_byte() {
    let node = Node::ephemeral();
    node.run(&["topic", "create", "odd", "empty"]).good();
    node.run(&["topic", "create", "many", "-p", "4"]).good();
    fill(&node);
    for letters in [
        &["-C", "-t", "odd", "-e"][..],
        &["-Ceqtodd"],
        &["-C", "-t", "odd", "-e", "-q", "-J"],
        &["-C", "-t", "odd", "-e", "-q", "-Z", "-J"],
        &["-C", "-t", "odd", "-e", "-q", "-Z"],
        &["-C", "-t", "odd", "-e", "-q", "-K", "|"],
        &["-C", "-t", "odd", "-e", "-q", "-Z", "-K", "|"],
        &["-C", "-t", "odd", "-e", "-q", "-O", "-K", "|"],
        &[
            "-C", "-t", "odd", "-e", "-q", "-D", r"\x41\t", "-K", r"\101",
        ],
        &["-C", "-t", "odd", "-e", "-q", "-D", "--", "-u"],
        &[
            "-C",
            "-t",
            "odd",
            "-e",
            "-q",
            "-f",
            r"%t|%p|%o|%k|%K|%s|%S|%T|%%\n",
        ],
        &["-C", "-t", "odd", "-e", "-q", "-f", r"%h|%R\x4a2\065\q\\"],
        &["-C", "-t", "odd", "-e", "-q", "-f", "fixed"],
        &["-C", "-t", "odd", "-e", "-q", "-f", "%q"],
        &["-C", "-t", "odd", "-e", "-q", "-f", "%s%"],
        &["-C", "-t", "odd", "-e", "-q", "-o", "2"],
        &["-C", "-t", "odd", "-e", "-q", "-o", "-3"],
        &["-C", "-t", "odd", "-e", "-q", "-o-99"],
        &["-C", "-t", "odd", "-e", "-q", "-o", "99"],
        &[
            "-C",
            "-t",
            "odd",
            "-e",
            "-q",
            "-o",
            "99",
            "-X",
            "auto.offset.reset=earliest",
        ],
        &["-C", "-t", "odd", "-e", "-q", "-o", "beginning"],
        &["-C", "-t", "odd", "-e", "-q", "-o", "end"],
        &["-C", "-t", "odd", "-e", "-q", "-o", "stored"],
        &["-C", "-t", "odd", "-e", "-q", "-o", "s@0"],
        &["-C", "-t", "odd", "-e", "-q", "-o", "s@1", "-c", "2"],
        &["-C", "-t", "odd", "-e", "-q", "-o", "s@99999999999999"],
        &["-C", "-t", "odd", "-q", "-o", "s@1", "-o", "e@1"],
        &["-C", "-t", "odd", "-e", "-q", "-c", "3"],
        &["-C", "-t", "odd", "-e", "-q", "-c", "0"],
        &["-C", "-t", "odd", "-e", "-p", "0"],
        &["-C", "-t", "odd", "-e", "-p", "-1", "-q"],
        &["-C", "-t", "odd", "-e", "-p", "7"],
        &["-C", "-t", "empty", "-e"],
        &["-C", "-t", "nowhere", "-e"],
        &["-C", "-t", "odd", "-e", "-X", "no.such.thing=1"],
        &["-C", "-t", "odd", "-e", "-X", "acks"],
        &["-C", "-t", "odd", "-e", "-z", "nope"],
        &["-C", "-t", "odd", "-e", "-w"],
        &["-C", "-t", "odd", "-e", "extra"],
        &["-C", "-e"],
        &[
            "-C",
            "-t",
            "many",
            "-e",
            "-q",
            "-p",
            "2",
            "-f",
            r"%p %o %k %s\n",
        ],
        &["-L"],
        &["-L", "-J"],
        &["-L", "-t", "many"],
        &["-L", "-t", "many", "-J"],
        &["-Q", "-t", "odd:0:-1"],
        &["-Q", "-t", "odd:0:-2"],
        &["-Q", "-t", "odd:0:0", "-t", "many:1:-1", "-t", "many:2:-1"],
        &["-Q", "-t", "odd:0:99999999999999"],
        &[
            "-Q",
            "-J",
            "-t",
            "odd:0:0",
            "-t",
            "many:1:-1",
            "-t",
            "many:2:-1",
        ],
        &["-Q", "-t", "odd:9:-1"],
        &["-Q", "-t", "odd"],
        &["-Q"],
    ] {
        same(&node, letters);
    }
    // Over several partitions the order between them is nobody's to say.
    let letters = ["-C", "-t", "many", "-e", "-q", "-f", r"%p %o %k %s\n"];
    let sorted = |output: Output| {
        let output = output.good();
        let mut lines: Vec<String> = output.text().lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines.len(), 2000);
        lines
    };
    assert_eq!(
        sorted(ours(&node, &letters, b"")),
        sorted(kcat(&node, &letters, b""))
    );
}

/// What a topic holds, all but the times and what says where it is.
fn content(node: &Node, topic: &str) -> Vec<String> {
    let format = r"%p|%k|%K|%s|%S|%h";
    let letters = ["-C", "-t", topic, "-e", "-q", "-f", format, "-D", "x"];
    let per_record = format!("{format}\u{1}");
    let mut letters = letters;
    letters[6] = &per_record;
    let output = kcat(node, &letters, b"").good();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut records: Vec<String> = text.split('\u{1}').map(str::to_owned).collect();
    records.sort();
    records
}

#[test]
fn what_is_produced_is_the_same_record_for_record() {
    let node = Node::ephemeral();
    std::fs::write(node.folder.path().join("one"), "f1\nl2\n").unwrap();
    std::fs::write(node.folder.path().join("two"), "f2").unwrap();
    std::fs::write(node.folder.path().join("nothing"), "").unwrap();
    let input: &[u8] = b"a:1\nb::2\n\nnosep\n:emptykey\nk:\n:\n\xff\xfe:\0\nlast:one";
    for (place, letters) in [
        &[][..],
        &["-K:"],
        &["-K:", "-Z"],
        &["-K", "::"],
        &["-K:", "-p", "1"],
        &["-D", ":"],
        &["-D", r"\x3a", "-K", r"\n"],
        &["-D", "em"],
        &["-k", "fixed"],
        &["-k", "fixed", "-K:"],
        &["-c", "2", "-K:"],
        &["-H", "a=1", "-H", "b", "-H", "c=", "-p0"],
        &["-H", "=b"],
        &["-z", "zstd", "-K:"],
        &["-z", "snappy", "-K:", "-X", "acks=1"],
        &["-T", "-p0"],
        &["-T", "-K:", "-p0", "-D", "o"],
        &["-p0", "one", "two", "nothing"],
        &["-p0", "one", "absent"],
        &["-p0", "absent"],
        &["-p0", "-l", "one"],
        &["-p0", "-l", "one", "two"],
        &["-p0", "-k", "key", "one"],
        &["-K:", "-X", "topic.partitioner=murmur2_random"],
        &["-p", "9"],
    ]
    .iter()
    .enumerate()
    {
        let (left, right) = (format!("kcat-{place}"), format!("ours-{place}"));
        node.run(&["topic", "create", &left, &right, "-p", "3"])
            .good();
        let run = |topic: &str, run: fn(&Node, &[&str], &[u8]) -> Output| {
            let mut all = vec!["-P", "-t", topic];
            all.extend(*letters);
            run(&node, &all, input)
        };
        let (theirs, ours) = (run(&left, kcat), run(&right, ours));
        assert_eq!(ours.stdout, theirs.stdout, "{letters:?}: {ours:#?}");
        assert_eq!(
            ours.code == Some(0),
            theirs.code == Some(0),
            "{letters:?}\nours: {ours:#?}\nkcat: {theirs:#?}"
        );
        // Without a key that decides, the partition is nobody's to say.
        let decided = letters.contains(&"-p") || letters.contains(&"-p0");
        let strip = |topic: &str| -> Vec<String> {
            let mut records: Vec<String> = content(&node, topic)
                .into_iter()
                .map(|record| match record.split_once('|') {
                    Some((_, rest)) if !decided && rest.starts_with('|') => rest.to_owned(),
                    _ => record,
                })
                .collect();
            records.sort();
            records
        };
        assert_eq!(strip(&right), strip(&left), "{letters:?}");
    }
}

#[test]
fn what_is_not_here_yet_says_so() {
    for (letters, word) in [
        (&["-G", "group", "topic"][..], "groups"),
        (&["-C", "-t", "t", "-o", "stored"], "groups"),
        (&["-C", "-t", "t", "-s", "value=i"], "not here yet"),
        (
            &["-P", "-t", "t", "-X", "transactional.id=x"],
            "transactions",
        ),
    ] {
        let mut all = vec!["record", "cat"];
        all.extend(letters);
        let output = support::odradek(&all);
        assert_eq!(output.code, Some(2), "{output:#?}");
        assert!(output.stderr.contains(word), "{output:#?}");
    }
}
