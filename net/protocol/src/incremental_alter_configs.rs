//! IncrementalAlterConfigs: changes some settings of a resource.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-339.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::ErrorCode;

const KEY: ApiKey = ApiKey::IncrementalAlterConfigs;

message! {
    /// Asks to change settings.
    request IncrementalAlterConfigsRequest -> IncrementalAlterConfigsResponse {
        /// One entry a resource.
        resources: Vec<AlterConfigsResource> [0+];
        /// Whether to check only.
        validate_only: bool [0+];
    }
}

message! {
    /// The changes of one resource.
    struct AlterConfigsResource {
        /// Kafka's number: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8 [0+];
        /// Its name; of a broker the node id, or empty for what holds for all brokers.
        resource_name: Text [0+];
        /// One entry a setting.
        configs: Vec<AlterableConfig> [0+];
    }
}

message! {
    /// The change of one setting.
    struct AlterableConfig {
        /// The setting.
        name: Text [0+];
        /// Kafka's number: 0 set, 1 delete, 2 append to a list, 3 subtract from a list.
        config_operation: i8 [0+];
        /// The value; of no meaning to a deletion.
        value: Option<Text> [0+, null 0+];
    }
}

message! {
    /// What became of each resource.
    response IncrementalAlterConfigsResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [0+];
        /// One entry a resource.
        responses: Vec<AlterConfigsResourceResponse> [0+];
    }
}

message! {
    /// What became of one resource.
    struct AlterConfigsResourceResponse {
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// What went wrong, in words.
        error_message: Option<Text> [0+, null 0+];
        /// The kind of resource, as asked.
        resource_type: i8 [0+];
        /// Its name, as asked.
        resource_name: Text [0+];
    }
}
