//! Timers of one shard in a hierarchical wheel: setting and clearing one costs the same however
//! many there are.
//!
//! Level 0 has 64 slots of one tick (2^16 ns); each level above has 64 slots as wide as the whole
//! level below, and a last list takes what lies beyond. A timer sits on the lowest level where its
//! tick and the wheel's differ within one turn, and moves down as the wheel comes near.
//!
//! Keeps: a timer fires at or after its moment, never before; those due together fire in the
//! order of their moments, and of their setting where these are equal.
//! Source: Varghese and Lauck, Hashed and Hierarchical Timing Wheels, 1987.

use std::task::Waker;

use engine_model::Moment;

const TICK_BITS: u32 = 16;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 64;
/// 64^6 ticks of 65 us are 52 days; timers further away wait in one list.
const LEVELS: usize = 6;
/// The list of timers beyond the last level.
const BEYOND: usize = LEVELS * SLOTS;

/// Names a timer until it has fired or is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId {
    index: usize,
    sequence: u64,
}

#[derive(Debug)]
struct Timer {
    moment: Moment,
    sequence: u64,
    waker: Option<Waker>,
    /// The list it is in, and its place there.
    list: usize,
    place: usize,
}

/// See the module's comment.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Every tick before this one has been looked at.
    tick: u64,
    timers: Vec<Timer>,
    free: Vec<usize>,
    count: usize,
    sequence: u64,
    /// Indexes into `timers`, by slot; the last list is [`BEYOND`].
    lists: Vec<Vec<usize>>,
    /// Which slots of a level hold timers.
    occupied: [u64; LEVELS],
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            tick: 0,
            timers: Vec::new(),
            free: Vec::new(),
            count: 0,
            sequence: 0,
            lists: vec![Vec::new(); BEYOND + 1],
            occupied: [0; LEVELS],
        }
    }
}

fn tick_of(moment: Moment) -> u64 {
    moment.0 >> TICK_BITS
}

fn slot_of(tick: u64, level: usize) -> usize {
    let shift = u32::try_from(level)
        .unwrap_or(u32::MAX)
        .saturating_mul(SLOT_BITS);
    let slot = tick.checked_shr(shift).unwrap_or(0) & 63;
    usize::try_from(slot).unwrap_or(0)
}

impl Wheel {
    /// Sets a timer.
    pub(crate) fn insert(&mut self, moment: Moment, waker: Waker) -> TimerId {
        self.sequence = self.sequence.wrapping_add(1);
        let timer = Timer {
            moment,
            sequence: self.sequence,
            waker: Some(waker),
            list: 0,
            place: 0,
        };
        let index = self.free.pop().unwrap_or(self.timers.len());
        match self.timers.get_mut(index) {
            Some(slot) => *slot = timer,
            None => self.timers.push(timer),
        }
        self.count = self.count.saturating_add(1);
        self.link(index, moment);
        TimerId {
            index,
            sequence: self.sequence,
        }
    }

    fn get(&mut self, id: TimerId) -> Option<&mut Timer> {
        self.timers
            .get_mut(id.index)
            .filter(|timer| timer.sequence == id.sequence && timer.waker.is_some())
    }

    /// Replaces the waker; `false` if the timer has fired.
    pub(crate) fn renew(&mut self, id: TimerId, waker: &Waker) -> bool {
        match self.get(id).and_then(|timer| timer.waker.as_mut()) {
            Some(known) => {
                known.clone_from(waker);
                true
            }
            None => false,
        }
    }

    /// Clears a timer, if it has not fired, and returns its waker.
    pub(crate) fn remove(&mut self, id: TimerId) -> Option<Waker> {
        let waker = self.get(id)?.waker.take();
        self.unlink(id.index);
        self.release(id.index);
        waker
    }

    fn release(&mut self, index: usize) {
        self.free.push(index);
        self.count = self.count.saturating_sub(1);
    }

    /// Puts a timer into the list where `moment` belongs, seen from the wheel's tick.
    fn link(&mut self, index: usize, moment: Moment) {
        let tick = tick_of(moment).max(self.tick);
        let differs = (tick ^ self.tick).checked_ilog2().unwrap_or(0);
        let level = usize::try_from(differs / SLOT_BITS).unwrap_or(LEVELS);
        let list = if level < LEVELS {
            let slot = slot_of(tick, level);
            if let Some(occupied) = self.occupied.get_mut(level) {
                *occupied |= 1 << slot;
            }
            level * SLOTS + slot
        } else {
            BEYOND
        };
        if let (Some(members), Some(timer)) = (self.lists.get_mut(list), self.timers.get_mut(index))
        {
            timer.list = list;
            timer.place = members.len();
            members.push(index);
        }
    }

