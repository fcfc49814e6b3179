//! DeleteTopics: deletes topics by name, from version 6 on by id too.
//!
//! Tables only. Source: Kafka 4.3.1's message tables; KIP-4, KIP-516 (topic ids), KIP-599.

use crate::api::ApiKey;
use crate::text::Text;
use engine_model::{ErrorCode, TopicId};

const KEY: ApiKey = ApiKey::DeleteTopics;

message! {
    /// Asks to delete topics.
    request DeleteTopicsRequest -> DeleteTopicsResponse {
        /// One entry a topic.
        topics: Vec<DeleteTopicState> [6+];
        /// The topics, by name.
        topic_names: Vec<Text> [0-5] ignorable;
        /// How long the request may wait, in milliseconds.
        timeout_ms: i32 [0+];
    }
}

message! {
    /// A topic, by name or by id.
    struct DeleteTopicState {
        /// Its name.
        name: Option<Text> [6+, null 6+] = None;
        /// The id of the topic.
        topic_id: TopicId [6+];
    }
}

message! {
    /// What became of each topic.
    response DeleteTopicsResponse {
        /// How long the client was throttled, in milliseconds.
        throttle_time_ms: i32 [1+] ignorable;
        /// One entry a topic.
        responses: Vec<DeletableTopicResult> [0+];
    }
}

message! {
    /// What became of one topic.
    struct DeletableTopicResult {
        /// Its name.
        name: Option<Text> [0+, null 6+];
        /// The id of the topic.
        topic_id: TopicId [6+] ignorable;
        /// What went wrong, or `NONE`.
        error_code: ErrorCode [0+];
        /// What went wrong, in words.
        error_message: Option<Text> [5+, null 5+] ignorable = None;
    }
}
