//! The table of the module, and the machine against a model that keeps every batch for ever.

use super::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_000_000);

fn candidate(epoch: i16, first: i32, last: i32) -> Candidate {
    Candidate {
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch::new(epoch),
        first_sequence: Sequence::new(first),
        last_sequence: Sequence::new(last),
    }
}

fn noted(id: i64, epoch: i16, sequences: (i32, i32), offset: i64) -> Noted {
    let count = i64::from(sequences.1.wrapping_sub(sequences.0) & i32::MAX);
    Noted {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch::new(epoch),
        batch: RememberedBatch {
            first_sequence: Sequence::new(sequences.0),
            last_sequence: Sequence::new(sequences.1),
            first_offset: Offset::new(offset),
            last_offset: Offset::new(offset + count),
            max_timestamp: Timestamp(5),
        },
        transactional: false,
        control: false,
    }
}

#[derive(Debug, PartialEq)]
enum Answer {
    New,
    DuplicateAt(i64, i64),
    OutOfOrder { expected: i32 },
    OldEpoch { current: i16 },
}

fn ask(producers: &Producers, candidate: &Candidate) -> Answer {
    match producers.check(candidate) {
        Ok(Verdict::New) => Answer::New,
        Ok(Verdict::Duplicate(batch)) => {
            Answer::DuplicateAt(batch.first_offset.get(), batch.last_offset.get())
        }
        Err(ProducerError::OutOfOrderSequence { expected, .. }) => Answer::OutOfOrder {
            expected: expected.get(),
        },
        Err(ProducerError::InvalidProducerEpoch { current, .. }) => Answer::OldEpoch {
            current: current.get(),
        },
    }
}

/// Notes batches of ten records with epoch 3, from sequence 0 and offset 100 on.
fn after_batches(count: i32) -> Producers {
    let mut producers = Producers::new();
    for batch in 0..count {
        let sequences = (batch * 10, batch * 10 + 9);
        producers.note(&noted(7, 3, sequences, i64::from(batch) * 10 + 100), NOW);
    }
    producers
}

#[test]
fn the_first_sequence_of_an_unknown_producer_may_be_any() {
    let producers = Producers::new();
    for first in [0, 1, 77, i32::MAX] {
        assert_eq!(ask(&producers, &candidate(0, first, first)), Answer::New);
    }
}

#[test]
fn repeats_gaps_epochs_and_wraps_are_judged_as_kafka_judges_them() {
    let producers = after_batches(7);
    for (what, asked, expected) in [
        ("the next", candidate(3, 70, 79), Answer::New),
        (
            "a gap",
            candidate(3, 71, 80),
            Answer::OutOfOrder { expected: 70 },
        ),
        (
            "the last",
            candidate(3, 60, 69),
            Answer::DuplicateAt(160, 169),
        ),
        (
            "the fifth last",
            candidate(3, 20, 29),
            Answer::DuplicateAt(120, 129),
        ),
        (
            "the sixth last",
            candidate(3, 10, 19),
            Answer::OutOfOrder { expected: 70 },
        ),
        (
            "half of one",
            candidate(3, 60, 64),
            Answer::OutOfOrder { expected: 70 },
        ),
        (
            "two as one",
            candidate(3, 50, 69),
            Answer::OutOfOrder { expected: 70 },
        ),
        ("a new epoch from 0", candidate(4, 0, 5), Answer::New),
        (
            "a new epoch going on",
            candidate(4, 70, 79),
            Answer::OutOfOrder { expected: 0 },
        ),
        (
            "an old epoch",
            candidate(2, 70, 79),
            Answer::OldEpoch { current: 3 },
        ),
        (
            "an old epoch's repeat",
            candidate(2, 60, 69),
            Answer::OldEpoch { current: 3 },
        ),
    ] {
        assert_eq!(ask(&producers, &asked), expected, "{what}");
    }
}

#[test]
fn a_new_epoch_forgets_the_batches_of_the_old() {
    let mut producers = after_batches(2);
    producers.note(&noted(7, 4, (0, 3), 200), NOW);
    assert_eq!(
        ask(&producers, &candidate(3, 10, 19)),
        Answer::OldEpoch { current: 4 }
    );
    assert_eq!(
        ask(&producers, &candidate(4, 0, 3)),
        Answer::DuplicateAt(200, 203)
    );
    assert_eq!(ask(&producers, &candidate(4, 4, 4)), Answer::New);
    assert_eq!(
        ask(&producers, &candidate(4, 20, 29)),
        Answer::OutOfOrder { expected: 4 }
    );
}

