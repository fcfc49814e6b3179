//! Forged histories: the judge must catch each kind of broken promise, and accept what is legal.

mod forger;

use super::history::{Bound, Found, Span};
use super::{Ending, History, Kind, Place, check};
use forger::*;

#[test]
fn legal_histories_are_accepted() {
    let cases: Vec<(&str, History)> = vec![
        ("nothing happened", new().last(0, &[])),
        (
            "all is there",
            three().read(1, &[1, 2], 3).last(0, &[0, 1, 2]),
        ),
        (
            "over every ending",
            three()
                .ends(Ending::Kill)
                .ends(Ending::Power)
                .ends(Ending::Clean)
                .last(0, &[0, 1, 2]),
        ),
        (
            "an unknown one may be there",
            three().sent(3, None).last(0, &[0, 1, 2, 3]),
        ),
        ("or not", three().sent(3, None).last(0, &[0, 1, 2])),
        (
            "a plain one that was sent twice may be there twice",
            new()
                .sent(0, Some(0))
                .with(|sent| (sent.is_idempotent, sent.times) = (false, 2))
                .last(0, &[0, 0]),
        ),
        (
            "plain ones may be missing in between",
            new()
                .sent(0, None)
                .with(|sent| sent.is_idempotent = false)
                .sent(1, None)
                .with(|sent| sent.is_idempotent = false)
                .sent(2, None)
                .with(|sent| sent.is_idempotent = false)
                .last(0, &[0, 2]),
        ),
        (
            "what was deleted is gone",
            three().deletes(2, Some(2)).last(2, &[2]),
        ),
        (
            "a deletion without an answer may have happened",
            three().deletes(2, None).last(2, &[2]),
        ),
        ("or not", three().deletes(2, None).last(0, &[0, 1, 2])),
        (
            "the class written over a power cut",
            three().weak().ends(Ending::Power).last(0, &[0]),
        ),
        (
            "whose offsets others get",
            new()
                .weak()
                .sent(0, Some(0))
                .sent(1, Some(1))
                .read(0, &[0, 1], 2)
                .ends(Ending::Power)
                .read(0, &[0], 1)
                .sent(0, Some(1))
                .with(|sent| sent.session = 2)
                .last(0, &[0, 2]),
        ),
        (
            "and whose sequences are refused",
            refused(new().weak().sent(0, Some(0)).ends(Ending::Power)).last(0, &[]),
        ),
        (
            "a lying disk may lose what was acknowledged",
            three().deceived(true).ends(Ending::Power).last(0, &[0]),
        ),
        (
            "a rotten one may refuse it",
            unreadable(three().deceived(false).ends(Ending::Kill)),
        ),
        (
            "compaction drops what a later record of the key replaced",
            new()
                .compacted()
                .sent(0, Some(0))
                .with(|sent| sent.key = Some(5))
                .sent(1, Some(1))
                .with(|sent| sent.key = Some(5))
                .last_found(0, 2, found(1, &[1])),
        ),
    ];
    for (name, history) in cases {
        assert_eq!(check(&history), [], "{name}");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn every_broken_promise_is_caught() {
    let changed = |mut found: Vec<Found>| {
        found[0].checksum ^= 1;
        found
    };
    let elsewhere = Place {
        topic: 0,
        partition: 3,
    };
    let cases: Vec<(&str, Kind, History)> = vec![
        ("the last is gone", Kind::Lost, three().last(0, &[0, 1])),
        (
            "all is gone",
            Kind::Lost,
            three().ends(Ending::Kill).last(0, &[]),
        ),
        (
            "the class written over a kill",
            Kind::Lost,
            three().weak().ends(Ending::Kill).last(0, &[0, 1]),
        ),
        (
            "the class written over a clean stop and a power cut",
            Kind::Lost,
            new()
                .weak()
                .sent(0, Some(0))
                .ends(Ending::Clean)
                .ends(Ending::Power)
                .last(0, &[]),
        ),
        (
            "read and not acknowledged, then gone",
            Kind::Lost,
            new()
                .sent(0, None)
                .read(0, &[0], 1)
                .ends(Ending::Power)
                .last(0, &[]),
        ),
        (
            "acknowledged as a repeat, and nowhere",
            Kind::Lost,
            new()
                .sent(0, Some(0))
                .with(|sent| sent.acknowledged.as_mut().unwrap().offset = None)
                .last(0, &[]),
        ),
        (
            "the last of a key compacted away",
            Kind::Lost,
            new()
                .compacted()
                .sent(0, Some(0))
                .with(|sent| sent.key = Some(5))
                .sent(1, Some(1))
                .with(|sent| sent.key = Some(6))
                .last_found(0, 2, found(1, &[1])),
        ),
        (
            "an idempotent one twice",
            Kind::Duplicate,
            three().last(0, &[0, 1, 2, 1]),
        ),
        (
            "a plain one twice that was sent once",
            Kind::Duplicate,
            new()
                .sent(0, None)
                .with(|sent| sent.is_idempotent = false)
                .last(0, &[0, 0]),
        ),
        (
            "twice, also where the disk lied",
            Kind::Duplicate,
            three()
                .deceived(true)
                .ends(Ending::Power)
                .last(0, &[0, 1, 2, 1]),
        ),
        (
            "order",
            Kind::Reordered,
            new().sent(0, None).sent(1, None).last(0, &[1, 0]),
        ),
        (
            "one of a session is missing in between",
            Kind::Gap,
            new()
                .sent(0, None)
                .sent(1, None)
                .sent(2, None)
                .last(0, &[0, 2]),
        ),
        (
            "an offset is missing in between",
            Kind::Gap,
            new().sent(0, None).last_found(0, 2, found(1, &[0])),
        ),
        (
            "the log ends after its records",
            Kind::Gap,
            new().sent(0, Some(0)).last_found(0, 2, found(0, &[0])),
        ),
        (
            "nobody sent it",
            Kind::Phantom,
            three().last(0, &[0, 1, 2, 9]),
        ),
        (
            "sent to another place",
            Kind::Phantom,
            new()
                .sent(0, None)
                .with(|sent| sent.place = elsewhere)
                .last(0, &[0]),
        ),
        (
            "made, and never sent",
            Kind::Phantom,
            new()
                .sent(0, None)
                .with(|sent| sent.times = 0)
                .last(0, &[0]),
        ),
        (
            "sent to the topic's namesake, since deleted",
            Kind::Phantom,
            {
                let mut history = new().sent(0, None).last(0, &[0]);
                history.topics.push(history.topics[0].clone());
                history.sent[0].place.topic = 1;
                history
            },
        ),
        (
            "refused, and there",
            Kind::RefusedYetThere,
            new()
                .sent(0, None)
                .with(|sent| sent.is_refused = true)
                .last(0, &[0]),
        ),
        (
            "a bit turned over",
            Kind::ChangedBytes,
            new()
                .sent(0, Some(0))
                .last_found(0, 1, changed(found(0, &[0]))),
        ),
        (
            "a bit turned over, also where the disk rotted",
            Kind::ChangedBytes,
            new()
                .deceived(false)
                .sent(0, Some(0))
                .last_found(0, 1, changed(found(0, &[0]))),
        ),
        (
            "told one offset, found at another",
            Kind::InconsistentOffset,
            new().sent(0, Some(1)).sent(1, Some(0)).last(0, &[0, 1]),
        ),
        (
            "two records at one offset at different times",
            Kind::InconsistentOffset,
            new()
                .sent(0, None)
                .sent(0, None)
                .with(|sent| sent.session = 2)
                .read(0, &[0], 1)
                .ends(Ending::Power)
                .last(0, &[1]),
        ),
        (
            "within one life, whatever the disk does",
            Kind::InconsistentOffset,
            new()
                .deceived(true)
                .sent(0, None)
                .sent(0, None)
                .with(|sent| sent.session = 2)
                .read(0, &[0], 1)
                .read(0, &[1], 1)
                .last(0, &[1]),
        ),
        (
            "the high watermark goes back",
            Kind::WentBack,
            new().bound(true, 2).bound(true, 1).history,
        ),
        (
            "the high watermark goes back over a power cut",
            Kind::WentBack,
            new()
                .bound(true, 2)
                .ends(Ending::Power)
                .bound(true, 1)
                .history,
        ),
        (
            "an acknowledged record is not shown",
            Kind::Watermark,
            new().sent(0, Some(0)).read(0, &[], 0).last(0, &[0]),
        ),
        (
            "a record past the high watermark is shown",
            Kind::Watermark,
            new().sent(0, None).read(0, &[0], 0).last(0, &[0]),
        ),
        (
            "a deletion is forgotten",
            Kind::BelowStart,
            three()
                .deletes(2, Some(2))
                .ends(Ending::Power)
                .last(0, &[0, 1, 2]),
        ),
        (
            "the start of the log goes back",
            Kind::WentBack,
            three()
                .deletes(2, None)
                .bound(false, 2)
                .bound(false, 1)
                .last(2, &[2]),
        ),
        (
            "the start moved by itself",
            Kind::StartMoved,
            three().last(1, &[1, 2]),
        ),
        (
            "the start moved further than asked",
            Kind::StartMoved,
            three().deletes(1, Some(1)).last(2, &[2]),
        ),
        (
            "the start moved past the high watermark",
            Kind::StartMoved,
            {
                let mut history = three().deletes(9, None).read(3, &[], 3).history;
                history.reads[0].log_start = 4;
                history
            },
        ),
        (
            "the next sequence is refused",
            Kind::SequenceRefused,
            refused(new().sent(0, Some(0)).ends(Ending::Power)).last(0, &[0]),
        ),
        ("a topic is gone", Kind::TopicLost, topics(|_| (), None)),
        (
            "a partition is gone",
            Kind::TopicLost,
            topics(
                |topic| (topic.partitions_least, topic.partitions_most) = (2, 2),
                Some(1),
            ),
        ),
        (
            "a deleted topic is back",
            Kind::TopicBack,
            topics(
                |topic| {
                    topic.deletion_asked = true;
                    topic.deleted = Some(Span::default());
                },
                Some(1),
            ),
        ),
        (
            "a place cannot be read",
            Kind::Unreadable,
            unreadable(three()),
        ),
    ];
    for (name, kind, history) in &cases {
        let violations = check(history);
        assert!(
            violations.iter().any(|violation| violation.kind == *kind),
            "{name}: {kind:?} not in {violations:?}"
        );
    }
}

#[test]
fn two_operations_at_the_same_time_may_tell_ends_in_any_order() {
    let mut forger = new();
    let mut overlapping = |offset| {
        let mut span = forger.span();
        (span.invoked, span.returned) = (1, 100);
        Bound {
            place: PLACE,
            span,
            is_end: true,
            offset,
        }
    };
    let bounds = vec![overlapping(5), overlapping(4)];
    forger.history.bounds = bounds;
    assert_eq!(check(&forger.history), []);
}
