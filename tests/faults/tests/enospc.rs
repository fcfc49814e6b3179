//! A small disk that others fill, that clients fill, that is full at start. The long form is
//! `cargo run --release -p tests-faults -- enospc --cycles 60`.

use tests_faults::{FullDisks, may_mount};

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    if !may_mount() {
        return;
    }
    let disks = FullDisks {
        cycles: 3,
        seed: 1,
        is_verbose: false,
    };
    let report = disks.run();
    assert!(report.violations.is_empty(), "{report:#?}");
    assert_eq!(report.refused, disks.cycles, "{report:#?}");
    assert_eq!(report.healed, disks.cycles, "{report:#?}");
    println!("{report:#?}");
}
