//! The judge of a history: which promises of the broker does what its clients saw break?
//!
//! It is a pure function of a [`History`] and knows nothing of brokers or simulations. What it
//! holds the broker to, per partition:
//!
//! | promise | broken as |
//! |---|---|
//! | what was acknowledged, or read, stays: at its offset, unchanged | `Lost`, `InconsistentOffset`, `ChangedBytes` |
//! | what is there was sent, to there, and not refused | `Phantom`, `RefusedYetThere` |
//! | once, unless its producer repeated it without a sequence | `Duplicate` |
//! | in the order of its session, without gaps | `Reordered`, `Gap` |
//! | both ends only grow; the high watermark covers what acks=all acknowledged, and nothing past it is shown | `WentBack`, `Watermark` |
//! | the start moves only as far as somebody asked, and stays moved | `StartMoved`, `BelowStart` |
//! | the sequence that follows is taken | `SequenceRefused` |
//! | topics stay, and deleted ones stay away | `TopicLost`, `TopicBack` |
//!
//! What may be missing: what a power cut may take from the class `written` or from acks=1; what
//! DeleteRecords or retention removed; in a compacted topic, records that a later one of their key
//! replaced. Where the machine itself lied or rotted ([`Deceit`]) whatever it held when it went
//! down may be gone or refused, and nothing else is excused.

mod ends;
pub mod history;
mod last;
mod offsets;
#[cfg(test)]
mod tests;
mod violation;

pub use history::{Deceit, Ending, History, Place, Strength};
pub use violation::{Kind, Violation};

use history::{Last, LastState};
use std::collections::{BTreeMap, BTreeSet};

/// Violations told of one history; more would say the same.
const VIOLATIONS_MAX: usize = 20;

/// Every broken promise, up to some number of them.
pub fn check(history: &History) -> Vec<Violation> {
    let mut judge = Judge {
        history,
        violations: Vec::new(),
        settled: Vec::new(),
    };
    judge.topics();
    let mut places: BTreeSet<Place> = history.sent.iter().map(|sent| sent.place).collect();
    places.extend(history.reads.iter().map(|read| read.place));
    places.extend(history.bounds.iter().map(|bound| bound.place));
    places.extend(history.last.iter().map(|last| last.place));
    let last: BTreeMap<Place, &Last> = history.last.iter().map(|it| (it.place, it)).collect();
    for place in places {
        let state: Option<&LastState> = match last.get(&place).map(|last| &last.state) {
            Some(Ok(state)) => Some(state),
            Some(Err(code)) => {
                if history.deceit == Deceit::default() {
                    judge.tell(Kind::Unreadable, place, format!("error {code} at the end"));
                }
                None
            }
            None => None,
        };
        judge.offsets(place, state);
        judge.ends(place, state);
        if let Some(state) = state {
            judge.last(place, state);
        }
    }
    for refusal in &history.refusals {
        judge.refusal(refusal);
    }
    judge.violations
}

pub(crate) struct Judge<'a> {
    history: &'a History,
    violations: Vec<Violation>,
    /// Offsets of the place at hand, each with the record that must still be there.
    settled: Vec<(i64, u64)>,
}

impl Judge<'_> {
    fn tell(&mut self, kind: Kind, place: Place, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation { kind, place, what });
        }
    }

    /// The first life of the node in which something of this strength, told in `life`, need not
    /// hold any more.
    fn void_from(&self, strength: Strength, life: usize) -> usize {
        let ends = self.history.endings.iter().enumerate().skip(life);
        for (number, ending) in ends {
            if self.history.deceit != Deceit::default() {
                return number + 1;
            }
            match (strength, ending) {
                (Strength::Strong, _) | (Strength::Weak, Ending::Kill) => {}
                (Strength::Weak, Ending::Power) => return number + 1,
                // Whatever was there is on the medium now.
                (Strength::Weak, Ending::Clean) => return usize::MAX,
            }
        }
        usize::MAX
    }

    /// What having been read at `place` promises.
    fn strength(&self, place: Place) -> Strength {
        match self.history.topics.get(place.topic) {
            Some(topic) if topic.is_weak => Strength::Weak,
            _ => Strength::Strong,
        }
    }

    /// The life of the last look.
    fn last_life(&self) -> usize {
        self.history.endings.len()
    }

    fn topics(&mut self) {
        let Some(last) = &self.history.last_topics else {
            return;
        };
        let honest = self.history.deceit == Deceit::default();
        for (number, topic) in self.history.topics.iter().enumerate() {
            let place = Place {
                topic: number,
                partition: -1,
            };
            let there = last.iter().find(|it| it.topic == number);
            let asked_for = topic.partitions_least..=topic.partitions_most;
            match there {
                Some(_) if topic.deleted.is_some() && honest => {
                    self.tell(Kind::TopicBack, place, topic.name.clone());
                }
                Some(it) if honest && !asked_for.contains(&it.partitions) => {
                    let what = format!("{} of {asked_for:?} partitions", it.partitions);
                    self.tell(Kind::TopicLost, place, what);
                }
                None if topic.is_created && !topic.deletion_asked && honest => {
                    self.tell(Kind::TopicLost, place, topic.name.clone());
                }
                _ => {}
            }
        }
    }

    /// A sequence may be refused only where what came before it may be gone.
    fn refusal(&mut self, refusal: &history::Refusal) {
        let strength = self.strength(refusal.place);
        let excused =
            (0..=refusal.span.life).any(|life| self.void_from(strength, life) <= refusal.span.life);
        let is_going = self
            .history
            .topics
            .get(refusal.place.topic)
            .is_some_and(|topic| topic.deletion_asked);
        if !excused && !is_going {
            let what = format!(
                "error {} for record {} of session {}",
                refusal.code, refusal.order, refusal.session
            );
            self.tell(Kind::SequenceRefused, refusal.place, what);
        }
    }
}
