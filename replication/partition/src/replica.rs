//! The replica of one partition on this node.
//!
//! | state    | event                           | next     | effects                                    |
//! |----------|---------------------------------|----------|--------------------------------------------|
//! | any      | BecomeLeader, newer epoch       | Leader   | Answer(NotLeader) each, BeginEpoch, WakeReaders, HighWatermark? |
//! | Leader   | BecomeLeader, same epoch        | Leader   | as PartitionChanged                        |
//! | any      | BecomeFollower, newer epoch     | Follower | Answer(NotLeader) each, WakeReaders        |
//! | any      | either, older epoch             | same     | none: it is late                           |
//! | Leader   | PartitionChanged(isr, settings) | Leader   | HighWatermark?, Answer?                    |
//! | Leader   | LocalEnds                       | Leader   | HighWatermark?, Answer(Ok)?                |
//! | Leader   | FollowerEnd                     | Leader   | HighWatermark?, Answer(Ok)?                |
//! | Leader   | Await                           | Leader   | Answer at once if it has what it waits for |
//! | other    | Await                           | same     | Answer(NotLeader, Offline, Deleted)        |
//! | any      | Abandon                         | same     | none                                       |
//! | any      | Truncated(to)                   | same     | Answer(Truncated) from `to` on, WakeReaders |
//! | Leader   | Fenced                          | Leader   | Answer(Offline) each; reads go on          |
//! | any      | Offline                         | Offline  | Answer(Offline) each, WakeReaders          |
//! | any      | Deleted                         | Deleted  | Answer(Deleted) each, WakeReaders          |
//!
//! Keeps, and checks after every step:
//! - the high watermark is the least stable end of the replicas in sync, this one among them; it
//!   falls only when the log is truncated;
//! - a waiter for acks=all waits for the high watermark, one for acks=1 for the leader's written
//!   end: there is no other way to an acknowledgement, also with one replica;
//! - only a leader has waiters, each is answered once, and none waits for what is already there;
//! - the leader epoch never falls, and nothing leaves `Deleted`.
//!
//! Does not: append, read, measure time, or choose who leads (`replication_metadata`).
//! Source: Kafka's `Partition`, KIP-101, KIP-966 (a high watermark below min.insync.replicas stands).

mod checks;
mod leader;

use crate::effect::{Effect, Effects, WaitError};
use engine_model::{LeaderEpoch, NodeId, Offset};
use std::collections::{BTreeMap, BTreeSet};

/// The most appends of one partition that wait at a time; more are refused before they append.
pub const WAITERS_MAX: usize = 65_536;

/// A waiter's number; the driver's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// What an append waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// The leader has written it (acks=1).
    Leader,
    /// Every replica in sync has it, as its durability promises (acks=all).
    All,
}

/// The ends of the local log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnds {
    /// First offset that can be read.
    pub log_start: Offset,
    /// End of what survives as the log's durability promises.
    pub stable: Offset,
    /// End of what survives a process kill.
    pub written: Offset,
}

/// Why a log serves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineCause {
    /// Metadata names it and the directory lacks it.
    Missing,
    /// The log or its directory failed.
    Failed,
}

/// What a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader,
    /// Another one leads, or none does.
    Follower,
    /// Its log serves nothing.
    Offline(OfflineCause),
    /// Its topic is gone.
    Deleted,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Metadata made this replica the leader.
    BecomeLeader {
        /// The epoch it leads in.
        leader_epoch: LeaderEpoch,
        /// All replicas, this one among them.
        replicas: Vec<NodeId>,
        /// The replicas in sync, this one among them.
        isr: Vec<NodeId>,
        /// `min.insync.replicas`.
        min_insync_replicas: usize,
        /// The ends of the log at this moment.
        ends: LogEnds,
    },
    /// Metadata made another replica the leader.
    BecomeFollower {
        /// The epoch it leads in.
        leader_epoch: LeaderEpoch,
    },
    /// Metadata changed something else about the partition this replica leads.
    PartitionChanged {
        /// All replicas, this one among them.
        replicas: Vec<NodeId>,
        /// The replicas in sync, this one among them.
        isr: Vec<NodeId>,
        /// `min.insync.replicas`.
        min_insync_replicas: usize,
    },
    /// Ends of the local log moved.
    LocalEnds(LogEnds),
    /// A follower has fetched up to its stable end.
    FollowerEnd {
        /// The follower.
        node_id: NodeId,
        /// The epoch it fetched in; of another epoch it counts for nothing.
        leader_epoch: LeaderEpoch,
        /// Its stable end.
        stable: Offset,
    },
    /// An append, or a duplicate of one, waits.
    Await {
        /// Its number, new.
        waiter: WaiterId,
        /// What it waits for.
        acks: Acks,
        /// One past its last record.
        end: Offset,
        /// The epoch it was appended in.
        leader_epoch: LeaderEpoch,
    },
    /// A waiter waits no more, usually because its time is up.
    Abandon {
        /// Its number.
        waiter: WaiterId,
        /// What it waited for, as in its `Await`.
        acks: Acks,
        /// One past its last record, as in its `Await`.
        end: Offset,
    },
    /// Records were cut off.
    Truncated {
        /// The end of the log now.
        to: Offset,
    },
    /// The log takes nothing any more; what it has can still be read.
    Fenced,
    /// The log serves nothing any more.
    Offline(OfflineCause),
    /// The topic is gone.
    Deleted,
}

