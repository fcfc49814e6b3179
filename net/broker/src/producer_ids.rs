//! The producer ids this shard may hand out: what is left of its block.
//!
//! Keeps: an id is handed out once; the block was logged by the controller before any of it is.

use core::cell::Cell;
use engine_model::ProducerId;
use engine_rt::sync::Semaphore;

use crate::error::Fault;

pub(crate) struct ProducerIds {
    next: Cell<i64>,
    end: Cell<i64>,
    /// One asks for the next block at a time; the others wait for it.
    refill: Semaphore,
}

impl ProducerIds {
    pub(crate) fn new() -> Self {
        Self {
            next: Cell::new(0),
            end: Cell::new(0),
            refill: Semaphore::new(1),
        }
    }

    fn take(&self) -> Option<ProducerId> {
        let next = self.next.get();
        (next < self.end.get()).then(|| {
            self.next.set(next.saturating_add(1));
            ProducerId(next)
        })
    }

    /// The next id; `block` gets a new block (first id, count) when the old one is used up.
    /// Cancel: safe; at worst the rest of a block is never used.
    pub(crate) async fn next(
        &self,
        block: impl AsyncFnOnce() -> Result<(ProducerId, i64), Fault>,
    ) -> Result<ProducerId, Fault> {
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let _turn = self.refill.acquire(1).await;
        if let Some(id) = self.take() {
            return Ok(id);
        }
        let (first, count) = block().await?;
        self.next.set(first.0);
        self.end.set(first.0.saturating_add(count));
        self.take().ok_or_else(Fault::unknown)
    }
}
