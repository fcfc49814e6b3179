//! Retention as a client sees it: settings change, records go, clocks jump, the node crashes.

use core::time::Duration;
use engine_model::{ErrorCode, Offset, Timestamp};
use engine_rt::sim::CrashKind;
use net_protocol::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use tests_sim::records::Topic;
use tests_sim::{Client, World, records, topics};

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

async fn offset(client: &mut Client, topic: &Topic, timestamp: i64) -> i64 {
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: topic.name.as_str().into(),
            partitions: vec![ListOffsetsPartition {
                timestamp: Timestamp(timestamp),
                ..ListOffsetsPartition::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    };
    let answer = client.call(7, &request).await.unwrap();
    answer.topics[0].partitions[0].offset.get()
}

async fn set(client: &mut Client, topic: &Topic, name: &str, value: &str) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 2,
            resource_name: topic.name.as_str().into(),
            configs: vec![AlterableConfig {
                config_operation: 0,
                name: name.into(),
                value: Some(value.into()),
            }],
        }],
        validate_only: false,
    };
    let answer = client.call(1, &request).await.unwrap();
    assert_eq!(answer.responses[0].error_code, ErrorCode::NONE);
}

/// Waits until the topic begins there; fails after half a minute.
async fn begins_at(client: &mut Client, topic: &Topic, expected: i64) {
    let mut found = -1;
    for _ in 0..300 {
        found = offset(client, topic, EARLIEST).await;
        if found == expected {
            return;
        }
        engine_rt::sleep(Duration::from_millis(100)).await;
    }
    panic!("it begins at {found} instead of {expected}");
}

async fn fetched(client: &mut Client, topic: &Topic, from: i64) -> (ErrorCode, i64, usize) {
    let request = records::fetch(topic, 0, 1, &[(0, from)]);
    let answer = client.call(12, &request).await.unwrap();
    let data = answer.responses.into_iter().next().unwrap();
    let data = data.partitions.into_iter().next().unwrap();
    let start = data.log_start_offset.get();
    (data.error_code, start, records::read(data.records).len())
}

#[test]
fn records_go_by_size_and_age_when_settings_say_so_and_stay_gone() {
    let setting = "log.retention.check.interval.ms=1000";
    let mut world = World::new(71, 1).with(setting);
    let topic = Topic::unknown();
    let topic = std::sync::Arc::new(std::sync::Mutex::new(topic));
    world.up();
    let made = std::sync::Arc::clone(&topic);
    world.client(async move |address| {
        let mut client = Client::connect(address).await;
        let own = [("segment.bytes", "1048576")];
        let topic = topics::create(&mut client, "t", 1, &own).await;
        *made.lock().unwrap() = topic.clone();
        // Six records, each a segment of its own.
        for number in 0..6_u8 {
            let value = vec![b'0' + number; 1_000_000];
            let batch = records::batch(&[value]);
            let done = records::append(&mut client, 9, -1, &topic, 0, batch).await;
            assert_eq!(done.error_code, ErrorCode::NONE);
        }
        // 6,000,4xx bytes: without the oldest three they are still more than that.
        set(&mut client, &topic, "retention.bytes", "2500000").await;
        begins_at(&mut client, &topic, 3).await;
        let code = ErrorCode::OFFSET_OUT_OF_RANGE;
        assert_eq!(fetched(&mut client, &topic, 2).await.0, code);
        assert_eq!(
            fetched(&mut client, &topic, 3).await,
            (ErrorCode::NONE, 3, 1)
        );
        set(&mut client, &topic, "retention.ms", "3600000").await;
        engine_rt::sleep(Duration::from_secs(3)).await;
        assert_eq!(offset(&mut client, &topic, EARLIEST).await, 3);
    });
    // As in Kafka, a clock that is wrong for a moment is believed.
    world.simulation.jump_wall_clock(world.machine(), 7_200_000);
    let made = std::sync::Arc::clone(&topic);
    world.client(async move |address| {
        let topic = made.lock().unwrap().clone();
        let mut client = Client::connect(address).await;
        begins_at(&mut client, &topic, 6).await;
        assert_eq!(offset(&mut client, &topic, LATEST).await, 6);
        // What is acknowledged later is flushed later, so the moved start is durable too.
        set(&mut client, &topic, "retention.ms", "-1").await;
        let batch = records::batch(&["after"]);
        let done = records::append(&mut client, 9, -1, &topic, 0, batch).await;
        assert_eq!(
            (done.base_offset, done.log_start_offset),
            (Offset::new(6), Offset::new(6))
        );
    });
    world.crash(CrashKind::Power);
    world.up();
    world.client(async move |address| {
        let topic = topic.lock().unwrap().clone();
        let mut client = Client::connect(address).await;
        assert_eq!(offset(&mut client, &topic, EARLIEST).await, 6);
        assert_eq!(
            fetched(&mut client, &topic, 6).await,
            (ErrorCode::NONE, 6, 1)
        );
    });
    world.stop();
}
