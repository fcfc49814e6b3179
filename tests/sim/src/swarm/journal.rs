//! What all clients of a run share: the history they write, the topics there are, and whether it
//! is time to finish.

use crate::checker::Ending;
use crate::checker::history::{
    Acknowledged, Bound, Deletion, Found, History, Place, Read, Refusal, Sent, Span, Strength,
    TopicLife,
};
use crate::records::Topic;
use core::cell::{Cell, RefCell};
use engine_model::TopicId;
use std::rc::Rc;

/// A topic that clients may use.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which of the history's topics.
    pub number: usize,
    /// Name and id.
    pub topic: Topic,
    /// Partitions known to be there.
    pub partitions: i32,
    /// Its records need keys.
    pub is_compacted: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Do what you were made for.
    Work,
    /// Begin nothing new; find out what became of what was begun.
    Drain,
    /// Leave.
    Over,
}

/// What happened, as figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Requests that clients sent.
    pub requests: u64,
    /// Batches sent again.
    pub resent: u64,
    /// Times that a connection was lost or an answer did not come.
    pub hangups: u64,
    /// Errors in answers.
    pub errors: u64,
}

/// Shared by everything in one run. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Rc<Shared>,
}

struct Shared {
    history: RefCell<History>,
    targets: RefCell<Vec<Target>>,
    /// Those that are gone or going, too.
    targets_ever: RefCell<Vec<Target>>,
    phase: Cell<Phase>,
    figures: Cell<Figures>,
    working: Cell<usize>,
    errors: RefCell<Vec<(i16, u64)>>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            shared: Rc::new(Shared {
                history: RefCell::default(),
                targets: RefCell::default(),
                targets_ever: RefCell::default(),
                phase: Cell::new(Phase::Work),
                figures: Cell::default(),
                working: Cell::default(),
                errors: RefCell::default(),
            }),
        }
    }
}

impl Journal {
    /// How far the run is.
    pub fn phase(&self) -> Phase {
        self.shared.phase.get()
    }

    /// Sets how far the run is.
    pub fn set_phase(&self, phase: Phase) {
        self.shared.phase.set(phase);
    }

    /// Clients that have not yet found out what became of what they began.
    pub fn working(&self) -> usize {
        self.shared.working.get()
    }

    /// One more of those.
    pub fn begin_work(&self) {
        self.shared.working.set(self.working() + 1);
    }

    /// One less.
    pub fn end_work(&self) {
        self.shared.working.set(self.working().saturating_sub(1));
    }

    /// Changes the figures.
    pub fn count(&self, change: impl FnOnce(&mut Figures)) {
        let mut figures = self.shared.figures.get();
        change(&mut figures);
        self.shared.figures.set(figures);
    }

    /// The figures.
    pub fn figures(&self) -> Figures {
        self.shared.figures.get()
    }

