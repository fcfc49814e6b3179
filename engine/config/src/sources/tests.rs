//! Which source wins, and what a wrong one is told.

use super::*;

fn shards(sources: Sources) -> (String, String) {
    let settings = sources.resolve();
    let found = settings.get("shards").unwrap();
    (
        found.value.as_ref().unwrap().to_string(),
        found.origin.to_string(),
    )
}

#[test]
fn default_file_environment_flag_whatever_the_order_they_are_read_in() {
    let mut sources = Sources::new();
    assert_eq!(shards(sources.clone()), ("0".into(), "default".into()));
    sources
        .environment([("ODRADEK__SHARDS", "2"), ("PATH", "/bin")])
        .unwrap();
    sources.file("settings.toml", "\n\"shards\" = 1\n").unwrap();
    assert_eq!(
        shards(sources.clone()),
        ("2".into(), "environment ODRADEK__SHARDS".into())
    );
    sources.flag("--shards", "shards", "3").unwrap();
    sources.environment([("ODRADEK__shards", "4")]).unwrap();
    assert_eq!(shards(sources.clone()), ("3".into(), "--shards".into()));
    sources.assignment("shards = 5").unwrap();
    assert_eq!(shards(sources), ("5".into(), "-X".into()));
}

#[test]
fn an_unknown_name_is_an_error_with_place_and_suggestion() {
    let mut sources = Sources::new();
    for (answer, words) in [
        (
            sources.file("a.toml", "\n\"log.retenton.ms\" = 1"),
            "a.toml:2: there is no setting \"log.retenton.ms\"; did you mean \"log.retention.ms\"?",
        ),
        (
            sources.file("b.properties", "retention.ms=1"),
            "b.properties:1: there is no setting \"retention.ms\"; did you mean \"log.retention.ms\"?",
        ),
        (
            sources.environment([("ODRADEK__NODE__ID", "1")]),
            "environment ODRADEK__NODE__ID: there is no setting \"node..id\"; did you mean \"node.id\"?",
        ),
        (
            sources.assignment("num.network.thread=1"),
            "-X: there is no setting \"num.network.thread\"; did you mean \"num.network.threads\"?",
        ),
        (
            sources.assignment("something.else.entirely=1"),
            "-X: there is no setting \"something.else.entirely\"",
        ),
        (
            sources.clone().assignment("shards"),
            "-X: \"shards\" is no assignment; write KEY=VALUE",
        ),
    ] {
        assert_eq!(answer.unwrap_err().to_string(), words);
    }
}

#[test]
fn a_value_that_cannot_be_is_an_error_with_its_place() {
    let mut sources = Sources::new();
    for (answer, words) in [
        (
            sources.file("a.toml", "\"shards\" = \"many\""),
            "a.toml:1: invalid value \"many\" for shards: Not a number of type INT",
        ),
        (
            sources.assignment("durability=memory"),
            "-X: invalid value \"memory\" for durability: String must be one of: fsync, written",
        ),
    ] {
        assert_eq!(answer.unwrap_err().to_string(), words);
    }
}

#[test]
fn every_setting_has_one_row_a_text_and_a_place_in_the_order() {
    for table in [BROKER_SETTINGS, TOPIC_SETTINGS] {
        assert!(table.is_sorted_by(|a, b| a.key < b.key));
        assert!(table.iter().all(|row| row.doc.ends_with('.')));
        assert!(
            table.iter().all(|row| !row.key.contains('_')),
            "the environment needs this"
        );
    }
    assert!(UNUSED_BROKER_SETTINGS.is_sorted_by(|a, b| a < b));
    assert!(
        !BROKER_SETTINGS
            .iter()
            .any(|row| UNUSED_BROKER_SETTINGS.contains(&row.key))
    );
    let known = |key: &str| BROKER_SETTINGS.iter().any(|row| row.key == key);
    for row in TOPIC_SETTINGS {
        assert!(row.synonyms.iter().all(|key| known(key)), "{}", row.key);
    }
}
