//! What a request must pass before a replica serves it. Nothing here changes anything.

use super::{Acks, OfflineCause, Refusal, Replica, Role, WAITERS_MAX};
use crate::effect::WaitError;
use engine_model::LeaderEpoch;

impl Replica {
    /// Whether this replica serves a requester that knows leader epoch `found`, where -1 is one
    /// that does not say. Answers the epoch in force.
    pub fn check_leader(&self, found: LeaderEpoch) -> Result<LeaderEpoch, Refusal> {
        let current = self.leader_epoch;
        match self.role {
            Role::Deleted => return Err(Refusal::Deleted),
            Role::Offline(cause) => return Err(Refusal::Offline(cause)),
            Role::Leader | Role::Follower => {}
        }
        // The epoch first, as Kafka does: it says who of the two is behind.
        if found != LeaderEpoch::NONE && found < current {
            return Err(Refusal::FencedLeaderEpoch { current, found });
        }
        if found != LeaderEpoch::NONE && found > current {
            return Err(Refusal::UnknownLeaderEpoch { current, found });
        }
        if self.role == Role::Leader {
            Ok(current)
        } else {
            Err(Refusal::NotLeader)
        }
    }

    /// Whether an append with these acks may be tried now; `None` is acks=0. Answers the epoch to
    /// append in.
    pub fn check_append(&self, acks: Option<Acks>) -> Result<LeaderEpoch, Refusal> {
        let leader_epoch = self.check_leader(LeaderEpoch::NONE)?;
        if self.is_fenced {
            return Err(Refusal::Offline(OfflineCause::Failed));
        }
        if acks.is_some() && self.waiter_count() >= WAITERS_MAX {
            return Err(Refusal::TooManyWaiters);
        }
        match self.lacking_replicas() {
            Some(WaitError::NotEnoughReplicas { in_sync, needed }) if acks == Some(Acks::All) => {
                Err(Refusal::NotEnoughReplicas { in_sync, needed })
            }
            _ => Ok(leader_epoch),
        }
    }
}
