//! Power cuts under the broker, on a real ext4 over a disk with a volatile cache: nothing
//! acknowledged is lost. The long form is `cargo run -p tests-faults -- power --cycles 500`.

use tests_faults::{Cuts, may_mount};

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    if !may_mount() {
        return;
    }
    let cuts = Cuts {
        cuts: 20,
        seed: 1,
        lies: false,
        is_verbose: false,
    };
    let report = cuts.run();
    assert!(report.violations.is_empty(), "{report:#?}");
    assert!(report.broken.is_empty(), "{report:#?}");
    assert!(
        report.cuts >= cuts.cuts && report.records > 0,
        "{report:#?}"
    );
    // Cuts that took nothing would show nothing.
    assert!(report.with_loss * 4 >= report.cuts, "{report:#?}");
    println!("{report:#?}");
}

/// The control: were flushes not passed through to the disk, the test above would fail.
#[test]
fn a_disk_that_lies_about_flushes_is_found_out() {
    if !may_mount() {
        return;
    }
    let cuts = Cuts {
        cuts: 3,
        seed: 2,
        lies: true,
        is_verbose: false,
    };
    let report = cuts.run();
    let found = report.violations.len() + report.broken.len();
    assert!(!report.violations.is_empty(), "{report:#?}");
    assert!(found >= 2, "{report:#?}");
}
