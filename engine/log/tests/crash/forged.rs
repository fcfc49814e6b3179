//! The oracle against forged stores: it must refuse what breaks the promise, and only that.

use super::model::{LogState, Op, Stored};
use super::oracle::{Dump, Ended, Partition};
use super::workload::partition;
use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, RecordData};
use engine_log::Durability;
use engine_model::{LeaderEpoch, LogId, Offset, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

fn batch(base: i64, value: &str) -> Stored {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: Offset::new(base),
        partition_leader_epoch: LeaderEpoch::new(1),
        ..BatchOptions::default()
    });
    let record = RecordData {
        timestamp: Timestamp(1),
        value: Some(value.as_bytes()),
        ..RecordData::default()
    };
    assert!(builder.append(&record).unwrap());
    Stored::all(&builder.build().unwrap()).remove(0)
}

fn dump(ops: &[Op]) -> Dump {
    let mut state = LogState::default();
    for op in ops {
        state.apply(op);
    }
    Dump {
        id: LogId::default(),
        start: state.start,
        end: state.end,
        stable_end: state.end,
        bytes: Bytes::from(state.bytes_below(i64::MAX)),
        epoch_ends: (0..super::oracle::EPOCHS_ASKED)
            .map(|epoch| {
                let epoch = LeaderEpoch::new(epoch);
                state.epochs.end_offset_for(epoch, Offset::new(state.end))
            })
            .collect(),
    }
}

/// Creates, begins epoch 1 and appends a, b, c; of which `stable` are stable and `written`
/// written. Then the node ends, and the store holds what `found` says.
fn is_accepted(
    durability: Durability,
    ended: Ended,
    (stable, written): (i64, i64),
    found: Option<&Dump>,
) -> bool {
    let mut oracle = super::oracle::Oracle::default();
    let mut history = Partition::new(durability);
    history.begin(Op::Create);
    history.all_durable();
    history.begin(Op::Epoch(1));
    for (base, value) in [(0, "a"), (1, "b"), (2, "c")] {
        history.begin(Op::Append(vec![batch(base, value)]));
    }
    history.ends(stable, written);
    oracle.partitions.insert(partition(0), history);
    let dumps: BTreeMap<_, _> = found
        .map(|dump| (partition(0), dump.clone()))
        .into_iter()
        .collect();
    oracle.check(ended, &dumps, &BTreeSet::new()).is_ok()
}

fn of(values: &[(i64, &str)]) -> Dump {
    let mut ops = vec![Op::Create, Op::Epoch(1)];
    ops.extend(
        values
            .iter()
            .map(|(base, value)| Op::Append(vec![batch(*base, value)])),
    );
    dump(&ops)
}

#[test]
fn what_breaks_the_promise_is_refused() {
    let (a, b, c) = ((0, "a"), (1, "b"), (2, "c"));
    let fsync = Durability::Fsync;
    let kept = |values: &[(i64, &str)], stable| {
        is_accepted(fsync, Ended::Power, (stable, stable), Some(&of(values)))
    };
    for (what, values, stable, accepted) in [
        ("everything", vec![a, b, c], 3, true),
        ("an acknowledged record is lost", vec![a, b], 3, false),
        ("one not acknowledged is lost", vec![a, b], 2, true),
        ("none was acknowledged", vec![], 0, true),
        ("one not acknowledged survived", vec![a, b, c], 1, true),
        ("one in the middle is lost", vec![a, c], 1, false),
        ("a record is changed", vec![a, (1, "x"), c], 1, false),
        ("two are swapped", vec![(0, "b"), (1, "a")], 1, false),
        ("one is there twice", vec![a, (1, "a")], 1, false),
        ("there is one more", vec![a, b, c, (3, "d")], 3, false),
    ] {
        assert_eq!(kept(&values, stable), accepted, "{what}");
    }
    assert!(
        !is_accepted(fsync, Ended::Power, (0, 0), None),
        "the log is gone"
    );
}

#[test]
fn each_class_promises_what_it_says() {
    let found = of(&[(0, "a")]);
    let (fsync, written) = (Durability::Fsync, Durability::Written);
    for (what, durability, ended, ends, accepted) in [
        (
            "written, lost at a power cut",
            written,
            Ended::Power,
            (3, 3),
            true,
        ),
        (
            "written, lost at a kill",
            written,
            Ended::Kill,
            (3, 3),
            false,
        ),
        (
            "written, lost at a clean stop",
            written,
            Ended::Clean,
            (1, 1),
            false,
        ),
        (
            "fsync, written only, power cut",
            fsync,
            Ended::Power,
            (1, 3),
            true,
        ),
        (
            "fsync, written only, killed",
            fsync,
            Ended::Kill,
            (1, 3),
            false,
        ),
        (
            "fsync, nothing acknowledged, killed",
            fsync,
            Ended::Kill,
            (1, 1),
            true,
        ),
    ] {
        let found = is_accepted(durability, ended, ends, Some(&found));
        assert_eq!(found, accepted, "{what}");
    }
}

#[test]
fn ends_and_epochs_count_too() {
    let ops = |last: Op| {
        let appended = Op::Append(vec![batch(0, "a"), batch(1, "b"), batch(2, "c")]);
        [Op::Create, Op::Epoch(1), appended, last]
    };
    let fsync = Durability::Fsync;
    let accepts = |dump: &Dump| is_accepted(fsync, Ended::Power, (3, 3), Some(dump));
    assert!(
        !accepts(&dump(&ops(Op::LogStart(1)))),
        "the start moved by itself"
    );
    assert!(!accepts(&dump(&ops(Op::Epoch(2)))), "an epoch nobody began");
    assert!(!accepts(&dump(&ops(Op::TruncateTo(2)))), "cut");
    let mut unstable = of(&[(0, "a"), (1, "b"), (2, "c")]);
    assert!(accepts(&unstable));
    unstable.stable_end = 2;
    assert!(!accepts(&unstable), "not all that was recovered is stable");
}
