//! With a mistake compiled in and chosen the tests beside this must find it, and without find
//! nothing. `tests/planted` runs this.

use crate::{crash, repeats};
use engine_log::planted::{Bug, select};
use engine_rt::sim::CrashKind;
use replication_runtime::Acks;
use std::panic::catch_unwind;

/// What crashes at every operation of a small workload show, as a panic.
fn crash_everywhere(seed: u64) -> Result<(), String> {
    for (kind, shards) in [
        (CrashKind::Power, 1),
        (CrashKind::Kill, 1),
        (CrashKind::Power, 2),
    ] {
        let hunt = catch_unwind(|| crash::on_an_empty_disk(seed, shards, kind, 2));
        hunt.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.unwrap_or_else(|| "a panic".to_owned())
        })?;
    }
    Ok(())
}

/// `FIRST-LAST`, as the script gives the seeds.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let asked = std::env::var("ODRADEK_TEST_CRASH_SEEDS").unwrap_or_else(|_| "1-1".to_owned());
    let (first, last) = asked.split_once('-').expect("two numbers as in 3-7");
    first.parse().unwrap()..=last.parse().unwrap()
}

#[test]
fn the_planted_bug_is_caught() {
    let name = std::env::var("ODRADEK_PLANTED").unwrap_or_default();
    let bug = (!name.is_empty()).then(|| Bug::parse(&name).expect("a bug of that name"));
    select(bug);
    for seed in seeds() {
        let found = repeats::hunt(seed, Acks::All).and_then(|()| crash_everywhere(seed));
        match (bug, found) {
            (Some(_), Err(what)) => {
                println!("CAUGHT seeds={seed} crashes=0 {}", what.replace('\n', " "));
                return;
            }
            (None, Err(what)) => panic!("found without any planted bug: {what}"),
            (_, Ok(())) => {}
        }
    }
    match bug {
        Some(bug) => panic!("{} escaped", bug.name()),
        None => println!("CLEAN crashes=0"),
    }
}
