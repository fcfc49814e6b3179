//! Bytes that no honest client sends: the broker answers with an error or hangs up, and serves on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use core::net::SocketAddr;
use core::time::Duration;
use engine_model::ErrorCode;
use net_protocol::api_versions::ApiVersionsRequest;
use net_protocol::create_topics::CreateTopicsRequest;
use net_protocol::delete_topics::DeleteTopicsRequest;
use net_protocol::fetch::FetchRequest;
use net_protocol::find_coordinator::FindCoordinatorRequest;
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use net_protocol::metadata::MetadataRequest;
use net_protocol::produce::ProduceRequest;
use net_protocol::{ApiKey, Request, request_frame};
use tests_sim::records::{self, Topic};
use tests_sim::{Client, World, topics};

/// Longer than any answer takes: whoever has none by then is left hanging.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether a connection that got `bytes` was answered, with the answer, or closed.
async fn outcome(address: SocketAddr, bytes: Vec<u8>) -> Option<bytes::Bytes> {
    let mut client = Client::connect(address).await;
    client.send_bytes(bytes).await.ok()?;
    let answer = engine_rt::timeout(PATIENCE, client.frame()).await;
    let answer = answer.expect("neither answered nor closed");
    client.close().await;
    answer.ok()
}

/// The broker still does its work.
async fn is_well(address: SocketAddr) {
    let mut client = Client::connect(address).await;
    let topic = topics::describe(&mut client, "health", true).await;
    let topic = Topic {
        name: "health".to_owned(),
        id: topic.topic_id,
    };
    let batch = records::batch(&["well"]);
    let part = records::append(&mut client, 13, -1, &topic, 0, batch).await;
    assert_eq!(part.error_code, ErrorCode::NONE);
}

/// A request with an empty body: API key, version, correlation id, no client id.
fn bare(api: i16, version: i16) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 10];
    frame.extend_from_slice(&api.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 9, 0xff, 0xff]);
    frame
}

#[test]
fn every_api_key_and_version_is_answered_or_closed() {
    let mut world = World::new(1, 2);
    world.up();
    world.client(async |address| {
        for api in -1..=127_i16 {
            for version in -1..=20_i16 {
                let is_spoken =
                    ApiKey::from_code(api).is_some_and(|api| api.versions().contains(&version));
                let answer = outcome(address, bare(api, version)).await;
                // An empty body decodes in no version, but ApiVersions' oldest have none.
                let is_answered = api == ApiKey::ApiVersions.code() && (!is_spoken || version < 3);
                if is_answered && version < 3 {
                    assert!(answer.is_some(), "{api} {version}");
                } else if !is_answered {
                    assert!(answer.is_none(), "{api} {version}");
                }
            }
        }
        is_well(address).await;
    });
    world.stop();
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let mut world = World::new(2, 1);
    world.up();
    world.client(async |address| {
        for version in [5_i16, 99, i16::MAX] {
            let mut frame = bare(18, version);
            frame[3] += 1;
            frame.push(0);
            let answer = outcome(address, frame).await.unwrap();
            // Correlation id, error 35, one entry: key 18, versions 0 to 4.
            let expected = [0, 0, 0, 9, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
            assert_eq!(&answer[..], expected, "{version}");
        }
    });
    world.stop();
}

fn frame<R: Request>(version: i16, request: &R) -> Vec<u8> {
    request_frame(version, 9, None, request).unwrap().concat()
}

/// One honest request of each API in its newest and oldest version.
fn honest(topic: &Topic) -> Vec<Vec<u8>> {
    let produce = records::produce(-1, topic, &[(0, records::batch(&["a", "b"]))]);
    let fetch = records::fetch(topic, 0, 1, &[(0, 0)]);
    let offsets = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: topic.name.as_str().into(),
            partitions: vec![ListOffsetsPartition::default()],
        }],
        ..ListOffsetsRequest::default()
    };
    let metadata = MetadataRequest {
        topics: Some(Vec::new()),
        ..MetadataRequest::default()
    };
    let versions = ApiVersionsRequest {
        client_software_name: "a".into(),
        client_software_version: "1".into(),
    };
    vec![
        frame::<ProduceRequest>(13, &produce),
        frame::<ProduceRequest>(3, &produce),
        frame::<FetchRequest>(18, &fetch),
        frame::<FetchRequest>(4, &fetch),
        frame(11, &offsets),
        frame(1, &offsets),
        frame(13, &metadata),
        frame(0, &metadata),
        frame(4, &versions),
        frame(6, &FindCoordinatorRequest::default()),
        frame(0, &FindCoordinatorRequest::default()),
        frame(7, &CreateTopicsRequest::default()),
        frame(2, &CreateTopicsRequest::default()),
        frame(6, &DeleteTopicsRequest::default()),
        frame(1, &DeleteTopicsRequest::default()),
        frame(5, &InitProducerIdRequest::default()),
        frame(0, &InitProducerIdRequest::default()),
    ]
}

