//! The fetch sessions of one shard: bounded in number and in partitions.
//!
//! A session lives on the shard whose connection began it. Its id says which shard that is; a
//! client that comes back over a connection of another shard is told that there is no such session,
//! as if it had been evicted, and begins one there.
//!
//! | a new session finds no room and          | then                                          |
//! |------------------------------------------|-----------------------------------------------|
//! | the one used longest ago is stale        | that one goes                                 |
//! | one that is no longer young is smaller   | the smallest of those goes                    |
//! | anything else                            | there is no new session; the client has none  |
//!
//! A follower's session is worth more than any consumer's, and also evicts young ones of those.
//!
//! Keeps: slots and partitions are the node's limit divided by its shards; a session is used by one
//! request at a time; a connection that ends takes no session with it.
//! Does not: know what is in a session (`fetch_set`). Source: KIP-227, Kafka 4.3.1's answers.

use core::cell::RefCell;
use core::time::Duration;
use engine_model::{ErrorCode, HashMap, Moment, ShardId};

use crate::fetch_set::FetchSet;

/// For so long a session is safe from larger ones; unused for longer it is stale.
const EVICTION_AGE: Duration = Duration::from_mins(2);
/// Partitions in all sessions of a node; with what watches them each takes about 300 bytes.
const PARTITIONS_MAX: usize = 100_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sessions {
    shard: ShardId,
    shards: usize,
    slots_max: usize,
    partitions_max: usize,
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<i32, Session>,
    partitions: usize,
}

#[derive(Debug)]
struct Session {
    /// What the next request has to say.
    epoch: i32,
    uses_ids: bool,
    is_follower: bool,
    size: usize,
    created: Moment,
    used: Moment,
    /// `None` while a request works with it.
    set: Option<Box<FetchSet>>,
}

impl Session {
    fn is_young(&self, now: Moment) -> bool {
        now.saturating_since(self.created) <= EVICTION_AGE
    }

    fn is_stale(&self, now: Moment) -> bool {
        now.saturating_since(self.used) > EVICTION_AGE
    }
}

/// A session in use by a request.
#[derive(Debug)]
pub(crate) struct Using {
    /// The session.
    pub(crate) id: i32,
    /// What the next request has to say.
    epoch: i32,
    /// Its partitions.
    pub(crate) set: Box<FetchSet>,
}

impl Sessions {
    /// The sessions of a shard of a node that has room for `slots` of them.
    pub(crate) fn new(shard: ShardId, shards: usize, slots: usize) -> Self {
        let shards = shards.max(1);
        Self {
            shard,
            shards,
            slots_max: slots.div_ceil(shards),
            partitions_max: PARTITIONS_MAX.div_ceil(shards),
            inner: RefCell::default(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.inner.borrow().by_id.len()
    }

    /// Partitions in all of them.
    pub(crate) fn partitions(&self) -> usize {
        self.inner.borrow().partitions
    }

    /// The shard a session lives on, by its id.
    pub(crate) fn home(&self, id: i32) -> Option<ShardId> {
        let number = usize::try_from(id).ok().filter(|number| *number > 0)?;
        let shard = number.checked_rem(self.shards)?;
        u16::try_from(shard).ok().map(ShardId)
    }

    /// Gives the session to a request that claims to be its next one.
    pub(crate) fn begin(
        &self,
        id: i32,
        epoch: i32,
        uses_ids: bool,
        now: Moment,
    ) -> Result<Using, ErrorCode> {
        let mut inner = self.inner.borrow_mut();
        let session = inner
            .by_id
            .get_mut(&id)
            .ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.uses_ids != uses_ids {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        // Somebody guessed right while the request before is under way.
        let set = session
            .set
            .take()
            .ok_or(ErrorCode::INVALID_FETCH_SESSION_EPOCH)?;
        session.epoch = next_epoch(epoch);
        session.used = now;
        Ok(Using {
            id,
            epoch: session.epoch,
            set,
        })
    }

    /// Takes a session back from its request, with what it contains now. False where it was closed
    /// or evicted meanwhile, or has grown beyond what there is room for: then it is gone.
    pub(crate) fn end(&self, using: Using, now: Moment) -> bool {
        let mut inner = self.inner.borrow_mut();
        let size = using.set.len();
        let Some(session) = inner.by_id.get_mut(&using.id) else {
            return false;
        };
        if session.epoch != using.epoch {
            return false;
        }
        let before = core::mem::replace(&mut session.size, size);
        session.used = now;
        session.set = Some(using.set);
        inner.partitions = inner.partitions.saturating_sub(before).saturating_add(size);
        if inner.partitions > self.partitions_max {
            inner.remove(using.id);
            return false;
        }
        true
    }

    /// Makes a session if there is room for one, or room can be made; returns its id.
    pub(crate) fn create(
        &self,
        set: Box<FetchSet>,
        is_follower: bool,
        now: Moment,
    ) -> Result<i32, Box<FetchSet>> {
        let mut inner = self.inner.borrow_mut();
        let size = set.len();
        if self.slots_max == 0 || size > self.partitions_max {
            return Err(set);
        }
        loop {
            let is_full = inner.by_id.len() >= self.slots_max
                || inner.partitions.saturating_add(size) > self.partitions_max;
            if !is_full {
                break;
            }
            let Some(evicted) = inner.to_evict(is_follower, size, now) else {
                return Err(set);
            };
            inner.remove(evicted);
        }
        let Some(id) = self.new_id(&inner) else {
            return Err(set);
        };
        inner.partitions = inner.partitions.saturating_add(size);
        inner.by_id.insert(
            id,
            Session {
                epoch: next_epoch(0),
                uses_ids: set.uses_ids(),
                is_follower,
                size,
                created: now,
                used: now,
                set: Some(set),
            },
        );
        Ok(id)
    }

    /// Forgets a session.
    pub(crate) fn close(&self, id: i32) {
        self.inner.borrow_mut().remove(id);
    }

    /// A free id of this shard, which nobody can guess.
    fn new_id(&self, inner: &Inner) -> Option<i32> {
        let shards = u64::try_from(self.shards).ok()?;
        let shard = u64::from(self.shard.0);
        for _ in 0..64 {
            let number = engine_rt::random_u64() & 0x3fff_ffff;
            let number = number
                .checked_div(shards)?
                .saturating_mul(shards)
                .saturating_add(shard);
            let id = i32::try_from(number).unwrap_or_default();
            if id > 0 && !inner.by_id.contains_key(&id) {
                return Some(id);
            }
        }
        None
    }
}

impl Inner {
    fn remove(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.partitions = self.partitions.saturating_sub(session.size);
        }
    }

    /// The session that goes for a new one. Walks over all of them: there are few, and only a full
    /// cache asks.
    fn to_evict(&self, is_follower: bool, size: usize, now: Moment) -> Option<i32> {
        let (id, oldest) = self
            .by_id
            .iter()
            .min_by_key(|(id, session)| (session.used, **id))?;
        if oldest.is_stale(now) {
            return Some(*id);
        }
        self.by_id
            .iter()
            .filter(|(_, session)| !session.is_young(now) || (is_follower && !session.is_follower))
            .map(|(id, session)| (session.is_follower, session.size, *id))
            .min()
            .filter(|(follows, smallest, _)| (is_follower, size) > (*follows, *smallest))
            .map(|(_, _, id)| id)
    }
}

/// After the largest epoch comes 1: 0 begins a session.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests;
