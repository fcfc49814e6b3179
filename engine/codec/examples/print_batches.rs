//! Prints the batches of `tests/cases/kafka.rs`, as this crate builds them, one a line in hex.
//!
//! Kafka's own code reads and compares them: see `tests/fixtures/README.md`.

#[path = "../tests/cases/kafka.rs"]
mod kafka;

use engine_codec::{BuildError, Compression};

/// Names of all cases.
const CASES: [&str; 10] = [
    "mixed",
    "no-timestamp",
    "idempotent",
    "transactional",
    "log-append-time",
    "gaps",
    "delete-horizon",
    "large",
    "commit-marker",
    "empty",
];

fn main() -> Result<(), BuildError> {
    for case in CASES {
        let is_bare = matches!(case, "empty" | "commit-marker");
        for compression in Compression::ALL {
            if is_bare && compression != Compression::None {
                continue;
            }
            let batch = kafka::build(case, compression)?;
            print!("{case} {compression} ");
            for byte in &batch {
                print!("{byte:02x}");
            }
            println!();
        }
    }
    Ok(())
}
