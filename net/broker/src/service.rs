//! Decodes a request, gives it to its handler, encodes the answer.
//!
//! Keeps: what a decoded request takes is charged to the memory budget while it waits; a body that does not decode closes the connection, as in Kafka; bytes after a body are
//! ignored, as in Kafka.

use net_protocol::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use net_protocol::{ApiKey, Message, Reader, response_frame};
use net_transport::{Reply, Request, Service};
use std::rc::Rc;

use crate::broker::Broker;
use crate::handlers::alter_configs::alter_configs;
use crate::handlers::api_versions::api_versions;
use crate::handlers::create_partitions::create_partitions;
use crate::handlers::create_topics::create_topics;
use crate::handlers::delete_records::delete_records;
use crate::handlers::delete_topics::delete_topics;
use crate::handlers::describe_cluster::describe_cluster;
use crate::handlers::describe_configs::describe_configs;
use crate::handlers::describe_topic_partitions::describe_topic_partitions;
use crate::handlers::fetch::fetch;
use crate::handlers::find_coordinator::find_coordinator;
use crate::handlers::incremental_alter_configs::incremental_alter_configs;
use crate::handlers::init_producer_id::init_producer_id;
use crate::handlers::list_offsets::list_offsets;
use crate::handlers::metadata::metadata;
use crate::handlers::offset_for_leader_epoch::offset_for_leader_epoch;
use crate::handlers::produce::{Produced, produce};

impl Service for Broker {
    async fn call(self: Rc<Self>, request: Request) -> Reply {
        let version = request.header.api_version;
        // Held as long as the request is: decoded it may wait for long.
        let _decoded = self.memory().charge_now(decoded_bytes(&request));
        match request.api {
            ApiKey::Produce => match decode(&request) {
                None => Reply::Close,
                Some(body) => match produce(&self, version, body).await {
                    Produced::Answer(response) => encode(&request, version, &response),
                    Produced::Silent => Reply::Silent,
                    Produced::Failed => {
                        tracing::debug!(
                            peer = %request.client.peer_addr(),
                            "closing: a Produce with acks=0 failed"
                        );
                        Reply::Close
                    }
                },
            },
            ApiKey::Fetch => match decode(&request) {
                None => Reply::Close,
                Some(body) => {
                    let response = fetch(&self, version, body, &request.client).await;
                    encode(&request, version, &response)
                }
            },
            ApiKey::ListOffsets => match decode(&request) {
                None => Reply::Close,
                Some(body) => encode(&request, version, &list_offsets(&self, version, body).await),
            },
            ApiKey::Metadata => match decode(&request) {
                None => Reply::Close,
                Some(body) => {
                    let response = metadata(&self, version, body, &request.client).await;
                    encode(&request, version, &response)
                }
            },
            ApiKey::FindCoordinator => match decode(&request) {
                None => Reply::Close,
                Some(body) => encode(&request, version, &find_coordinator(version, body)),
            },
            ApiKey::ApiVersions => self.versions(&request),
            ApiKey::CreateTopics => match decode(&request) {
                None => Reply::Close,
                Some(body) => encode(&request, version, &create_topics(&self, body).await),
            },
            ApiKey::DeleteTopics => match decode(&request) {
                None => Reply::Close,
                Some(body) => encode(
                    &request,
                    version,
                    &delete_topics(&self, version, body).await,
                ),
            },
            ApiKey::InitProducerId => match decode(&request) {
                None => Reply::Close,
                Some(body) => encode(&request, version, &init_producer_id(&self, body).await),
            },
            ApiKey::DeleteRecords => match decode(&request) {
                None => Reply::Close,
                Some(body) => encode(&request, version, &delete_records(&self, body).await),
            },
            ApiKey::OffsetForLeaderEpoch => match decode(&request) {
                None => Reply::Close,
                Some(body) => {
                    let response = offset_for_leader_epoch(&self, body).await;
                    encode(&request, version, &response)
                }
            },
            ApiKey::DescribeConfigs => match decode(&request) {
                None => Reply::Close,
                Some(body) => encode(&request, version, &describe_configs(&self, &body).await),
            },
            ApiKey::AlterConfigs | ApiKey::IncrementalAlterConfigs => {
                self.change_configs(&request).await
            }
            ApiKey::CreatePartitions => match decode(&request) {
                None => Reply::Close,
                Some(body) => encode(&request, version, &create_partitions(&self, body).await),
            },
            ApiKey::DescribeCluster => match decode(&request) {
                None => Reply::Close,
                Some(body) => {
                    let response = describe_cluster(&self, &body, &request.client);
                    encode(&request, version, &response)
                }
            },
            ApiKey::DescribeTopicPartitions => match decode(&request) {
                None => Reply::Close,
                Some(body) => {
                    let response = describe_topic_partitions(&self.image(), &body);
                    encode(&request, version, &response)
                }
            },
        }
    }
}

impl Broker {
    async fn change_configs(&self, request: &Request) -> Reply {
        let version = request.header.api_version;
        if request.api == ApiKey::AlterConfigs {
            return match decode(request) {
                None => Reply::Close,
                Some(body) => encode(request, version, &alter_configs(self, body).await),
            };
        }
        match decode(request) {
            None => Reply::Close,
            Some(body) => {
                let response = incremental_alter_configs(self, body).await;
                encode(request, version, &response)
            }
        }
    }

    /// An unknown version is answered in version 0, which every client reads.
    fn versions(&self, request: &Request) -> Reply {
        let version = request.header.api_version;
        if !ApiKey::ApiVersions.versions().contains(&version) {
            return encode(request, 0, &ApiVersionsResponse::unsupported_version());
        }
        match decode::<ApiVersionsRequest>(request) {
            None => Reply::Close,
            Some(body) => {
                let epoch = self.image().next_offset().get().saturating_sub(1);
                encode(request, version, &api_versions(version, &body, epoch))
            }
        }
    }
}

/// What a request takes once it is decoded, beyond its frame, give or take: a few bytes that name a
/// partition become a structure that says all about it. Records stay slices of the frame.
fn decoded_bytes(request: &Request) -> usize {
    match request.api {
        ApiKey::Produce => request.body.len() / 8,
        _ => request.body.len().saturating_mul(8),
    }
}

fn decode<M: Message>(request: &Request) -> Option<M> {
    let mut reader = Reader::new(request.body.clone());
    match M::decode(request.header.api_version, &mut reader) {
        Ok(body) => Some(body),
        Err(error) => {
            tracing::debug!(
                peer = %request.client.peer_addr(),
                api = request.api.name(),
                version = request.header.api_version,
                %error,
                "closing: a request does not decode"
            );
            None
        }
    }
}

fn encode<M: Message>(request: &Request, version: i16, response: &M) -> Reply {
    match response_frame(version, request.header.correlation_id, response) {
        Ok(pieces) => Reply::Send(pieces),
        Err(error) => {
            // A mistake of ours; the client cannot be left without an answer.
            tracing::error!(
                api = request.api.name(),
                version,
                %error,
                "closing: an answer does not encode"
            );
            Reply::Close
        }
    }
}
