//! The short form of the campaign, and frames that once broke something.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a failure is the report"
)]

use std::path::{Path, PathBuf};
use tests_hostile::{Broker, Campaign, create_topic, replay};

#[test]
fn thousands_of_mutated_frames_harm_nobody() {
    let report = Campaign {
        frames: 24_000,
        seed: 7,
        block: 12_000,
        first_block: 0,
        budget: 128 << 20,
        resident_max: 192 << 20,
        save: None,
        is_verbose: true,
    }
    .run();
    // A campaign that never gets past the decoder proves nothing.
    assert!(report.answered > report.frames / 20, "{report:?}");
    assert!(report.closed > report.frames / 20, "{report:?}");
    assert!(report.honest > 0, "{report:?}");
}

#[test]
fn frames_that_once_broke_something_do_no_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut broker = Broker::start(1, 128 << 20);
    let topic = create_topic(broker.address(), "target", &[("compression.type", "zstd")]);
    let mut count = 0;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .collect();
    paths.sort();
    for path in paths {
        let frame = std::fs::read(&path).unwrap();
        let _ = replay(broker.address(), topic, &frame);
        assert!(broker.is_running(), "{}", path.display());
        assert_eq!(broker.complaints(), [""; 0], "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "the corpus is there");
}
