//! Both ends of a log over time: they only grow, readers are not behind acknowledgements, and the
//! start moves only as far as somebody asked.
//!
//! Keeps: two operations are compared only where one was answered before the other was asked.

use super::history::{LastState, Place, Span, Strength};
use super::{Judge, Kind};

/// An end as one operation knew it.
#[derive(Clone, Copy, Debug)]
struct Known {
    offset: i64,
    span: Span,
    void_from: usize,
    /// Who said so.
    by: By,
}

/// What an operation knows of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// A fetch told it.
    Fetch,
    /// A question for the end told it.
    Question,
    /// It is not below what was acknowledged.
    Acknowledgement,
    /// The last look.
    Last,
}

impl Judge<'_> {
    pub(super) fn ends(&mut self, place: Place, last: Option<&LastState>) {
        let history = self.history;
        let strength = self.strength(place);
        let known = |judge: &Self, offset, span: Span, strength, by| Known {
            offset,
            span,
            void_from: judge.void_from(strength, span.life),
            by,
        };
        // A start that was only seen may be one that its deletion did not live to answer.
        let start = |offset, span: Span, by| Known {
            offset,
            span,
            void_from: span.life + 1,
            by,
        };
        let mut starts = Vec::new();
        let mut ends = Vec::new();
        for read in history.reads.iter().filter(|read| read.place == place) {
            ends.push(known(
                self,
                read.high_watermark,
                read.span,
                strength,
                By::Fetch,
            ));
            starts.push(start(read.log_start, read.span, By::Fetch));
        }
        for bound in history.bounds.iter().filter(|bound| bound.place == place) {
            if bound.is_end {
                ends.push(known(
                    self,
                    bound.offset,
                    bound.span,
                    strength,
                    By::Question,
                ));
            } else {
                starts.push(start(bound.offset, bound.span, By::Question));
            }
        }
        for sent in history.sent.iter().filter(|sent| sent.place == place) {
            if let Some(told) = &sent.acknowledged
                && let (Some(offset), true) = (told.offset, told.is_visible)
            {
                ends.push(known(
                    self,
                    offset + 1,
                    told.span,
                    told.strength,
                    By::Acknowledgement,
                ));
            }
        }
        for deletion in history.deletions.iter().filter(|it| it.place == place) {
            if let Some(low) = deletion.low_watermark {
                starts.push(known(
                    self,
                    low,
                    deletion.span,
                    Strength::Strong,
                    By::Acknowledgement,
                ));
            }
        }
        if let Some(last) = last {
            let span = Span {
                life: self.last_life(),
                invoked: u64::MAX,
                returned: u64::MAX,
            };
            ends.push(known(self, last.end, span, strength, By::Last));
            starts.push(start(last.log_start, span, By::Last));
        }
        self.asked_for(place, &starts);
        self.only_grow(
            place,
            ends,
            "high watermark",
            (Kind::WentBack, Kind::Watermark),
        );
        self.only_grow(
            place,
            starts,
            "log start",
            (Kind::WentBack, Kind::BelowStart),
        );
    }

    fn only_grow(&mut self, place: Place, known: Vec<Known>, name: &str, kinds: (Kind, Kind)) {
        let mut by_answer = known.clone();
        by_answer.sort_by_key(|it| it.span.returned);
        let mut by_question = known;
        by_question.sort_by_key(|it| it.span.invoked);
        // The greatest offset known so far, by the life from which on it need not hold.
        let mut floors: Vec<Known> = Vec::new();
        let mut answered = by_answer.into_iter().peekable();
        for it in by_question {
            while let Some(before) = answered.next_if(|old| old.span.returned < it.span.invoked) {
                match floors
                    .iter_mut()
                    .find(|floor| floor.void_from == before.void_from)
                {
                    Some(floor) if floor.offset >= before.offset => {}
                    Some(floor) => *floor = before,
                    None => floors.push(before),
                }
            }
            let floor = floors
                .iter()
                .filter(|floor| floor.void_from > it.span.life)
                .max_by_key(|floor| floor.offset);
            if it.by != By::Acknowledgement
                && let Some(floor) = floor
                && floor.offset > it.offset
            {
                let kind = if floor.by == By::Acknowledgement {
                    kinds.1
                } else {
                    kinds.0
                };
                let what = format!(
                    "{name} {} ({:?}, asked at {} in life {}), {} before ({:?}, told at {} in life {})",
                    it.offset,
                    it.by,
                    it.span.invoked,
                    it.span.life,
                    floor.offset,
                    floor.by,
                    floor.span.returned,
                    floor.span.life
                );
                self.tell(kind, place, what);
            }
        }
    }

    fn asked_for(&mut self, place: Place, starts: &[Known]) {
        let history = self.history;
        let topic = history.topics.get(place.topic);
        if topic.is_some_and(|topic| topic.has_retention) {
            return;
        }
        // DeleteRecords goes by name, and a late one may meet the successor of its topic.
        let name = |it: Place| {
            history
                .topics
                .get(it.topic)
                .map(|topic| topic.name.as_str())
        };
        let is_meant = |it: Place| it.partition == place.partition && name(it) == name(place);
        for start in starts {
            let most = history
                .deletions
                .iter()
                .filter(|it| is_meant(it.place) && it.span.invoked < start.span.returned)
                .map(|it| it.below)
                .max()
                .unwrap_or(0);
            if start.offset > most {
                let what = format!("log start {}, asked for {most} at most", start.offset);
                self.tell(Kind::StartMoved, place, what);
                return;
            }
        }
    }
}