#[test]
fn a_request_cut_anywhere_is_closed_and_nothing_else_happens() {
    let mut world = World::new(3, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[]).await;
        for honest in honest(&topic) {
            assert!(
                outcome(address, honest.clone()).await.is_some(),
                "{honest:?}"
            );
            for cut in 4..honest.len() {
                // A frame that says how long it is, and whose body ends too early.
                let mut bytes = honest[..cut].to_vec();
                let length = u32::try_from(cut - 4).unwrap();
                bytes[..4].copy_from_slice(&length.to_be_bytes());
                // A body may still make sense when only its tagged fields are missing: then it
                // is answered. Either will do; hanging or dying will not.
                let _ = outcome(address, bytes).await;
            }
        }
        is_well(address).await;
    });
    world.stop();
}

#[test]
fn flipped_bytes_and_wild_lengths_are_survived() {
    let mut world = World::new(4, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[]).await;
        for honest in honest(&topic) {
            for place in 4..honest.len() {
                for value in [0, 0x7f, 0x80, 0xff] {
                    let mut bytes = honest.clone();
                    bytes[place] = value;
                    let mut client = Client::connect(address).await;
                    client.send_bytes(bytes).await.unwrap();
                    // A wait or a timeout in the request may have become very long.
                    let _ = engine_rt::timeout(Duration::from_millis(50), client.frame()).await;
                    client.close().await;
                }
            }
        }
        is_well(address).await;
    });
    world.stop();
}

#[test]
fn lengths_that_cannot_be_hang_up_at_once() {
    let mut world = World::new(5, 1);
    world.up();
    world.client(async |address| {
        for length in [-1_i32, i32::MIN, i32::MAX, (100 << 20) + 1] {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[0; 100]);
            assert!(outcome(address, bytes).await.is_none(), "{length}");
        }
        is_well(address).await;
    });
    world.stop();
}

/// Many connections that promise large requests and send a little of them hold back nobody where
/// there is memory for what they sent, and not for long where there is not.
#[test]
fn promises_do_not_use_up_the_memory_of_others() {
    for (budget, wait_max) in [(16 << 20, 1), (4 << 20, 15)] {
        let mut world = World::new(6, 1)
            .with(&format!("queued.max.request.bytes={budget}"))
            .with("socket.request.max.bytes=4194304");
        world.up();
        world.client(async move |address| {
            let mut promising = Vec::new();
            for _ in 0..200 {
                let client = Client::connect(address).await;
                let mut bytes = (4_i32 << 20).to_be_bytes().to_vec();
                bytes.extend_from_slice(&[0; 1000]);
                // Refused where there are too many.
                let _ = client.send_bytes(bytes).await;
                promising.push(client);
            }
            engine_rt::sleep(Duration::from_secs(1)).await;
            let begun = engine_rt::now();
            is_well(address).await;
            let took = engine_rt::now().saturating_since(begun);
            assert!(took < Duration::from_secs(wait_max), "{took:?}");
            drop(promising);
        });
        world.stop();
    }
}
