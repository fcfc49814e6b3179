//! Makes histories that never happened, an operation at a time.

use super::super::history::{
    Acknowledged, Bound, Deletion, Found, Last, LastState, LastTopic, Read, Refusal, Sent, Span,
    TopicLife,
};
use super::super::{Deceit, Ending, History, Place, Strength};

pub(super) const PLACE: Place = Place {
    topic: 0,
    partition: 0,
};

/// A history in the making. Time passes with everything that is added.
pub(super) struct Forger {
    pub(super) history: History,
    pub(super) now: u64,
}

impl Forger {
    pub(super) fn new() -> Self {
        let topic = TopicLife {
            name: "t".to_owned(),
            is_created: true,
            partitions_least: 1,
            partitions_most: 1,
            ..TopicLife::default()
        };
        let history = History {
            topics: vec![topic],
            ..History::default()
        };
        Self { history, now: 0 }
    }

    pub(super) fn weak(mut self) -> Self {
        self.history.topics[0].is_weak = true;
        for sent in &mut self.history.sent {
            if let Some(told) = &mut sent.acknowledged {
                told.strength = Strength::Weak;
            }
        }
        self
    }

    pub(super) fn span(&mut self) -> Span {
        self.now += 10;
        Span {
            life: self.history.endings.len(),
            invoked: self.now,
            returned: self.now + 5,
        }
    }

    /// An idempotent record of session 1 with that order; acknowledged there, if anywhere.
    pub(super) fn sent(mut self, order: u64, offset: Option<i64>) -> Self {
        let strength = if self.history.topics[0].is_weak {
            Strength::Weak
        } else {
            Strength::Strong
        };
        let span = self.span();
        let number = self.history.sent.len() as u64;
        self.history.sent.push(Sent {
            place: PLACE,
            session: 1,
            order,
            checksum: number + 1000,
            key: None,
            times: 1,
            is_idempotent: true,
            is_refused: false,
            acknowledged: offset.map(|offset| Acknowledged {
                offset: Some(offset),
                strength,
                is_visible: true,
                span,
            }),
        });
        self
    }

    /// Changes the record sent last.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Sent)) -> Self {
        change(self.history.sent.last_mut().unwrap());
        self
    }

    pub(super) fn ends(mut self, ending: Ending) -> Self {
        self.history.endings.push(ending);
        self
    }

    pub(super) fn read(mut self, from: i64, numbers: &[u64], high_watermark: i64) -> Self {
        let read = Read {
            client: 7,
            place: PLACE,
            from,
            next: from,
            span: self.span(),
            high_watermark,
            log_start: 0,
            found: found(from, numbers),
        };
        self.history.reads.push(read);
        self
    }

    pub(super) fn bound(mut self, is_end: bool, offset: i64) -> Self {
        let bound = Bound {
            place: PLACE,
            span: self.span(),
            is_end,
            offset,
        };
        self.history.bounds.push(bound);
        self
    }

    pub(super) fn deletes(mut self, below: i64, low_watermark: Option<i64>) -> Self {
        let deletion = Deletion {
            place: PLACE,
            below,
            span: self.span(),
            low_watermark,
        };
        self.history.deletions.push(deletion);
        self
    }

    pub(super) fn compacted(mut self) -> Self {
        self.history.topics[0].is_compacted = true;
        self
    }

    pub(super) fn deceived(mut self, lied: bool) -> Self {
        self.history.deceit = Deceit {
            lied,
            rotted: !lied,
        };
        self
    }

    pub(super) fn last_found(mut self, log_start: i64, end: i64, found: Vec<Found>) -> History {
        let state = LastState {
            log_start,
            end,
            found,
        };
        self.history.last.push(Last {
            place: PLACE,
            state: Ok(state),
        });
        self.history.last_topics = Some(vec![LastTopic {
            topic: 0,
            partitions: 1,
        }]);
        self.history
    }

    /// The last look finds these records from `log_start` on.
    pub(super) fn last(self, log_start: i64, numbers: &[u64]) -> History {
        let end = log_start + i64::try_from(numbers.len()).unwrap();
        self.last_found(log_start, end, found(log_start, numbers))
    }
}

pub(super) fn found(from: i64, numbers: &[u64]) -> Vec<Found> {
    let numbers = numbers.iter().zip(from..);
    numbers
        .map(|(number, offset)| Found {
            offset,
            number: Some(*number),
            checksum: number + 1000,
        })
        .collect()
}

pub(super) fn new() -> Forger {
    Forger::new()
}

/// Three acknowledged records.
pub(super) fn three() -> Forger {
    new().sent(0, Some(0)).sent(1, Some(1)).sent(2, Some(2))
}

pub(super) fn refused(mut forger: Forger) -> Forger {
    let span = forger.span();
    forger.history.refusals.push(Refusal {
        place: PLACE,
        session: 1,
        order: 1,
        code: 45,
        span,
    });
    forger
}

pub(super) fn unreadable(mut forger: Forger) -> History {
    forger.history.last.push(Last {
        place: PLACE,
        state: Err(56),
    });
    forger.history
}

pub(super) fn topics(change: impl FnOnce(&mut TopicLife), partitions: Option<i32>) -> History {
    let mut history = new().history;
    change(&mut history.topics[0]);
    let there = partitions.map(|partitions| LastTopic {
        topic: 0,
        partitions,
    });
    history.last_topics = Some(there.into_iter().collect());
    history
}
