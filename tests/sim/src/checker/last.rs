//! The last look at a place as a whole: no gaps, order, repeats that were only recognised.

use super::history::{LastState, Place};
use super::{Deceit, Judge, Kind};
use std::collections::{BTreeMap, BTreeSet};

impl Judge<'_> {
    pub(super) fn last(&mut self, place: Place, last: &LastState) {
        let history = self.history;
        let topic = history.topics.get(place.topic);
        let is_compacted = topic.is_some_and(|topic| topic.is_compacted);
        let mut next = last.log_start;
        // The number of the last record of each session.
        let mut orders: BTreeMap<u64, u64> = BTreeMap::new();
        let mut numbers = BTreeSet::new();
        for found in &last.found {
            if found.offset != next && !is_compacted {
                let what = format!("offset {} where {next} was due", found.offset);
                self.tell(Kind::Gap, place, what);
            }
            next = found.offset + 1;
            let number = found.number.and_then(|it| usize::try_from(it).ok());
            let Some(sent) = number.and_then(|it| history.sent.get(it)) else {
                continue;
            };
            numbers.extend(number);
            if !sent.is_idempotent && sent.times > 1 {
                continue;
            }
            let before = orders.insert(sent.session, sent.order);
            let (session, order) = (sent.session, sent.order);
            match before {
                Some(before) if before >= order => {
                    let what = format!("session {session}: record {order} after {before}");
                    self.tell(Kind::Reordered, place, what);
                }
                Some(before)
                    if sent.is_idempotent
                        && !is_compacted
                        && history.deceit == Deceit::default()
                        && before + 1 != order =>
                {
                    let what = format!("session {session}: record {order} follows {before}");
                    self.tell(Kind::Gap, place, what);
                }
                _ => {}
            }
        }
        if next != last.end && !is_compacted {
            let what = format!("records end at {next}, the log at {}", last.end);
            self.tell(Kind::Gap, place, what);
        }
        let untouched = last.log_start == 0 && !is_compacted;
        for (number, sent) in history.sent.iter().enumerate() {
            let Some(told) = sent.acknowledged.filter(|_| sent.place == place) else {
                continue;
            };
            let void = self.void_from(told.strength, told.span.life) <= self.last_life();
            let asks = told.offset.is_none() && told.strength == super::Strength::Strong;
            if untouched && asks && !void && !numbers.contains(&number) {
                let what = format!("record {number}, acknowledged as a repeat");
                self.tell(Kind::Lost, place, what);
            }
        }
    }
}
