//! Writes, flushes, reads and names that fail, once or until they are healed: no false
//! acknowledgement, no wrong byte, an answer to everything. The long form is
//! `cargo run --release -p tests-faults -- eio --cycles 180`.

use tests_faults::{IoErrors, may_mount};

#[test]
fn what_was_acknowledged_survives_io_errors() {
    if !may_mount() {
        return;
    }
    let errors = IoErrors {
        cycles: 5,
        seed: 1,
        is_verbose: false,
    };
    let report = errors.run();
    assert!(report.violations.is_empty(), "{report:#?}");
    assert_eq!(report.unanswered, Vec::<String>::new(), "{report:#?}");
    assert!(report.hits >= 3 && report.refused >= 2, "{report:#?}");
    // Healed, it serves again without a restart.
    assert_eq!(report.healed, report.refused, "{report:#?}");
    println!("{report:#?}");
}
