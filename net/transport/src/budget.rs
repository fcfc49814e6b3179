//! What a frame charges before it takes memory. The shard's budget implements it one floor up.

use core::future::Future;

/// A budget of bytes, shared by the connections of a shard.
pub trait Budget: Clone + 'static {
    /// Bytes charged, given back on drop.
    type Charge: 'static;

    /// Charges `bytes`, waiting until they are free. Cancel: safe.
    fn charge(&self, bytes: usize) -> impl Future<Output = Self::Charge>;

    /// Charges `bytes` more to what a half-received frame already holds. Must not wait for ever
    /// on other half-received frames. Cancel: safe.
    fn grow(&self, charge: &mut Self::Charge, bytes: usize) -> impl Future<Output = ()>;
}
