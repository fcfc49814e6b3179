//! DescribeCluster: the brokers out of this shard's image.
//!
//! Source: Kafka 4.3.1's answers; KIP-700, KIP-919 (endpoint types), KIP-1073 (fenced brokers).

use engine_model::ErrorCode;
use net_protocol::Text;
use net_protocol::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use net_transport::Client;

use crate::broker::Broker;
use crate::handlers::metadata::{CLUSTER_OPERATIONS, advertised_brokers};

/// Kafka's numbers of the kinds of nodes a client may ask for.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers from the image. A registered broker is never fenced while there is one node.
pub(crate) fn describe_cluster(
    broker: &Broker,
    request: &DescribeClusterRequest,
    client: &Client,
) -> DescribeClusterResponse {
    if let Err((error_code, words)) = check(request.endpoint_type) {
        return DescribeClusterResponse {
            error_code,
            error_message: Some(words.into()),
            ..DescribeClusterResponse::default()
        };
    }
    let image = broker.image();
    let brokers = advertised_brokers(broker, client)
        .map(|advertised| DescribeClusterBroker {
            broker_id: advertised.node_id,
            host: advertised.host,
            port: advertised.port,
            rack: advertised.rack,
            is_fenced: false,
        })
        .collect();
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: image
            .cluster_id()
            .map(|id| Text::from(id.to_string()))
            .unwrap_or_default(),
        controller_id: broker.config().node_id,
        brokers,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..DescribeClusterResponse::default()
    }
}

/// This is a broker's port: controllers are not told here.
fn check(endpoint_type: i8) -> Result<(), (ErrorCode, String)> {
    match endpoint_type {
        BROKERS => Ok(()),
        CONTROLLERS => Err((
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of \
             type CONTROLLER"
                .to_owned(),
        )),
        other => Err((
            ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
            format!("Unsupported endpoint type {other}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_brokers_are_told_at_a_brokers_port() {
        // As Kafka 4.3.1 answers each of them.
        for (endpoint_type, code) in [(-1, 115), (0, 115), (1, 0), (2, 114), (3, 115)] {
            let found = check(endpoint_type).err().map_or(0, |(code, _)| code.0);
            assert_eq!(found, code, "{endpoint_type}");
        }
    }
}
