//! InitProducerId: hands out producer ids of this shard's block.
//!
//! Source: KIP-98, KIP-360; Kafka 4.3.1's answers. Until transactions exist a transactional id is
//! answered with UNSUPPORTED_VERSION.

use engine_model::{ErrorCode, ProducerEpoch, ProducerId};
use net_protocol::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::broker::Broker;

/// Hands out a producer id.
pub(crate) async fn init_producer_id(
    broker: &Broker,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    if let Err(code) = check(&request) {
        return refuse(code);
    }
    match broker.next_producer_id().await {
        Ok(producer_id) => InitProducerIdResponse {
            producer_id,
            producer_epoch: ProducerEpoch::ZERO,
            ..InitProducerIdResponse::default()
        },
        Err(fault) => refuse(code_of(fault.code)),
    }
}

/// What a client is told when no block of ids is to be had now. All clients retry that code here, and
/// not all the codes of a disk that fails or a controller that is away.
/// Source: Kafka's `RPCProducerIdManager`.
fn code_of(code: ErrorCode) -> ErrorCode {
    if code.is_retriable() {
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
    } else {
        code
    }
}

fn check(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    let has_id = request.producer_id != ProducerId::NONE;
    let has_epoch = request.producer_epoch != ProducerEpoch::NONE;
    if has_id != has_epoch {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    match request.transactional_id.as_deref() {
        // An idempotent producer gets a new id, also where it names an old one: nothing else
        // remembers it here.
        None => Ok(()),
        Some("") => Err(ErrorCode::INVALID_REQUEST),
        Some(_) => Err(ErrorCode::UNSUPPORTED_VERSION),
    }
}

fn refuse(error_code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code,
        producer_epoch: ProducerEpoch::NONE,
        ..InitProducerIdResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_passes_is_told_with_the_code_that_every_client_retries() {
        for code in [ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::NOT_CONTROLLER] {
            assert_eq!(code_of(code), ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        }
        let ours = ErrorCode::UNKNOWN_SERVER_ERROR;
        assert_eq!(code_of(ours), ours);
    }

    #[test]
    fn a_producer_names_id_and_epoch_or_neither() {
        for (transactional_id, id, epoch, expected) in [
            (None, -1, -1, Ok(())),
            (None, 7, 0, Ok(())),
            (None, 7, -1, Err(ErrorCode::INVALID_REQUEST)),
            (None, -1, 3, Err(ErrorCode::INVALID_REQUEST)),
            (Some(""), -1, -1, Err(ErrorCode::INVALID_REQUEST)),
            (Some("t"), -1, -1, Err(ErrorCode::UNSUPPORTED_VERSION)),
        ] {
            let request = InitProducerIdRequest {
                transactional_id: transactional_id.map(Into::into),
                producer_id: ProducerId(id),
                producer_epoch: ProducerEpoch::new(epoch),
                ..InitProducerIdRequest::default()
            };
            assert_eq!(check(&request), expected, "{request:?}");
        }
    }
}
