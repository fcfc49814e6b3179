//! What a leader does: counts the replicas in sync, moves the high watermark, answers waiters.

use super::{Acks, LogEnds, Replica, Role, WaiterId};
use crate::effect::{Effect, Effects, WaitError};
use engine_model::{LeaderEpoch, NodeId, Offset};
use std::collections::{BTreeMap, BTreeSet};

impl Replica {
    pub(super) fn become_leader(
        &mut self,
        leader_epoch: LeaderEpoch,
        ends: LogEnds,
        effects: &mut Effects,
    ) {
        if self.role == Role::Leader && leader_epoch == self.leader_epoch {
            return;
        }
        self.leave(Role::Leader, WaitError::NotLeader { leader_epoch }, effects);
        self.leader_epoch = leader_epoch;
        self.is_fenced = false;
        self.ends = ends;
        // What was committed stays so; what is below the start of the log was.
        self.high_watermark = self
            .high_watermark
            .max(ends.log_start)
            .min(ends.stable.max(ends.log_start));
        self.isr = vec![self.node_id];
        effects.push(Effect::BeginEpoch { leader_epoch });
    }

    pub(super) fn change_partition(
        &mut self,
        replicas: &[NodeId],
        isr: Vec<NodeId>,
        min_insync_replicas: usize,
        effects: &mut Effects,
    ) {
        if self.role != Role::Leader {
            return;
        }
        let known = core::mem::take(&mut self.followers);
        let others = replicas.iter().filter(|node| **node != self.node_id);
        self.followers = others
            .map(|node| (*node, known.get(node).copied().flatten()))
            .collect::<BTreeMap<_, _>>();
        self.isr = isr;
        // A leader is in sync with itself, whatever it is told.
        if !self.isr.contains(&self.node_id) {
            self.isr.push(self.node_id);
        }
        self.min_insync_replicas = min_insync_replicas;
        self.advance(effects);
        if let Some(error) = self.lacking_replicas() {
            let waiting = core::mem::take(&mut self.waiting_for_all);
            let answer = |(_, waiter)| Effect::Answer {
                waiter,
                result: Err(error),
            };
            effects.extend(waiting.into_iter().map(answer));
        }
    }

    pub(super) fn follower_end(
        &mut self,
        node_id: NodeId,
        leader_epoch: LeaderEpoch,
        stable: Offset,
        effects: &mut Effects,
    ) {
        if self.role != Role::Leader || leader_epoch != self.leader_epoch {
            return;
        }
        if let Some(known) = self.followers.get_mut(&node_id) {
            *known = Some(stable);
            self.advance(effects);
        }
    }

    pub(super) fn wait(
        &mut self,
        waiter: WaiterId,
        acks: Acks,
        end: Offset,
        leader_epoch: LeaderEpoch,
        effects: &mut Effects,
    ) {
        let result = match self.role {
            // The append may have raced with a change of leadership.
            Role::Leader if leader_epoch == self.leader_epoch => {
                match self.wait_as_leader(waiter, acks, end) {
                    Some(result) => result,
                    None => return,
                }
            }
            Role::Offline(_) => Err(WaitError::Offline),
            Role::Deleted => Err(WaitError::Deleted),
            Role::Leader | Role::Follower => Err(WaitError::NotLeader {
                leader_epoch: self.leader_epoch,
            }),
        };
        effects.push(Effect::Answer { waiter, result });
    }

    /// The answer, or `None` and the waiter stands in the list.
    fn wait_as_leader(
        &mut self,
        waiter: WaiterId,
        acks: Acks,
        end: Offset,
    ) -> Option<Result<(), WaitError>> {
        let (reached, error, waiting) = match acks {
            Acks::All => (
                self.high_watermark,
                self.lacking_replicas(),
                &mut self.waiting_for_all,
            ),
            Acks::Leader => (self.ends.written, None, &mut self.waiting_for_leader),
        };
        if end <= reached {
            return Some(Ok(()));
        }
        // What a fenced log has taken may never be kept.
        if self.is_fenced {
            return Some(Err(WaitError::Offline));
        }
        if let Some(error) = error {
            return Some(Err(error));
        }
        waiting.insert((end, waiter));
        None
    }

    /// Moves the high watermark up as far as it goes and answers whom that serves.
    pub(super) fn advance(&mut self, effects: &mut Effects) {
        if self.role != Role::Leader {
            return;
        }
        if let Some(candidate) = self.least_stable_end()
            && candidate > self.high_watermark
        {
            self.high_watermark = candidate;
            effects.push(Effect::HighWatermark {
                high_watermark: candidate,
            });
        }
        answer_up_to(&mut self.waiting_for_all, self.high_watermark, effects);
        answer_up_to(&mut self.waiting_for_leader, self.ends.written, effects);
    }

    /// `None` while the end of a replica in sync is not known, or too few are in sync: then
    /// nothing new is committed (KIP-966).
    fn least_stable_end(&self) -> Option<Offset> {
        if self.lacking_replicas().is_some() {
            return None;
        }
        // Deleting records up to an offset commits what is below it on every replica.
        let own = self.ends.stable.max(self.ends.log_start);
        self.isr
            .iter()
            .filter(|node| **node != self.node_id)
            .try_fold(own, |least, node| {
                let stable = self.followers.get(node).copied().flatten()?;
                Some(least.min(stable))
            })
    }

    /// What is wrong if fewer replicas are in sync than acks=all needs.
    ///
    /// A partition never needs more replicas than it has; Kafka 4.3 holds it so.
    pub(super) fn lacking_replicas(&self) -> Option<WaitError> {
        let needed = self.min_insync_replicas.min(self.followers.len() + 1);
        let in_sync = self.isr.len();
        (in_sync < needed).then_some(WaitError::NotEnoughReplicas { in_sync, needed })
    }
}

fn answer_up_to(waiting: &mut BTreeSet<(Offset, WaiterId)>, end: Offset, effects: &mut Effects) {
    while let Some((first, waiter)) = waiting.first().copied()
        && first <= end
    {
        waiting.pop_first();
        effects.push(Effect::Answer {
            waiter,
            result: Ok(()),
        });
    }
}
