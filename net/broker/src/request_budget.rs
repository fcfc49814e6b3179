//! The shard's part of the memory budget, as its connections charge it.

use engine_shard::{Charge, MemoryBudget};
use net_transport::Budget;

/// What connections, requests and answers of one shard may hold.
#[derive(Clone, Debug)]
pub struct RequestBudget(MemoryBudget);

impl RequestBudget {
    /// Charges this budget.
    pub fn new(budget: MemoryBudget) -> Self {
        Self(budget)
    }
}

impl Budget for RequestBudget {
    type Charge = Charge;

    async fn charge(&self, bytes: usize) -> Charge {
        self.0.charge(bytes).await
    }

    fn try_charge(&self, bytes: usize) -> Option<Charge> {
        self.0.try_charge(bytes)
    }

    fn charge_now(&self, bytes: usize) -> Charge {
        self.0.charge_now(bytes)
    }

    async fn grow(&self, charge: &mut Charge, bytes: usize) {
        charge.grow(bytes).await;
    }

    async fn settled(&self) {
        self.0.settled().await;
    }

    fn is_short(&self) -> bool {
        self.0.is_short()
    }
}
