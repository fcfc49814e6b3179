//! DescribeConfigs: shows the settings of topics, brokers and other resources.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-133, KIP-226, KIP-569.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::ErrorCode;

const KEY: ApiKey = ApiKey::DescribeConfigs;

message! {
    /// Asks for settings.
    request DescribeConfigsRequest -> DescribeConfigsResponse {
        /// One entry a resource.
        resources: Vec<DescribeConfigsResource> [0+];
        /// Whether to list every place a value could come from.
        include_synonyms: bool [1+];
        /// Whether to add the settings' documentation.
        include_documentation: bool [3+];
    }
}

message! {
    /// What to show the settings of.
    struct DescribeConfigsResource {
        /// Kafka's number: 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group.
        resource_type: i8 [0+];
        /// Its name; of a broker the node id, or empty for what holds for all brokers.
        resource_name: Text [0+];
        /// The names of the settings wanted, null for all.
        configuration_keys: Option<Vec<Text>> [0+, null 0+];
    }
}

message! {
    /// The settings.
    response DescribeConfigsResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [0+];
        /// One entry a resource.
        results: Vec<DescribeConfigsResult> [0+];
    }
}

message! {
    /// The settings of one resource.
    struct DescribeConfigsResult {
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// What went wrong, in words.
        error_message: Option<Text> [0+, null 0+];
        /// The kind of resource, as asked.
        resource_type: i8 [0+];
        /// Its name, as asked.
        resource_name: Text [0+];
        /// One entry a setting.
        configs: Vec<DescribeConfigsResourceResult> [0+];
    }
}

message! {
    /// One setting.
    struct DescribeConfigsResourceResult {
        /// Its name.
        name: Text [0+];
        /// The value in force, null if there is none or it is withheld.
        value: Option<Text> [0+, null 0+];
        /// Whether it cannot be changed while the broker runs.
        read_only: bool [0+];
        /// Where the value comes from, by Kafka's numbers.
        config_source: i8 [1+] ignorable = -1;
        /// Whether the value is withheld.
        is_sensitive: bool [0+];
        /// Every place that gives a value, the one in force first.
        synonyms: Vec<DescribeConfigsSynonym> [1+] ignorable;
        /// The type of the value, by Kafka's numbers; 0 unknown.
        config_type: i8 [3+] ignorable;
        /// What the setting does.
        documentation: Option<Text> [3+, null 0+] ignorable;
    }
}

message! {
    /// A place that gives a setting a value.
    struct DescribeConfigsSynonym {
        /// The name the setting has there.
        name: Text [1+];
        /// The value it has there.
        value: Option<Text> [1+, null 0+];
        /// The place, by Kafka's numbers.
        source: i8 [1+];
    }
}
