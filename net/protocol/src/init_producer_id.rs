//! InitProducerId: hands out a producer id for idempotent and transactional producers.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-98, KIP-360, KIP-588, KIP-890; the fields
//! of version 6, unstable in Kafka 4.3.1, are left out.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, ProducerEpoch, ProducerId};

const KEY: ApiKey = ApiKey::InitProducerId;

message! {
    /// Asks for a producer id, or for the next epoch of one.
    request InitProducerIdRequest -> InitProducerIdResponse {
        /// Of a transactional producer, else null.
        transactional_id: Option<Text> [0+, null 0+];
        /// After how long an open transaction is aborted, in milliseconds.
        transaction_timeout_ms: i32 [0+];
        /// The producer id to go on with, -1 for a new one.
        producer_id: ProducerId [3+] = ProducerId::NONE;
        /// The epoch of that id, -1 for a new one.
        producer_epoch: ProducerEpoch [3+] = ProducerEpoch::NONE;
    }
}

message! {
    /// The producer id and its epoch.
    response InitProducerIdResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [0+] ignorable;
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// The producer.
        producer_id: ProducerId [0+] = ProducerId::NONE;
        /// The epoch of the producer.
        producer_epoch: ProducerEpoch [0+];
    }
}
