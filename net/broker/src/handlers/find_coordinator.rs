//! FindCoordinator: there are no groups and no transactions yet, so every key has no coordinator.
//!
//! Source: KIP-98, KIP-699 (many keys at once), KIP-932 (share partitions).

use engine_model::{ErrorCode, NodeId};
use net_protocol::Text;
use net_protocol::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

/// From this version on a request has many keys.
const BATCHED_FROM: i16 = 4;
/// From this version on a key may be a share partition.
const SHARE_FROM: i16 = 6;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// Kafka's words for error 15.
const NOT_AVAILABLE: Text = Text::from_static("The coordinator is not available.");

/// Answers every key.
pub(crate) fn find_coordinator(
    version: i16,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let (error_code, error_message) = error(version, request.key_type);
    if version < BATCHED_FROM {
        return FindCoordinatorResponse {
            error_code,
            error_message: Some(error_message),
            node_id: NodeId::NONE,
            port: -1,
            ..FindCoordinatorResponse::default()
        };
    }
    let coordinators = request
        .coordinator_keys
        .into_iter()
        .map(|key| Coordinator {
            key,
            node_id: NodeId::NONE,
            host: Text::EMPTY,
            port: -1,
            error_code,
            error_message: Some(error_message.clone()),
        })
        .collect();
    FindCoordinatorResponse {
        coordinators,
        ..FindCoordinatorResponse::default()
    }
}

fn error(version: i16, key_type: i8) -> (ErrorCode, Text) {
    match key_type {
        GROUP | TRANSACTION => (ErrorCode::COORDINATOR_NOT_AVAILABLE, NOT_AVAILABLE),
        SHARE if version >= SHARE_FROM => (ErrorCode::COORDINATOR_NOT_AVAILABLE, NOT_AVAILABLE),
        other => (
            ErrorCode::INVALID_REQUEST,
            format!("Unknown coordinator type: {other}").into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_has_no_coordinator() {
        for version in 0..=3 {
            let answer = find_coordinator(version, FindCoordinatorRequest::default());
            assert_eq!(answer.error_code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
            assert_eq!((answer.node_id, answer.port), (NodeId::NONE, -1));
            assert!(answer.coordinators.is_empty());
        }
    }

    #[test]
    fn every_key_of_a_batch_has_its_own_answer() {
        for (version, key_type, expected) in [
            (4, 0, ErrorCode::COORDINATOR_NOT_AVAILABLE),
            (5, 1, ErrorCode::COORDINATOR_NOT_AVAILABLE),
            (5, 2, ErrorCode::INVALID_REQUEST),
            (6, 2, ErrorCode::COORDINATOR_NOT_AVAILABLE),
            (6, 9, ErrorCode::INVALID_REQUEST),
        ] {
            let request = FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec!["a".into(), "b".into()],
                ..FindCoordinatorRequest::default()
            };
            let answer = find_coordinator(version, request);
            let keys: Vec<_> = answer
                .coordinators
                .iter()
                .map(|coordinator| (&*coordinator.key, coordinator.error_code))
                .collect();
            assert_eq!(
                keys,
                [("a", expected), ("b", expected)],
                "{version} {key_type}"
            );
        }
    }
}