/// Why a request is not served by this replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another replica leads; 6.
    #[error("this replica does not lead the partition")]
    NotLeader,
    /// The requester knows an older epoch; 74.
    #[error("leader epoch {found} is older than {current}")]
    FencedLeaderEpoch {
        /// The replica's.
        current: LeaderEpoch,
        /// The requester's.
        found: LeaderEpoch,
    },
    /// The requester knows a newer epoch; 75.
    #[error("leader epoch {found} is newer than {current}")]
    UnknownLeaderEpoch {
        /// The replica's.
        current: LeaderEpoch,
        /// The requester's.
        found: LeaderEpoch,
    },
    /// Too few replicas are in sync, found before the append; 19.
    #[error("{in_sync} replicas are in sync, {needed} are needed")]
    NotEnoughReplicas {
        /// Replicas in sync.
        in_sync: usize,
        /// Replicas needed.
        needed: usize,
    },
    /// Too many appends wait already; 7.
    #[error("{WAITERS_MAX} appends wait for this partition")]
    TooManyWaiters,
    /// The log serves nothing; 56.
    #[error("the log is offline")]
    Offline(OfflineCause),
    /// The topic is gone; 3.
    #[error("the partition is deleted")]
    Deleted,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Replica {
    node_id: NodeId,
    role: Role,
    leader_epoch: LeaderEpoch,
    ends: LogEnds,
    high_watermark: Offset,
    /// The stable ends of the other replicas as far as known in this epoch; empty unless leading.
    followers: BTreeMap<NodeId, Option<Offset>>,
    /// The replicas in sync; empty unless leading.
    isr: Vec<NodeId>,
    min_insync_replicas: usize,
    /// Whether the log takes nothing any more; only a newer epoch undoes it.
    is_fenced: bool,
    /// acks=all by end and number.
    waiting_for_all: BTreeSet<(Offset, WaiterId)>,
    /// acks=1 by end and number.
    waiting_for_leader: BTreeSet<(Offset, WaiterId)>,
}

impl Replica {
    /// A replica that nobody has told anything yet: a follower of epoch -1.
    pub fn new(node_id: NodeId) -> Self {
        Self {
            node_id,
            role: Role::Follower,
            leader_epoch: LeaderEpoch::NONE,
            ends: LogEnds::default(),
            high_watermark: Offset::ZERO,
            followers: BTreeMap::new(),
            isr: Vec::new(),
            min_insync_replicas: 1,
            is_fenced: false,
            waiting_for_all: BTreeSet::new(),
            waiting_for_leader: BTreeSet::new(),
        }
    }

    /// What it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The newest epoch it was told of.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The end of what is committed: what fetches, tasks and standby indexes may see.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// First offset that can be read.
    pub fn log_start_offset(&self) -> Offset {
        self.ends.log_start
    }

    /// Whether it leads and no other replica is in sync, so that its own log alone decides what is
    /// committed.
    pub fn is_alone(&self) -> bool {
        self.role == Role::Leader && self.isr.len() == 1
    }

    /// How many appends wait.
    pub fn waiter_count(&self) -> usize {
        self.waiting_for_all.len() + self.waiting_for_leader.len()
    }

