//! A fetch session as its client counts it (KIP-227), and what its answers tell.
//!
//! Keeps: the epoch goes up by one with each request made, whether it is sent or not.

use engine_model::{ErrorCode, PartitionIndex};
use net_protocol::fetch::{FetchRequest, FetchResponse, FetchTopic, ForgottenTopic};

use crate::client::Client;
use crate::records::{self, Topic};

/// Partition, error, high watermark and bytes of all that is in an answer.
pub fn told(answer: &FetchResponse) -> Vec<(i32, i16, i64, usize)> {
    let parts = answer.responses.iter().flat_map(|topic| &topic.partitions);
    parts
        .map(|data| {
            let bytes = data.records.as_ref().map_or(0, net_protocol::Records::size);
            let index = data.partition_index.get();
            (index, data.error_code.0, data.high_watermark.get(), bytes)
        })
        .collect()
}

/// One client's session.
pub struct Session {
    /// The connection that its requests go over.
    pub client: Client,
    /// What its requests say beside session and topics.
    pub request: FetchRequest,
    version: i16,
    id: i32,
    epoch: i32,
}

impl Session {
    /// Begins a session with a full fetch; returns that one's answer too.
    pub async fn begin(
        mut client: Client,
        version: i16,
        mut request: FetchRequest,
    ) -> (Self, FetchResponse) {
        request.session_epoch = 0;
        let answer = client.call(version, &request).await.unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE);
        assert!(answer.session_id > 0, "version {version}: no session");
        request.topics = Vec::new();
        let session = Self {
            client,
            request,
            version,
            id: answer.session_id,
            epoch: 1,
        };
        (session, answer)
    }

    /// The session's id.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The request that continues the session with these changes; the caller sends it.
    pub fn next_request(
        &mut self,
        topics: Vec<FetchTopic>,
        forgotten: Vec<ForgottenTopic>,
    ) -> FetchRequest {
        let request = FetchRequest {
            session_id: self.id,
            session_epoch: self.epoch,
            topics,
            forgotten_topics_data: forgotten,
            ..self.request.clone()
        };
        self.epoch += 1;
        request
    }

    /// Fetches without a change.
    pub async fn next(&mut self) -> FetchResponse {
        self.change(Vec::new(), Vec::new()).await
    }

    /// Fetches with these topics wanted and forgotten from now on; must succeed.
    pub async fn change(
        &mut self,
        topics: Vec<FetchTopic>,
        forgotten: Vec<ForgottenTopic>,
    ) -> FetchResponse {
        let request = self.next_request(topics, forgotten);
        let answer = self.client.call(self.version, &request).await.unwrap();
        assert_eq!(answer.error_code, ErrorCode::NONE);
        assert_eq!(answer.session_id, self.id);
        answer
    }

    /// Fetches with partitions wanted from these offsets on.
    pub async fn want(&mut self, topic: &Topic, offsets: &[(i32, i64)]) -> FetchResponse {
        self.change(wanted(topic, offsets), Vec::new()).await
    }
}

/// Partitions of a topic wanted from these offsets on.
pub fn wanted(topic: &Topic, offsets: &[(i32, i64)]) -> Vec<FetchTopic> {
    records::fetch(topic, 0, 1, offsets).topics
}

/// Partitions of a topic wanted no more.
pub fn forgotten(topic: &Topic, partitions: &[i32]) -> Vec<ForgottenTopic> {
    vec![ForgottenTopic {
        topic: topic.name.as_str().into(),
        topic_id: topic.id,
        partitions: partitions
            .iter()
            .copied()
            .map(PartitionIndex::new)
            .collect(),
    }]
}