#[test]
fn sequences_wrap_to_zero_after_the_largest() {
    let mut producers = Producers::new();
    producers.note(&noted(7, 0, (i32::MAX - 1, i32::MAX), 0), NOW);
    assert_eq!(ask(&producers, &candidate(0, 0, 9)), Answer::New);
    // A batch whose own sequences wrap: MAX-1, MAX, 0.
    let mut producers = Producers::new();
    producers.note(&noted(7, 0, (i32::MAX - 1, 0), 0), NOW);
    assert_eq!(ask(&producers, &candidate(0, 1, 1)), Answer::New);
    assert_eq!(
        ask(&producers, &candidate(0, i32::MAX - 1, 0)),
        Answer::DuplicateAt(0, 2)
    );
}

#[test]
fn a_producer_expires_by_when_it_was_heard_of() {
    let mut producers = after_batches(1);
    let later = |ms| Timestamp(NOW.0 + ms);
    let day = Duration::from_hours(24);
    assert_eq!(producers.expire(later(86_399_999), day), 0);
    assert_eq!(producers.expire(later(86_400_000), day), 1);
    assert!(producers.is_empty());
    assert_eq!(ask(&producers, &candidate(3, 500, 509)), Answer::New);
}

#[test]
fn an_open_transaction_keeps_its_producer_from_expiring() {
    let mut producers = Producers::new();
    let mut open = noted(7, 3, (0, 0), 10);
    open.transactional = true;
    producers.note(&open, NOW);
    let far = Timestamp(i64::MAX);
    assert_eq!(producers.expire(far, Duration::ZERO), 0);
    assert_eq!(
        producers.get(ProducerId(7)).unwrap().transaction_start(),
        Some(Offset::new(10))
    );
    let mut marker = noted(7, 3, (-1, -1), 11);
    marker.transactional = true;
    marker.control = true;
    producers.note(&marker, NOW);
    // The marker has no sequences: the next batch follows the one before it.
    assert_eq!(ask(&producers, &candidate(3, 1, 1)), Answer::New);
    assert_eq!(producers.expire(far, Duration::ZERO), 1);
}

#[test]
fn the_oldest_go_where_there_are_too_many() {
    let mut producers = Producers::new();
    let most = i64::try_from(PRODUCERS_MAX).unwrap();
    for id in 0..=most {
        producers.note(&noted(id, 0, (0, 0), id), NOW);
        assert!(producers.len() <= PRODUCERS_MAX);
    }
    assert!(producers.get(ProducerId(0)).is_none());
    assert!(producers.get(ProducerId(most - 1)).is_some());
    assert!(producers.get(ProducerId(most)).is_some());
}

