//! DescribeCluster: names the brokers or the controllers of the cluster.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-700, KIP-919, KIP-1073.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, NodeId};

const KEY: ApiKey = ApiKey::DescribeCluster;

message! {
    /// Asks for the nodes of the cluster.
    request DescribeClusterRequest -> DescribeClusterResponse {
        /// Whether to say what the client may do to the cluster.
        include_cluster_authorized_operations: bool [0+];
        /// 1 for brokers, 2 for controllers.
        endpoint_type: i8 [1+] = 1;
        /// Whether brokers that are fenced are wanted too.
        include_fenced_brokers: bool [2+];
    }
}

message! {
    /// The nodes of the cluster.
    response DescribeClusterResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [0+];
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// What went wrong, in words.
        error_message: Option<Text> [0+, null 0+] = None;
        /// 1 for brokers, 2 for controllers.
        endpoint_type: i8 [1+] = 1;
        /// The id of the cluster.
        cluster_id: Text [0+];
        /// The node to send requests for the controller to.
        controller_id: NodeId [0+] = NodeId::NONE;
        /// One entry a node.
        brokers: Vec<DescribeClusterBroker> [0+];
        /// Bits of what the client may do, `i32::MIN` if not asked.
        cluster_authorized_operations: i32 [0+] = i32::MIN;
    }
}

message! {
    /// A node.
    struct DescribeClusterBroker {
        /// Its id.
        broker_id: NodeId [0+];
        /// The host to connect to.
        host: Text [0+];
        /// The port to connect to.
        port: i32 [0+];
        /// The rack it stands in.
        rack: Option<Text> [0+, null 0+] = None;
        /// Whether it is fenced.
        is_fenced: bool [2+];
    }
}
