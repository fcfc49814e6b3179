//! What connections, frames and answers charge for the memory they take. The shard's budget
//! implements it one floor up.

use core::future::Future;

/// A budget of bytes, shared by the connections of a shard.
pub trait Budget: Clone + 'static {
    /// Bytes charged, given back on drop.
    type Charge: 'static;

    /// Charges `bytes`, waiting until they are free. Cancel: safe.
    fn charge(&self, bytes: usize) -> impl Future<Output = Self::Charge>;

    /// Charges `bytes` if that needs no waiting.
    fn try_charge(&self, bytes: usize) -> Option<Self::Charge>;

    /// Charges `bytes` that are held already, whether they are free or not.
    fn charge_now(&self, bytes: usize) -> Self::Charge;

    /// Charges `bytes` more to what a half-received frame already holds. Must not wait for ever
    /// on other half-received frames. Cancel: safe.
    fn grow(&self, charge: &mut Self::Charge, bytes: usize) -> impl Future<Output = ()>;

    /// Waits until what was charged at once is covered. Cancel: safe.
    fn settled(&self) -> impl Future<Output = ()>;

    /// Whether somebody waits for bytes: clients that keep us waiting are given up sooner then.
    fn is_short(&self) -> bool;
}