    /// Applies one event; everything it wants done is in `effects`, in order.
    pub fn step(&mut self, event: Event, effects: &mut Effects) {
        match event {
            _ if self.role == Role::Deleted => Self::step_deleted(&event, effects),
            Event::BecomeLeader { leader_epoch, .. }
            | Event::BecomeFollower { leader_epoch, .. }
                if leader_epoch < self.leader_epoch => {}
            Event::BecomeLeader {
                leader_epoch,
                replicas,
                isr,
                min_insync_replicas,
                ends,
            } => {
                self.become_leader(leader_epoch, ends, effects);
                self.change_partition(&replicas, isr, min_insync_replicas, effects);
            }
            Event::BecomeFollower { leader_epoch } => self.become_follower(leader_epoch, effects),
            Event::PartitionChanged {
                replicas,
                isr,
                min_insync_replicas,
            } => {
                self.change_partition(&replicas, isr, min_insync_replicas, effects);
            }
            Event::LocalEnds(ends) => {
                self.ends = ends;
                self.advance(effects);
            }
            Event::FollowerEnd {
                node_id,
                leader_epoch,
                stable,
            } => {
                self.follower_end(node_id, leader_epoch, stable, effects);
            }
            Event::Await {
                waiter,
                acks,
                end,
                leader_epoch,
            } => {
                self.wait(waiter, acks, end, leader_epoch, effects);
            }
            Event::Abandon { waiter, acks, end } => {
                let waiting = match acks {
                    Acks::All => &mut self.waiting_for_all,
                    Acks::Leader => &mut self.waiting_for_leader,
                };
                waiting.remove(&(end, waiter));
            }
            Event::Truncated { to } => self.truncated(to, effects),
            Event::Fenced => {
                self.is_fenced = true;
                self.fail_waiters_from(Offset::new(i64::MIN), WaitError::Offline, effects);
            }
            Event::Offline(cause) => {
                self.leave(Role::Offline(cause), WaitError::Offline, effects);
            }
            Event::Deleted => self.leave(Role::Deleted, WaitError::Deleted, effects),
        }
        self.assert_invariants();
    }

    fn step_deleted(event: &Event, effects: &mut Effects) {
        if let Event::Await { waiter, .. } = event {
            effects.push(Effect::Answer {
                waiter: *waiter,
                result: Err(WaitError::Deleted),
            });
        }
    }

    fn become_follower(&mut self, leader_epoch: LeaderEpoch, effects: &mut Effects) {
        let is_news = leader_epoch > self.leader_epoch || self.role == Role::Leader;
        self.leader_epoch = leader_epoch;
        if !is_news || matches!(self.role, Role::Offline(_)) {
            return;
        }
        self.leave(
            Role::Follower,
            WaitError::NotLeader { leader_epoch },
            effects,
        );
    }

    /// Ends whatever it led.
    fn leave(&mut self, role: Role, error: WaitError, effects: &mut Effects) {
        self.fail_waiters_from(Offset::new(i64::MIN), error, effects);
        self.role = role;
        self.isr.clear();
        self.followers.clear();
        effects.push(Effect::WakeReaders);
    }

    fn truncated(&mut self, to: Offset, effects: &mut Effects) {
        self.ends.stable = self.ends.stable.min(to);
        self.ends.written = self.ends.written.min(to);
        self.ends.log_start = self.ends.log_start.min(to);
        self.high_watermark = self.high_watermark.min(to);
        // An append that ends at the cut is whole.
        let first_lost = to.saturating_next();
        self.fail_waiters_from(first_lost, WaitError::Truncated { to }, effects);
        effects.push(Effect::WakeReaders);
    }

    /// Answers every waiter for an end at or above `first` with `error`.
    fn fail_waiters_from(&mut self, first: Offset, error: WaitError, effects: &mut Effects) {
        let from = (first, WaiterId(0));
        let all = self.waiting_for_all.split_off(&from);
        let leader = self.waiting_for_leader.split_off(&from);
        let failed = all.into_iter().chain(leader);
        effects.extend(failed.map(|(_, waiter)| Effect::Answer {
            waiter,
            result: Err(error),
        }));
    }

    /// Our own mistakes, not anybody's input.
    fn assert_invariants(&self) {
        let is_leader = self.role == Role::Leader;
        assert!(
            is_leader || self.waiter_count() == 0,
            "only a leader has waiters"
        );
        assert!(
            is_leader == self.isr.contains(&self.node_id),
            "a leader is in sync with itself"
        );
        assert!(
            !is_leader || self.high_watermark <= self.ends.stable.max(self.ends.log_start),
            "the high watermark is not above the leader's stable end"
        );
        let first_all = self.waiting_for_all.first();
        assert!(first_all.is_none_or(|(end, _)| *end > self.high_watermark));
        let first_leader = self.waiting_for_leader.first();
        assert!(first_leader.is_none_or(|(end, _)| *end > self.ends.written));
    }
}

#[cfg(test)]
mod tests;
