//! What stands at which offset, over all acknowledgements and reads: known, unchanged, the same at
//! all times, each in one place.

use super::history::{Found, LastState, Place, Span, Strength};
use super::{Judge, Kind};
use std::collections::BTreeMap;

/// A record seen at an offset.
#[derive(Clone, Copy, Debug)]
struct Seen {
    offset: i64,
    number: u64,
    life: usize,
    at: u64,
    void_from: usize,
}

impl Judge<'_> {
    /// Checks every sighting of a record at `place`, the last look included.
    pub(super) fn offsets(&mut self, place: Place, last: Option<&LastState>) {
        let history = self.history;
        let by_class = self.strength(place);
        let mut seen = Vec::new();
        for (number, sent) in (0..).zip(&history.sent) {
            if let (true, Some(told)) = (sent.place == place, &sent.acknowledged)
                && let Some(offset) = told.offset
            {
                seen.push(self.seen(offset, number, told.span, told.strength));
            }
        }
        for read in history.reads.iter().filter(|read| read.place == place) {
            let mut before = read.from - 1;
            for found in &read.found {
                if found.offset <= before {
                    let what = format!("offset {} after {before} in one read", found.offset);
                    self.tell(Kind::InconsistentOffset, place, what);
                }
                before = found.offset;
                if found.offset >= read.high_watermark {
                    let (offset, end) = (found.offset, read.high_watermark);
                    let what = format!("offset {offset} shown below a high watermark of {end}");
                    self.tell(Kind::Watermark, place, what);
                }
                if let Some(number) = self.recognise(place, found) {
                    seen.push(self.seen(found.offset, number, read.span, by_class));
                }
            }
            if read.log_start > read.high_watermark {
                let (start, end) = (read.log_start, read.high_watermark);
                let what = format!("log start {start} past the high watermark {end}");
                self.tell(Kind::StartMoved, place, what);
            }
            if !read.found.is_empty() && read.from < read.log_start {
                let what = format!("read from {}, start {}", read.from, read.log_start);
                self.tell(Kind::BelowStart, place, what);
            }
        }
        let now = Span {
            life: self.last_life(),
            invoked: u64::MAX,
            returned: u64::MAX,
        };
        for found in last.into_iter().flat_map(|last| &last.found) {
            if let Some(number) = self.recognise(place, found) {
                seen.push(self.seen(found.offset, number, now, by_class));
            }
        }
        self.compare(place, seen);
        if let Some(last) = last {
            self.missing(place, last);
        }
    }

    fn seen(&self, offset: i64, number: u64, span: Span, strength: Strength) -> Seen {
        Seen {
            offset,
            number,
            life: span.life,
            at: span.invoked,
            void_from: self.void_from(strength, span.life),
        }
    }

    /// The record that was found, if it is one that was sent there as it is.
    fn recognise(&mut self, place: Place, found: &Found) -> Option<u64> {
        let history = self.history;
        let number = found.number.and_then(|it| usize::try_from(it).ok());
        let Some((number, sent)) = number.and_then(|it| Some((it, history.sent.get(it)?))) else {
            let what = format!("offset {} holds record {:?}", found.offset, found.number);
            self.tell(Kind::Phantom, place, what);
            return None;
        };
        let offset = found.offset;
        if sent.place != place {
            let what = format!("offset {offset} holds record {number} of {:?}", sent.place);
            self.tell(Kind::Phantom, place, what);
            return None;
        }
        if sent.checksum != found.checksum {
            let what = format!("offset {offset} holds record {number}, changed");
            self.tell(Kind::ChangedBytes, place, what);
            return None;
        }
        if sent.times == 0 {
            let what = format!("offset {offset} holds record {number}, which was not sent yet");
            self.tell(Kind::Phantom, place, what);
        }
        if sent.is_refused && sent.times <= 1 {
            let what = format!("offset {offset} holds record {number}, which was refused");
            self.tell(Kind::RefusedYetThere, place, what);
        }
        u64::try_from(number).ok()
    }

    fn compare(&mut self, place: Place, mut seen: Vec<Seen>) {
        seen.sort_by_key(|it| (it.life, it.at));
        let mut at_offset: BTreeMap<i64, Seen> = BTreeMap::new();
        let mut of_record: BTreeMap<u64, Seen> = BTreeMap::new();
        for it in seen {
            match at_offset.get(&it.offset) {
                Some(old) if old.number != it.number && it.life < old.void_from => {
                    let what = format!(
                        "offset {} held record {} in life {}, and {} in life {}",
                        it.offset, old.number, old.life, it.number, it.life
                    );
                    self.tell(Kind::InconsistentOffset, place, what);
                }
                _ => {}
            }
            let keep = |old: &Seen| old.number == it.number && old.void_from >= it.void_from;
            if !at_offset.get(&it.offset).is_some_and(keep) {
                at_offset.insert(it.offset, it);
            }
            let index = usize::try_from(it.number).unwrap_or(usize::MAX);
            let once = self
                .history
                .sent
                .get(index)
                .is_some_and(|sent| sent.is_idempotent || sent.times <= 1);
            match of_record.get(&it.number) {
                Some(old) if once && old.offset != it.offset && it.life < old.void_from => {
                    let what = format!(
                        "record {} at offset {} in life {}, at {} in life {}",
                        it.number, old.offset, old.life, it.offset, it.life
                    );
                    self.tell(Kind::Duplicate, place, what);
                }
                _ => {}
            }
            let keep = |old: &Seen| old.offset == it.offset && old.void_from >= it.void_from;
            if !of_record.get(&it.number).is_some_and(keep) {
                of_record.insert(it.number, it);
            }
        }
        let last_life = self.last_life();
        self.settled = at_offset
            .into_values()
            .filter(|it| it.void_from > last_life)
            .map(|it| (it.offset, it.number))
            .collect();
    }

    /// Everything that still holds must be in the last look.
    fn missing(&mut self, place: Place, last: &LastState) {
        let history = self.history;
        let there: BTreeMap<i64, u64> = last
            .found
            .iter()
            .filter_map(|found| Some((found.offset, found.number?)))
            .collect();
        let is_compacted = history
            .topics
            .get(place.topic)
            .is_some_and(|topic| topic.is_compacted);
        let key = |number: u64| {
            let index = usize::try_from(number).ok()?;
            history.sent.get(index)?.key
        };
        let mut last_of_key: BTreeMap<u64, i64> = BTreeMap::new();
        for (offset, number) in &there {
            if let Some(key) = key(*number) {
                last_of_key.insert(key, *offset);
            }
        }
        let settled = core::mem::take(&mut self.settled);
        for (offset, number) in settled {
            if offset < last.log_start || there.contains_key(&offset) {
                continue;
            }
            let replaced = is_compacted
                && key(number)
                    .and_then(|key| last_of_key.get(&key))
                    .is_some_and(|later| *later > offset);
            if !replaced {
                let what = format!(
                    "record {number} at offset {offset}, log {}..{}",
                    last.log_start, last.end
                );
                self.tell(Kind::Lost, place, what);
            }
        }
    }
}
