//! The listener of a log: every end it shows is told to the oracle.

use super::super::model::Op;
use super::Shared;
use engine_log::{LogFailure, LogListener, PartitionLog};
use engine_model::TopicPartition;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Tells the oracle what the log shows.
pub struct Ends {
    pub oracle: Shared,
    pub key: TopicPartition,
    pub log: RefCell<Option<PartitionLog>>,
    /// Whether the start may move although nobody asked for it: then no other step is under way.
    pub retires: Cell<bool>,
}

impl LogListener for Ends {
    fn ends_moved(&self) {
        let log = self.log.borrow();
        let Some(log) = log.as_ref() else { return };
        let stable_end = log.stable_end();
        let mut oracle = self.oracle.borrow_mut();
        if stable_end > log.log_end_offset() {
            oracle.fail(format!(
                "{} is stable up to {stable_end}, past its end",
                self.key
            ));
        }
        let partition = oracle.partitions.get_mut(&self.key).unwrap();
        let start = log.log_start_offset().get();
        if self.retires.get() && start > partition.state.start {
            partition.begin(Op::LogStart(start));
            if start > stable_end.get() {
                oracle.fail(format!("{} begins at {start}, past {stable_end}", self.key));
                return;
            }
        }
        let partition = oracle.partitions.get_mut(&self.key).unwrap();
        let more = partition.ends(stable_end.get(), log.written_end().get());
        oracle.acknowledged += more;
    }

    fn failed(&self, _failure: LogFailure) {}
}

/// Breaks the circle between log and listener when the driver ends or is dropped.
pub struct Listening(pub Rc<Ends>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.log.borrow_mut().take();
    }
}
