//! One replica: its machine, its log, and the appends that wait.
//!
//! Keeps: every event goes through the machine, one at a time, and its effects are carried out in
//! order; no borrow of the machine is held while one is; an append waits in the machine's list or
//! not at all.
//! Does not: choose who leads, or know other shards.

mod append;

pub use append::AppendAnswer;

use core::cell::{Cell, RefCell};
use engine_log::{AppendError, LogFailure, LogListener, LogState, PartitionLog};
use engine_model::{LeaderEpoch, NodeId, Offset, TopicPartition};
use engine_rt::sync::OneshotSender;
use replication_metadata::PartitionImage;
use replication_partition::{
    Effect, Effects, Event, LogEnds, OfflineCause, Refusal, Replica, Role, WaitError, WaiterId,
};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// Called with a partition when what readers wait for may be there: its high watermark or start
/// moved, its leader changed, it went offline or was deleted. Must be short.
pub(crate) type OnChange = dyn Fn(TopicPartition);

/// See the module.
pub struct PartitionReplica {
    partition: TopicPartition,
    /// `None` where metadata names a log that the directory lacks.
    log: Option<PartitionLog>,
    machine: RefCell<Replica>,
    waiters: RefCell<BTreeMap<WaiterId, OneshotSender<Result<(), WaitError>>>>,
    next_waiter: Cell<u64>,
    /// One past the last record that was acknowledged to acks=1.
    acknowledged_end: Cell<Offset>,
    on_change: Rc<OnChange>,
}

impl PartitionReplica {
    /// A replica beside its log, which tells it of its ends from now on; it leads nothing yet.
    pub(crate) fn new(
        node_id: NodeId,
        partition: TopicPartition,
        log: Option<PartitionLog>,
        on_change: Rc<OnChange>,
    ) -> Rc<Self> {
        let replica = Rc::new(Self {
            partition,
            log,
            machine: RefCell::new(Replica::new(node_id)),
            waiters: RefCell::default(),
            next_waiter: Cell::new(0),
            acknowledged_end: Cell::new(Offset::ZERO),
            on_change,
        });
        match &replica.log {
            None => replica.apply_event(Event::Offline(OfflineCause::Missing)),
            Some(log) => {
                log.set_listener(Rc::new(Listener(Rc::downgrade(&replica))));
                if log.state() != LogState::Online {
                    replica.apply_event(Event::Offline(OfflineCause::Failed));
                }
            }
        }
        replica
    }

    /// The partition.
    pub fn partition(&self) -> TopicPartition {
        self.partition
    }

    /// The log; refused where there is none.
    pub(crate) fn log(&self) -> Result<&PartitionLog, Refusal> {
        self.log
            .as_ref()
            .ok_or(Refusal::Offline(OfflineCause::Missing))
    }

    /// What this replica is.
    pub fn role(&self) -> Role {
        self.machine.borrow().role()
    }

    /// The end of what is committed.
    pub fn high_watermark(&self) -> Offset {
        self.machine.borrow().high_watermark()
    }

    /// How many appends wait.
    pub fn waiter_count(&self) -> usize {
        self.machine.borrow().waiter_count()
    }

    /// Whether it serves a requester that knows this leader epoch; `NONE` for one that does not
    /// say. Answers the epoch in force.
    pub fn check_leader(&self, epoch: LeaderEpoch) -> Result<LeaderEpoch, Refusal> {
        self.machine.borrow().check_leader(epoch)
    }

    /// Takes over what metadata says of the partition. When it returns, a new epoch has begun in
    /// the log.
    ///
    /// Cancel: not safe.
    pub(crate) async fn follow_metadata(
        &self,
        node_id: NodeId,
        image: &PartitionImage,
        min_insync_replicas: usize,
    ) -> Result<(), AppendError> {
        // An offline log is not led, whatever metadata says; readers are told so.
        if matches!(self.role(), Role::Offline(_) | Role::Deleted) {
            return Ok(());
        }
        let event = if image.leader == node_id {
            Event::BecomeLeader {
                leader_epoch: image.leader_epoch,
                replicas: image.replicas.clone(),
                isr: image.isr.clone(),
                min_insync_replicas,
                ends: self.ends(),
            }
        } else {
            Event::BecomeFollower {
                leader_epoch: image.leader_epoch,
            }
        };
        let effects = self.step(event);
        for effect in effects {
            if let Effect::BeginEpoch { leader_epoch } = effect {
                if let Some(log) = &self.log {
                    log.begin_leader_epoch(leader_epoch).await?;
                }
            } else {
                self.carry_out(effect);
            }
        }
        Ok(())
    }

    /// The topic is gone: whoever waits is told.
    pub(crate) fn deleted(&self) {
        self.apply_event(Event::Deleted);
    }

    /// The shard stops serving: whoever waits is told.
    pub(crate) fn stopped(&self) {
        self.apply_event(Event::Offline(OfflineCause::Failed));
    }

    fn ends(&self) -> LogEnds {
        self.log
            .as_ref()
            .map_or_else(LogEnds::default, |log| LogEnds {
                log_start: log.log_start_offset(),
                stable: log.stable_end(),
                written: log.written_end(),
            })
    }

    fn step(&self, event: Event) -> Effects {
        let mut effects = Effects::new();
        self.machine.borrow_mut().step(event, &mut effects);
        effects
    }

    /// For events that never begin an epoch, which is all but a change of leader.
    fn apply_event(&self, event: Event) {
        for effect in self.step(event) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Answer { waiter, result } => {
                let sender = self.waiters.borrow_mut().remove(&waiter);
                if let Some(sender) = sender {
                    // Whoever waited may have gone; then nobody needs the answer.
                    let _ = sender.send(result);
                }
            }
            Effect::HighWatermark { .. } | Effect::WakeReaders => (self.on_change)(self.partition),
            // Only a change of leader begins an epoch, and `follow_metadata` waits for it.
            Effect::BeginEpoch { .. } => {}
        }
    }
}

impl core::fmt::Debug for PartitionReplica {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PartitionReplica")
            .field("partition", &self.partition)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

/// Weak, because the replica holds the log and the log its listener.
struct Listener(Weak<PartitionReplica>);

impl LogListener for Listener {
    fn ends_moved(&self) {
        if let Some(replica) = self.0.upgrade() {
            let start_before = replica.machine.borrow().log_start_offset();
            let ends = replica.ends();
            replica.apply_event(Event::LocalEnds(ends));
            if ends.log_start != start_before {
                (replica.on_change)(replica.partition);
            }
        }
    }

    fn committed_end(&self) -> Option<Offset> {
        self.0.upgrade().map(|replica| replica.high_watermark())
    }

    fn failed(&self, failure: LogFailure) {
        if let Some(replica) = self.0.upgrade() {
            replica.apply_event(match failure {
                LogFailure::Truncated(to) => Event::Truncated { to },
                LogFailure::Fenced(_) => Event::Fenced,
                LogFailure::Deleted => Event::Deleted,
            });
        }
    }
}
