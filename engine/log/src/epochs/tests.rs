//! The cache against a model that remembers the epoch of every single offset.

use super::*;
use proptest::prelude::*;

fn cache(entries: &[(i32, i64)]) -> LeaderEpochs {
    let mut epochs = LeaderEpochs::new();
    for &(epoch, start) in entries {
        epochs
            .assign(LeaderEpoch::new(epoch), Offset::new(start))
            .unwrap();
    }
    epochs
}

fn pairs(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
    epochs
        .entries()
        .iter()
        .map(|e| (e.leader_epoch.get(), e.start.get()))
        .collect()
}

/// Expected values: Kafka 4.3's LeaderEpochFileCacheTest, restated.
#[test]
fn the_end_of_an_epoch_is_what_kafka_answers() {
    let epochs = cache(&[(2, 10), (4, 20), (7, 30)]);
    let ask = |epoch| {
        epochs
            .end_offset_for(LeaderEpoch::new(epoch), Offset::new(44))
            .map(|(e, o)| (e.get(), o.get()))
    };
    for (asked, expected) in [
        (-1, None),
        (0, Some((0, 10))),
        (1, Some((1, 10))),
        (2, Some((2, 20))),
        (3, Some((2, 20))),
        (4, Some((4, 30))),
        (6, Some((4, 30))),
        (7, Some((7, 44))),
        (8, None),
    ] {
        assert_eq!(ask(asked), expected, "epoch {asked}");
    }
    let none = LeaderEpochs::new();
    assert_eq!(none.end_offset_for(LeaderEpoch::ZERO, Offset::ZERO), None);
}

#[test]
fn an_epoch_that_stayed_empty_gives_way() {
    assert_eq!(pairs(&cache(&[(1, 0), (2, 5), (3, 5)])), [(1, 0), (3, 5)]);
    assert_eq!(pairs(&cache(&[(1, 5), (2, 5), (9, 5)])), [(9, 5)]);
}

#[test]
fn an_older_epoch_is_refused_and_the_latest_is_no_change() {
    let mut epochs = cache(&[(1, 0), (5, 8)]);
    assert_eq!(
        epochs.assign(LeaderEpoch::new(4), Offset::new(9)),
        Err(EpochError::Older {
            latest: LeaderEpoch::new(5),
            found: LeaderEpoch::new(4)
        })
    );
    assert_eq!(
        epochs.assign(LeaderEpoch::new(5), Offset::new(9)),
        Ok(false)
    );
    assert_eq!(pairs(&epochs), [(1, 0), (5, 8)]);
}

#[test]
fn clipping_at_the_start_keeps_the_epoch_it_falls_into() {
    for (start, expected) in [
        (0, vec![(2, 10), (4, 20), (7, 30)]),
        (10, vec![(2, 10), (4, 20), (7, 30)]),
        (11, vec![(2, 11), (4, 20), (7, 30)]),
        (20, vec![(4, 20), (7, 30)]),
        (29, vec![(4, 29), (7, 30)]),
        (99, vec![(7, 99)]),
    ] {
        let mut epochs = cache(&[(2, 10), (4, 20), (7, 30)]);
        epochs.truncate_from_start(Offset::new(start));
        assert_eq!(pairs(&epochs), expected, "start {start}");
    }
}

#[test]
fn clipping_at_the_end_drops_what_began_there_or_later() {
    for (end, expected) in [
        (10, vec![]),
        (11, vec![(2, 10)]),
        (20, vec![(2, 10)]),
        (30, vec![(2, 10), (4, 20)]),
        (31, vec![(2, 10), (4, 20), (7, 30)]),
    ] {
        let mut epochs = cache(&[(2, 10), (4, 20), (7, 30)]);
        epochs.truncate_from_end(Offset::new(end));
        assert_eq!(pairs(&epochs), expected, "end {end}");
    }
}

#[test]
fn a_snapshot_reads_back_and_no_cut_or_disorder_of_it_does() {
    let epochs = cache(&[(2, 10), (4, 20), (7, 30)]);
    let bytes = epochs.encode();
    assert_eq!(LeaderEpochs::decode(&bytes), Ok(epochs));
    for cut in 1..bytes.len() {
        assert!(LeaderEpochs::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut long = bytes.clone();
    long.push(0);
    assert!(LeaderEpochs::decode(&long).is_err());
    let mut swapped = bytes[..8].to_vec();
    swapped.extend_from_slice(&bytes[20..32]);
    swapped.extend_from_slice(&bytes[8..20]);
    swapped.extend_from_slice(&bytes[32..]);
    assert!(LeaderEpochs::decode(&swapped).is_err());
    let mut many = bytes;
    many[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(LeaderEpochs::decode(&many).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Epoch(i32),
    Append(u8),
    TruncateEnd(u8),
    TruncateStart(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..4).prop_map(Step::Epoch),
        (1..6_u8).prop_map(Step::Append),
        any::<u8>().prop_map(Step::TruncateEnd),
        any::<u8>().prop_map(Step::TruncateStart),
    ]
}

proptest! {
    #[test]
    fn every_offset_has_the_epoch_it_was_written_with(
        steps in proptest::collection::vec(step(), 0..60)
    ) {
        let mut epochs = LeaderEpochs::new();
        let mut written: Vec<i32> = Vec::new(); // the epoch of each offset from 0
        let mut start = 0_usize;
        let mut current = 0;
        epochs.assign(LeaderEpoch::ZERO, Offset::ZERO).unwrap();
        let offset = |at: usize| Offset::new(i64::try_from(at).unwrap());
        for step in steps {
            match step {
                Step::Epoch(by) => {
                    current += by;
                    epochs.assign(LeaderEpoch::new(current), offset(written.len())).unwrap();
                }
                Step::Append(count) => {
                    epochs.assign(LeaderEpoch::new(current), offset(written.len())).unwrap();
                    written.extend(std::iter::repeat_n(current, usize::from(count)));
                }
                Step::TruncateEnd(to) => {
                    let to = usize::from(to) % (written.len() + 1);
                    let to = to.max(start);
                    written.truncate(to);
                    epochs.truncate_from_end(offset(to));
                }
                Step::TruncateStart(to) => {
                    let to = usize::from(to) % (written.len() + 1);
                    start = start.max(to);
                    epochs.truncate_from_start(offset(start));
                }
            }
            for (at, epoch) in written.iter().enumerate().skip(start) {
                prop_assert_eq!(epochs.epoch_at(offset(at)).get(), *epoch, "offset {}", at);
            }
            for window in epochs.entries().windows(2) {
                prop_assert!(window[0].leader_epoch < window[1].leader_epoch);
                prop_assert!(window[0].start < window[1].start);
            }
            for asked in written.iter().skip(start) {
                let asked = LeaderEpoch::new(*asked);
                if asked != epochs.latest() {
                    // It ends where the first record of a higher epoch lies, or would.
                    let (found, end) = epochs.end_offset_for(asked, offset(written.len())).unwrap();
                    prop_assert_eq!(found, asked);
                    let last = written.iter().rposition(|e| *e == asked.get()).unwrap();
                    prop_assert_eq!(end, offset(last + 1));
                }
            }
            prop_assert_eq!(LeaderEpochs::decode(&epochs.encode()), Ok(epochs.clone()));
        }
    }
}