#[test]
fn a_snapshot_reads_back_and_no_cut_of_it_does() {
    let mut producers = after_batches(7);
    producers.note(&noted(8, 0, (0, 0), 300), NOW);
    let bytes = producers.encode();
    assert_eq!(Producers::decode(&bytes), Ok(producers));
    for cut in 1..bytes.len() {
        assert!(Producers::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut many = bytes;
    many[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(Producers::decode(&many).is_err());
    assert_eq!(Producers::decode(&[]), Ok(Producers::new()));
}

/// Everything a log ever took, and the rules read off it afresh for each question.
#[derive(Default)]
struct Model {
    log: Vec<Noted>,
}

impl Model {
    fn end(&self) -> i64 {
        self.log
            .last()
            .map_or(0, |noted| noted.batch.last_offset.get() + 1)
    }

    fn answer(&self, asked: &Candidate) -> Answer {
        let of_producer: Vec<&Noted> = self
            .log
            .iter()
            .filter(|noted| noted.producer_id == asked.producer_id)
            .collect();
        let Some(last) = of_producer.last() else {
            return Answer::New;
        };
        let current = last.producer_epoch;
        if asked.producer_epoch < current {
            return Answer::OldEpoch {
                current: current.get(),
            };
        }
        if asked.producer_epoch > current {
            return match asked.first_sequence.get() {
                0 => Answer::New,
                _ => Answer::OutOfOrder { expected: 0 },
            };
        }
        // Only what came after the last change of epoch counts.
        let run: Vec<_> = of_producer
            .iter()
            .rev()
            .take_while(|noted| noted.producer_epoch == current)
            .map(|noted| noted.batch)
            .collect();
        if let Some(same) = run.iter().take(5).find(|batch| {
            batch.first_sequence == asked.first_sequence
                && batch.last_sequence == asked.last_sequence
        }) {
            return Answer::DuplicateAt(same.first_offset.get(), same.last_offset.get());
        }
        let expected = (i64::from(run[0].last_sequence.get()) + 1) % (1 << 31);
        if i64::from(asked.first_sequence.get()) == expected {
            Answer::New
        } else {
            Answer::OutOfOrder {
                expected: i32::try_from(expected).unwrap(),
            }
        }
    }

    fn replayed(&self) -> Producers {
        let mut producers = Producers::new();
        for noted in &self.log {
            producers.note(noted, NOW);
        }
        producers
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Producer, how its epoch and sequence differ from the next expected ones, records.
    Produce(i64, i16, i32, i32),
    /// Sends a batch of the log again: which one, from the end.
    Repeat(usize),
    Truncate(u16),
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_i64, 0..1_i16, 0..1_i32, 1..4_i32)
            .prop_map(|(id, e, s, n)| Step::Produce(id, e, s, n)),
        2 => (0..3_i64, -1..2_i16, -2..3_i32, 1..4_i32)
            .prop_map(|(id, e, s, n)| Step::Produce(id, e, s, n)),
        3 => (0..12_usize).prop_map(Step::Repeat),
        1 => any::<u16>().prop_map(Step::Truncate),
        1 => Just(Step::Snapshot),
    ]
}

proptest! {
    #[test]
    fn verdicts_are_those_of_a_log_that_forgets_nothing(
        start in prop_oneof![Just(0), Just(i32::MAX - 7)],
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut model = Model::default();
        let mut producers = Producers::new();
        for step in steps {
            match step {
                Step::Produce(id, epoch_by, sequence_by, records) => {
                    let last = model.log.iter().rev().find(|n| n.producer_id.0 == id);
                    let epoch = last.map_or(1, |n| n.producer_epoch.get()) + epoch_by;
                    let next = last.map_or(start, |n| n.batch.last_sequence.wrapping_add(1).get());
                    let next = if epoch_by == 1 { 0 } else { next };
                    let first = next.saturating_add(sequence_by).max(0);
                    let first = Sequence::new(first);
                    let asked = Candidate {
                        producer_id: ProducerId(id),
                        producer_epoch: ProducerEpoch::new(epoch),
                        first_sequence: first,
                        last_sequence: first.wrapping_add(records - 1),
                    };
                    let answer = model.answer(&asked);
                    prop_assert_eq!(ask(&producers, &asked), answer);
                    if model.answer(&asked) == Answer::New {
                        let end = model.end();
                        let taken = Noted {
                            producer_id: asked.producer_id,
                            producer_epoch: asked.producer_epoch,
                            batch: RememberedBatch {
                                first_sequence: asked.first_sequence,
                                last_sequence: asked.last_sequence,
                                first_offset: Offset::new(end),
                                last_offset: Offset::new(end + i64::from(records) - 1),
                                max_timestamp: Timestamp(end),
                            },
                            transactional: false,
                            control: false,
                        };
                        model.log.push(taken);
                        producers.note(&taken, NOW);
                    }
                }
                Step::Repeat(back) => {
                    if let Some(old) = model.log.iter().rev().nth(back) {
                        let asked = Candidate {
                            producer_id: old.producer_id,
                            producer_epoch: old.producer_epoch,
                            first_sequence: old.batch.first_sequence,
                            last_sequence: old.batch.last_sequence,
                        };
                        prop_assert_eq!(ask(&producers, &asked), model.answer(&asked));
                    }
                }
                Step::Truncate(to) => {
                    // At a batch's first offset, as every cut is.
                    let at = usize::from(to) % (model.log.len() + 1);
                    let cut = model.log.get(at).map_or(model.end(), |n| n.batch.first_offset.get());
                    model.log.truncate(at);
                    let before = producers.clone();
                    match producers.truncate(Offset::new(cut)) {
                        Truncation::Done => prop_assert_eq!(&producers, &model.replayed()),
                        Truncation::NeedsRebuild => {
                            prop_assert_eq!(&producers, &before);
                            producers = model.replayed();
                        }
                    }
                }
                Step::Snapshot => {
                    producers = Producers::decode(&producers.encode()).unwrap();
                }
            }
        }
        prop_assert_eq!(producers, model.replayed());
    }
}
