//! The shard's memory budget, as the frames of its connections charge it.

use engine_shard::{Charge, MemoryBudget};
use net_transport::Budget;

/// What requests of one shard may hold.
#[derive(Clone, Debug)]
pub struct RequestBudget(MemoryBudget);

impl RequestBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self(MemoryBudget::new(bytes))
    }
}

impl Budget for RequestBudget {
    type Charge = Charge;

    async fn charge(&self, bytes: usize) -> Charge {
        self.0.charge(bytes).await
    }

    async fn grow(&self, charge: &mut Charge, bytes: usize) {
        charge.grow(bytes).await;
    }
}