    fn unlink(&mut self, index: usize) {
        let Some(timer) = self.timers.get(index) else {
            return;
        };
        let (list, place) = (timer.list, timer.place);
        let Some(members) = self.lists.get_mut(list) else {
            return;
        };
        if members.get(place) == Some(&index) {
            members.swap_remove(place);
            if let Some(timer) = members
                .get(place)
                .and_then(|moved| self.timers.get_mut(*moved))
            {
                timer.place = place;
            }
        }
        if members.is_empty() {
            self.mark_empty(list);
        }
    }

    fn mark_empty(&mut self, list: usize) {
        if let Some(occupied) = self.occupied.get_mut(list / SLOTS) {
            *occupied &= !(1 << (list % SLOTS));
        }
    }

    fn take_list(&mut self, list: usize) -> Vec<usize> {
        self.mark_empty(list);
        self.lists
            .get_mut(list)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Keeps the room of a list that was taken, so that timers set later need no new one.
    fn give_back(&mut self, list: usize, emptied: Vec<usize>) {
        if let Some(members) = self.lists.get_mut(list)
            && members.is_empty()
        {
            *members = emptied;
        }
    }

    /// The first occupied slot of the lowest occupied level: level, slot.
    fn first_slot(&self) -> Option<(usize, usize)> {
        self.occupied
            .iter()
            .enumerate()
            .find(|(_, occupied)| **occupied != 0)
            .map(|(level, occupied)| {
                // On its level every occupied slot lies ahead of the wheel within the same turn.
                let slot = usize::try_from(occupied.trailing_zeros()).unwrap_or(0);
                (level, slot)
            })
    }

    /// The tick at which a slot begins, in the turn that the wheel is in.
    fn start_of(&self, level: usize, slot: usize) -> u64 {
        let shift = u32::try_from(level)
            .unwrap_or(u32::MAX)
            .saturating_mul(SLOT_BITS);
        let above = shift.saturating_add(SLOT_BITS);
        let turn = (self.tick >> above) << above;
        turn | (u64::try_from(slot).unwrap_or(0) << shift)
    }

    /// No timer is due before this moment; exact when it is near.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        if self.count == 0 {
            return None;
        }
        match self.first_slot() {
            Some((0, slot)) => self
                .lists
                .get(slot)?
                .iter()
                .filter_map(|index| self.timers.get(*index))
                .map(|timer| timer.moment)
                .min(),
            Some((level, slot)) => Some(Moment(self.start_of(level, slot) << TICK_BITS)),
            None => {
                // Beyond every level: the next turn of the whole wheel.
                let bits = SLOT_BITS.saturating_mul(u32::try_from(LEVELS).unwrap_or(0));
                let next_turn = (self.tick >> bits).saturating_add(1) << bits;
                Some(Moment(next_turn.saturating_mul(1 << TICK_BITS)))
            }
        }
    }

    /// Takes out every timer that is due at `now`, in order.
    pub(crate) fn take_due(&mut self, now: Moment) -> Vec<Waker> {
        let mut due: Vec<(Moment, u64, Waker)> = Vec::new();
        let target = tick_of(now);
        while self.count > 0 {
            let Some((level, slot)) = self.first_slot() else {
                if !self.enter_next_turn(target) {
                    break;
                }
                continue;
            };
            let start = self.start_of(level, slot);
            if start > target {
                break;
            }
            self.tick = self.tick.max(start);
            let list = level * SLOTS + slot;
            let mut members = self.take_list(list);
            let mut kept = false;
            for index in members.drain(..) {
                let Some(timer) = self.timers.get_mut(index) else {
                    continue;
                };
                let moment = timer.moment;
                if moment <= now {
                    if let Some(waker) = timer.waker.take() {
                        due.push((moment, timer.sequence, waker));
                    }
                    self.release(index);
                } else {
                    self.link(index, moment);
                    kept = kept || level == 0;
                }
            }
            self.give_back(list, members);
            if kept {
                // What is left of the current tick is not due yet, nor is anything after it.
                break;
            }
        }
        // Never past a tick that still holds timers: those of `target` may be due later in it.
        if self
            .first_slot()
            .is_none_or(|(level, slot)| self.start_of(level, slot) > target)
        {
            self.tick = self.tick.max(target);
        }
        due.sort_unstable_by_key(|(moment, sequence, _)| (*moment, *sequence));
        due.into_iter().map(|(_, _, waker)| waker).collect()
    }

    /// Every level is empty: goes to the turn of the nearest timer beyond, if `target` is there.
    fn enter_next_turn(&mut self, target: u64) -> bool {
        let nearest = self
            .lists
            .get(BEYOND)
            .into_iter()
            .flatten()
            .filter_map(|index| self.timers.get(*index))
            .map(|timer| tick_of(timer.moment))
            .min();
        let bits = SLOT_BITS.saturating_mul(u32::try_from(LEVELS).unwrap_or(0));
        match nearest.map(|tick| (tick >> bits) << bits) {
            Some(turn) if turn <= target => {
                self.tick = self.tick.max(turn);
                for index in self.take_list(BEYOND) {
                    if let Some(moment) = self.timers.get(index).map(|timer| timer.moment) {
                        self.link(index, moment);
                    }
                }
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
