//! A broker of one topic that answers when it is told to: for what a load program says of slow ones.

use bytes::Bytes;
use engine_model::{ErrorCode, NodeId, Offset, PartitionIndex};
use net_protocol::api_versions::{ApiVersion, ApiVersionsResponse};
use net_protocol::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use net_protocol::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use net_protocol::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use net_protocol::{ApiKey, Message, Reader, RequestHeader, response_frame};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the broker does with its n-th Produce, from 0: waits, then answers with a code.
pub type Behaviour = fn(u64) -> (Duration, ErrorCode);

/// See the module's own words. Its threads end with the test's process.
pub struct SlowBroker {
    pub address: String,
    /// Produce requests answered.
    pub produced: Arc<AtomicU64>,
}

impl SlowBroker {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let produced = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&produced);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || serve(stream.unwrap(), port, &counter, behaviour));
            }
        });
        Self {
            address: format!("127.0.0.1:{port}"),
            produced,
        }
    }
}

fn serve(mut stream: TcpStream, port: u16, produced: &AtomicU64, behaviour: Behaviour) {
    stream.set_nodelay(true).unwrap();
    let mut size = [0; 4];
    while stream.read_exact(&mut size).is_ok() {
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(size)).unwrap()];
        stream.read_exact(&mut frame).unwrap();
        let mut reader = Reader::new(Bytes::from(frame));
        let header = RequestHeader::decode(&mut reader).unwrap();
        let (version, id) = (header.api_version, header.correlation_id);
        let answer = match ApiKey::from_code(header.api_key).unwrap() {
            ApiKey::ApiVersions => response_frame(version, id, &versions()),
            ApiKey::Metadata => {
                let request = MetadataRequest::decode(version, &mut reader).unwrap();
                response_frame(version, id, &metadata(&request, port))
            }
            ApiKey::ListOffsets => {
                let request = ListOffsetsRequest::decode(version, &mut reader).unwrap();
                response_frame(version, id, &offsets(&request))
            }
            ApiKey::Produce => {
                let request = ProduceRequest::decode(version, &mut reader).unwrap();
                let (wait, code) = behaviour(produced.load(Ordering::SeqCst));
                std::thread::sleep(wait);
                produced.fetch_add(1, Ordering::SeqCst);
                if request.acks == 0 {
                    continue;
                }
                response_frame(version, id, &produce(&request, code))
            }
            other => panic!("{other:?} is not asked of a broker by this load"),
        };
        if stream.write_all(&answer.unwrap().concat()).is_err() {
            return;
        }
    }
}

fn versions() -> ApiVersionsResponse {
    let spoken = [
        ApiKey::ApiVersions,
        ApiKey::Metadata,
        ApiKey::ListOffsets,
        ApiKey::Produce,
    ];
    ApiVersionsResponse {
        api_keys: spoken
            .iter()
            .map(|key| ApiVersion {
                api_key: key.code(),
                min_version: *key.versions().start(),
                max_version: *key.versions().end(),
            })
            .collect(),
        ..ApiVersionsResponse::default()
    }
}

fn metadata(request: &MetadataRequest, port: u16) -> MetadataResponse {
    let node = NodeId(1);
    let topics = request.topics.clone().unwrap_or_default();
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: node,
            host: "127.0.0.1".into(),
            port: i32::from(port),
            rack: None,
        }],
        controller_id: node,
        topics: topics
            .into_iter()
            .map(|topic| MetadataResponseTopic {
                name: topic.name,
                partitions: vec![MetadataResponsePartition {
                    leader_id: node,
                    ..MetadataResponsePartition::default()
                }],
                ..MetadataResponseTopic::default()
            })
            .collect(),
        ..MetadataResponse::default()
    }
}

fn offsets(request: &ListOffsetsRequest) -> ListOffsetsResponse {
    ListOffsetsResponse {
        topics: request
            .topics
            .iter()
            .map(|topic| ListOffsetsTopicResponse {
                name: topic.name.clone(),
                partitions: vec![ListOffsetsPartitionResponse {
                    partition_index: PartitionIndex::ZERO,
                    offset: Offset::ZERO,
                    ..ListOffsetsPartitionResponse::default()
                }],
            })
            .collect(),
        ..ListOffsetsResponse::default()
    }
}

fn produce(request: &ProduceRequest, code: ErrorCode) -> ProduceResponse {
    ProduceResponse {
        responses: request
            .topic_data
            .iter()
            .map(|topic| TopicProduceResponse {
                name: topic.name.clone(),
                topic_id: topic.topic_id,
                partition_responses: vec![PartitionProduceResponse {
                    error_code: code,
                    ..PartitionProduceResponse::default()
                }],
            })
            .collect(),
        ..ProduceResponse::default()
    }
}