    /// Counts an error that the broker told.
    pub fn error(&self, code: i16) {
        self.count(|figures| figures.errors += 1);
        let mut errors = self.shared.errors.borrow_mut();
        match errors.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => errors.push((code, 1)),
        }
    }

    /// How often each error was told.
    pub fn errors(&self) -> Vec<(i16, u64)> {
        let mut errors = self.shared.errors.borrow().clone();
        errors.sort_unstable();
        errors
    }

    /// Acts on the history.
    pub fn with<R>(&self, act: impl FnOnce(&mut History) -> R) -> R {
        act(&mut self.shared.history.borrow_mut())
    }

    /// A span that begins now.
    pub fn asked(&self) -> Span {
        Span {
            life: self.with(|history| history.endings.len()),
            invoked: engine_rt::now().0,
            returned: u64::MAX,
        }
    }

    /// The node went down.
    pub fn ended(&self, ending: Ending) {
        self.with(|history| history.endings.push(ending));
    }

    // --- topics ---

    /// Notes that somebody asks for a topic; returns its number.
    pub fn ask_for_topic(&self, topic: TopicLife) -> usize {
        self.with(|history| {
            history.topics.push(topic);
            history.topics.len() - 1
        })
    }

    /// Lets clients use a topic.
    pub fn add_target(&self, target: Target) {
        self.shared.targets_ever.borrow_mut().push(target.clone());
        self.shared.targets.borrow_mut().push(target);
    }

    /// The topic of that id, whether it may be used or not.
    pub fn target_of(&self, id: TopicId) -> Option<Target> {
        let ever = self.shared.targets_ever.borrow();
        ever.iter().find(|target| target.topic.id == id).cloned()
    }

    /// Lets no client begin anything with a topic any more.
    pub fn remove_target(&self, number: usize) {
        let mut targets = self.shared.targets.borrow_mut();
        targets.retain(|target| target.number != number);
    }

    /// Changes how many partitions a topic is known to have.
    pub fn set_partitions(&self, number: usize, partitions: i32) {
        let mut targets = self.shared.targets.borrow_mut();
        for target in targets.iter_mut().filter(|it| it.number == number) {
            target.partitions = partitions;
        }
    }

    /// The topics that may be used now.
    pub fn targets(&self) -> Vec<Target> {
        self.shared.targets.borrow().clone()
    }

    /// Whether somebody asked for the deletion of a topic.
    pub fn is_going(&self, number: usize) -> bool {
        self.with(|history| {
            let topic = history.topics.get(number);
            topic.is_none_or(|topic| topic.deletion_asked)
        })
    }

    /// What having been acknowledged with these acks promises at a place.
    pub fn strength(&self, place: Place, acks: i16) -> Strength {
        let weak = self.with(|history| {
            let topic = history.topics.get(place.topic);
            topic.is_none_or(|topic| topic.is_weak)
        });
        if weak || acks != -1 {
            Strength::Weak
        } else {
            Strength::Strong
        }
    }

    // --- records ---

    /// The number that the next record gets.
    pub fn next_number(&self) -> u64 {
        self.with(|history| history.sent.len() as u64)
    }

    /// Notes a record that is about to be sent.
    pub fn sends(&self, sent: Sent) {
        self.with(|history| history.sent.push(sent));
    }

    /// Acts on one record.
    pub fn sent(&self, number: u64, act: impl FnOnce(&mut Sent)) {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        self.with(|history| {
            if let Some(sent) = history.sent.get_mut(number) {
                act(sent);
            }
        });
    }

    /// Notes an acknowledgement of the records from `first` on, at offsets from `offset` on.
    pub fn acknowledge(&self, first: u64, count: u64, offset: Option<i64>, acks: i16, span: Span) {
        for (number, delta) in (first..first + count).zip(0..) {
            let mut place = Place {
                topic: 0,
                partition: 0,
            };
            self.sent(number, |sent| place = sent.place);
            let strength = self.strength(place, acks);
            self.sent(number, |sent| {
                let told = Acknowledged {
                    offset: offset.map(|offset| offset + delta),
                    strength,
                    is_visible: acks == -1,
                    span,
                };
                // The first word counts; a later one may know more.
                if sent.acknowledged.is_none_or(|old| old.offset.is_none()) {
                    sent.acknowledged = Some(told);
                }
            });
        }
    }

    /// How many records were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.with(|history| {
            let sent = history.sent.iter();
            sent.filter(|sent| sent.acknowledged.is_some()).count()
        })
    }

    // --- what readers find ---

    /// Notes a read.
    pub fn read(&self, read: Read) {
        self.with(|history| history.reads.push(read));
    }

    /// Notes an end.
    pub fn bound(&self, bound: Bound) {
        self.with(|history| history.bounds.push(bound));
    }

    /// Notes that somebody asks for a deletion; returns its number.
    pub fn deletes(&self, deletion: Deletion) -> usize {
        self.with(|history| {
            history.deletions.push(deletion);
            history.deletions.len() - 1
        })
    }

    /// Notes how a deletion went.
    pub fn deleted(&self, number: usize, low_watermark: i64, returned: u64) {
        self.with(|history| {
            if let Some(deletion) = history.deletions.get_mut(number) {
                deletion.low_watermark = Some(low_watermark);
                deletion.span.returned = returned;
            }
        });
    }

    /// Notes a refused sequence.
    pub fn refused(&self, refusal: Refusal) {
        self.with(|history| history.refusals.push(refusal));
    }
}

/// A record as it was found.
pub fn found(offset: i64, value: &[u8]) -> Found {
    Found {
        offset,
        number: crate::payload::number(value),
        checksum: crate::payload::checksum(value),
    }
}
