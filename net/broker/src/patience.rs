//! How long a request that changes metadata waits for its answer.
//!
//! Keeps: what was begun is driven to its end whether anybody waits for it or not; a client that
//! gives no time at all changes nothing, as in Kafka.

use core::time::Duration;
use engine_model::ErrorCode;

use crate::error::Fault;

/// What `change` answers within `timeout_ms`, or REQUEST_TIMED_OUT. Without a positive time nothing
/// is begun.
///
/// `change` must be one that may be dropped: its effects may show later.
pub(crate) async fn within<T>(
    timeout_ms: i32,
    change: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let timed_out = || Fault::code(ErrorCode::REQUEST_TIMED_OUT);
    let milliseconds = u64::try_from(timeout_ms).unwrap_or(0);
    if milliseconds == 0 {
        return Err(timed_out());
    }
    engine_rt::timeout(Duration::from_millis(milliseconds), change)
        .await
        .unwrap_or_else(|_| Err(timed_out()))
}
