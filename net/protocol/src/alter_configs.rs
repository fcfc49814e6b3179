//! AlterConfigs: replaces all settings of a resource.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-133.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::ErrorCode;

const KEY: ApiKey = ApiKey::AlterConfigs;

message! {
    /// Asks to replace settings.
    request AlterConfigsRequest -> AlterConfigsResponse {
        /// One entry a resource.
        resources: Vec<AlterConfigsResource> [0+];
        /// Whether to check only.
        validate_only: bool [0+];
    }
}

message! {
    /// What gets these settings and no others.
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
    /// A setting and its value.
    struct AlterableConfig {
        /// The setting.
        name: Text [0+];
        /// The value.
        value: Option<Text> [0+, null 0+];
    }
}

message! {
    /// What became of each resource.
    response AlterConfigsResponse {
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
