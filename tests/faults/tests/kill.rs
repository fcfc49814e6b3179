//! `kill -9` of the broker under its clients, of either class of durability. The long form is
//! `cargo run --release -p tests-faults -- kill --cycles 1000`.

use tests_faults::Kills;

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let kills = Kills {
        kills: 10,
        seed: 1,
        is_verbose: false,
    };
    let report = kills.run();
    assert!(report.violations.is_empty(), "{report:#?}");
    assert!(
        report.kills >= kills.kills && report.records > 0,
        "{report:#?}"
    );
}
