//! FindCoordinator: which broker coordinates a group or a transactional id.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-98, KIP-699 (many keys at once).

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, NodeId};

const KEY: ApiKey = ApiKey::FindCoordinator;

message! {
    /// Asks who coordinates.
    request FindCoordinatorRequest -> FindCoordinatorResponse {
        /// The group or transactional id.
        key: Text [0-3];
        /// 0 group, 1 transactional id, 2 share partition.
        key_type: i8 [1+];
        /// The groups or transactional ids.
        coordinator_keys: Vec<Text> [4+];
    }
}

message! {
    /// Who coordinates.
    response FindCoordinatorResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [1+] ignorable;
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0-3];
        /// What went wrong, in words.
        error_message: Option<Text> [1-3, null 1-3] ignorable;
        /// Number of the broker.
        node_id: NodeId [0-3];
        /// Its host name.
        host: Text [0-3];
        /// Its port.
        port: i32 [0-3];
        /// One entry a key.
        coordinators: Vec<Coordinator> [4+];
    }
}

message! {
    /// The coordinator of one key.
    struct Coordinator {
        /// The group or transactional id.
        key: Text [4+];
        /// Number of the broker.
        node_id: NodeId [4+];
        /// Its host name.
        host: Text [4+];
        /// Its port.
        port: i32 [4+];
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [4+];
        /// What went wrong, in words.
        error_message: Option<Text> [4+, null 4+] ignorable;
    }
}
