//! Which errors are worth another try, where, and after how long.

use core::time::Duration;
use engine_model::ErrorCode;

/// What to do about an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is no error.
    Fine,
    /// Try again later, at the same broker.
    Retry,
    /// The client's picture of the cluster is old: refresh it, then try again.
    RefreshAndRetry,
    /// Another try would fail the same way.
    Fail,
}

/// What to do about `code`: Kafka's own retriable flag, and which of those mean a stale picture.
pub const fn disposition(code: ErrorCode) -> Disposition {
    match code {
        ErrorCode::NONE => Disposition::Fine,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::LEADER_NOT_AVAILABLE
        | ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::REPLICA_NOT_AVAILABLE
        | ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::UNKNOWN_LEADER_EPOCH
        | ErrorCode::OFFSET_NOT_AVAILABLE
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::INCONSISTENT_TOPIC_ID
        | ErrorCode::NOT_CONTROLLER => Disposition::RefreshAndRetry,
        code if code.is_retriable() => Disposition::Retry,
        _ => Disposition::Fail,
    }
}

/// Pauses between tries: twice as long each time, up to a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The first pause.
    pub const FIRST: Duration = Duration::from_millis(20);
    /// The longest pause.
    pub const LONGEST: Duration = Duration::from_secs(1);

    /// The pause before the next try.
    pub fn next_pause(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.tries.min(16)).unwrap_or(u32::MAX);
        self.tries = self.tries.saturating_add(1);
        Self::FIRST.saturating_mul(factor).min(Self::LONGEST)
    }

    /// It worked: the next pause is a first one.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_stay_there() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..8).map(|_| backoff.next_pause().as_millis()).collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1000, 1000]);
        for _ in 0..100 {
            assert!(backoff.next_pause() <= Backoff::LONGEST);
        }
        backoff.reset();
        assert_eq!(backoff.next_pause(), Backoff::FIRST);
    }

    #[test]
    fn whatever_kafka_calls_retriable_is_tried_again_and_nothing_else() {
        for code in -1..=133 {
            let code = ErrorCode(code);
            let again = matches!(
                disposition(code),
                Disposition::Retry | Disposition::RefreshAndRetry
            );
            assert_eq!(again, code.is_retriable(), "{code}");
        }
        assert_eq!(disposition(ErrorCode(999)), Disposition::Fail);
    }
}
