//! Settings that clients change: each changes what the broker does, at once, without a start, and
//! still after one.

use bytes::Bytes;
use core::time::Duration;
use engine_codec::{Compression, batches};
use engine_model::{ErrorCode, PartitionIndex, Timestamp};
use engine_rt::sim::CrashKind;
use net_protocol::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use net_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use net_protocol::produce::ProduceRequest;
use tests_sim::records::{self, Topic};
use tests_sim::{Client, World, topics};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Gives a setting a value, or with `None` takes it back.
async fn set(client: &mut Client, kind: i8, name: &str, key: &str, value: Option<&str>) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: kind,
            resource_name: name.into(),
            configs: vec![AlterableConfig {
                name: key.into(),
                config_operation: i8::from(value.is_none()),
                value: value.map(Into::into),
            }],
        }],
        validate_only: false,
    };
    let answer = client.call(1, &request).await.unwrap();
    let answer = &answer.responses[0];
    assert_eq!(answer.error_code, ErrorCode::NONE, "{key}: {answer:?}");
}

/// The code of appending these bytes, and the stamped time.
async fn append(client: &mut Client, topic: &Topic, acks: i16, batch: Bytes) -> (i16, i64) {
    let answer = records::append(client, 9, acks, topic, 0, batch).await;
    (answer.error_code.0, answer.log_append_time_ms.0)
}

async fn code(client: &mut Client, topic: &Topic, bytes: usize) -> i16 {
    let batch = records::batch(&["v".repeat(bytes)]);
    append(client, topic, -1, batch).await.0
}

/// Appends one record and tells the offset behind it.
async fn end_behind_one(client: &mut Client, topic: &Topic) -> i64 {
    let answer = records::append(client, 9, -1, topic, 0, records::batch(&["v"])).await;
    answer.base_offset.get() + 1
}

async fn start_of(client: &mut Client, topic: &Topic) -> i64 {
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: topic.name.as_str().into(),
            partitions: vec![ListOffsetsPartition {
                partition_index: PartitionIndex::ZERO,
                timestamp: Timestamp(-2),
                ..ListOffsetsPartition::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    };
    let answer = client.call(7, &request).await.unwrap();
    answer.topics[0].partitions[0].offset.get()
}

/// How the last batch lies in the log.
async fn last_compression(client: &mut Client, topic: &Topic, from: i64) -> Compression {
    let request = records::fetch(topic, 1_000, 1, &[(0, from)]);
    let mut answer = client.call(12, &request).await.unwrap();
    let records = answer.responses[0].partitions[0].records.take();
    let bytes = records.unwrap_or_default().into_bytes();
    let last = batches(&bytes).last().unwrap().unwrap();
    last.header().attributes.compression().unwrap()
}

#[test]
fn a_topics_settings_change_what_the_broker_does_at_once() {
    let mut world = World::new(81, 2);
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[]).await;
        let one = || records::batch(&["v"]);
        assert_eq!(append(&mut client, &topic, -1, one()).await, (0, -1));

        // Larger than a frame of the lane is meant to be, and smaller than anything.
        set(&mut client, TOPIC, "t", "max.message.bytes", Some("1000")).await;
        assert_eq!(code(&mut client, &topic, 2_000).await, 10);
        set(
            &mut client,
            TOPIC,
            "t",
            "max.message.bytes",
            Some("4194304"),
        )
        .await;
        assert_eq!(code(&mut client, &topic, 3 << 20).await, 0);
        set(&mut client, TOPIC, "t", "max.message.bytes", None).await;
        assert_eq!(code(&mut client, &topic, 3 << 20).await, 10);

        // Records carry a time before now.
        for (key, refused) in [
            ("message.timestamp.before.max.ms", 32),
            ("message.timestamp.after.max.ms", 0),
        ] {
            set(&mut client, TOPIC, "t", key, Some("10")).await;
            assert_eq!(
                append(&mut client, &topic, -1, one()).await.0,
                refused,
                "{key}"
            );
            set(&mut client, TOPIC, "t", key, None).await;
            assert_eq!(append(&mut client, &topic, -1, one()).await.0, 0, "{key}");
        }
        let key = "message.timestamp.type";
        set(&mut client, TOPIC, "t", key, Some("LogAppendTime")).await;
        assert!(append(&mut client, &topic, -1, one()).await.1 > 0);
        set(&mut client, TOPIC, "t", key, None).await;
        assert_eq!(append(&mut client, &topic, -1, one()).await, (0, -1));

        let end = end_behind_one(&mut client, &topic).await;
        for (value, found) in [("gzip", Compression::Gzip), ("zstd", Compression::Zstd)] {
            set(&mut client, TOPIC, "t", "compression.type", Some(value)).await;
            assert_eq!(code(&mut client, &topic, 5_000).await, 0);
            assert_eq!(last_compression(&mut client, &topic, end).await, found);
        }
        set(&mut client, TOPIC, "t", "compression.type", None).await;

        // Records without a key.
        for (policy, refused) in [
            (Some("compact"), 87),
            (Some("compact,delete"), 87),
            (Some("delete"), 0),
            (None, 0),
        ] {
            set(&mut client, TOPIC, "t", "cleanup.policy", policy).await;
            assert_eq!(
                append(&mut client, &topic, -1, one()).await.0,
                refused,
                "{policy:?}"
            );
        }

        // A partition of one replica needs no more than that, as in Kafka.
        set(&mut client, TOPIC, "t", "min.insync.replicas", Some("2")).await;
        assert_eq!(append(&mut client, &topic, -1, one()).await.0, 0);
    });
    world.stop();
}

/// Records that are older than they may be go without a start; before the change none did.
#[test]
fn records_go_when_the_setting_says_so_and_not_before() {
    let mut world = World::new(82, 1).with("log.retention.check.interval.ms=1000");
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 1, &[("retention.ms", "-1")]).await;
        let own = topics::create(&mut client, "own", 1, &[("retention.ms", "-1")]).await;
        for topic in [&topic, &own] {
            for _ in 0..3 {
                assert_eq!(code(&mut client, topic, 10).await, 0);
            }
        }
        engine_rt::sleep(Duration::from_secs(30)).await;
        assert_eq!(start_of(&mut client, &topic).await, 0);
        set(&mut client, BROKER, "", "log.retention.ms", Some("1000")).await;
        set(&mut client, TOPIC, "t", "retention.ms", None).await;
        for _ in 0..100 {
            engine_rt::sleep(Duration::from_secs(1)).await;
            if start_of(&mut client, &topic).await == 3 {
                break;
            }
        }
        assert_eq!(start_of(&mut client, &topic).await, 3);
        assert_eq!(start_of(&mut client, &own).await, 0);
    });
    world.stop();
}

/// A record acknowledged in one class is there after what that class survives, also when the class
/// changed beside appends.
#[test]
fn the_durability_class_changes_under_a_producer_and_loses_nothing() {
    for (seed, kind, from, to) in [
        (83, CrashKind::Kill, "written", "fsync"),
        (84, CrashKind::Power, "written", "fsync"),
        (85, CrashKind::Kill, "fsync", "written"),
    ] {
        let mut world = World::new(seed, 2);
        world.up();
        let kept = world.client(async move |address| {
            let mut client = Client::connect(address).await;
            let topic = topics::create(&mut client, "t", 1, &[("durability", from)]).await;
            for _ in 0..20 {
                assert_eq!(code(&mut client, &topic, 100).await, 0);
            }
            // The change overtakes an append that is under way.
            let mut other = Client::connect(address).await;
            let under_way = records::produce(-1, &topic, &[(0, records::batch(&["x"]))]);
            let id = other.send(9, &under_way).await.unwrap();
            set(&mut client, TOPIC, "t", "durability", Some(to)).await;
            let answer = other.answer::<ProduceRequest>(9, id).await.unwrap();
            let answer = &answer.responses[0].partition_responses[0];
            assert_eq!(answer.error_code, ErrorCode::NONE);
            let end = end_behind_one(&mut client, &topic).await;
            (topic, end)
        });
        world.crash(kind);
        world.up();
        world.client(async move |address| {
            let mut client = Client::connect(address).await;
            let (topic, end) = kept;
            let answer = records::append(&mut client, 9, -1, &topic, 0, records::batch(&["z"]));
            // Flushed behind them, so that all of them were.
            assert_eq!(answer.await.base_offset.get(), end, "seed {seed}");
        });
        world.stop();
    }
}

#[test]
fn a_brokers_settings_reach_topics_that_have_none_of_their_own_and_outlive_a_crash() {
    for (seed, kind) in [(86, CrashKind::Kill), (87, CrashKind::Power)] {
        let mut world = World::new(seed, 2)
            .with("node.id=1")
            .with("message.max.bytes=9000");
        world.up();
        let (plain, own) = world.client(async |address| {
            let mut client = Client::connect(address).await;
            let plain = topics::create(&mut client, "plain", 1, &[]).await;
            let setting = [("max.message.bytes", "5000")];
            let own = topics::create(&mut client, "own", 1, &setting).await;
            assert_eq!(code(&mut client, &plain, 8_000).await, 0);
            set(&mut client, BROKER, "", "message.max.bytes", Some("1000")).await;
            assert_eq!(code(&mut client, &plain, 2_000).await, 10);
            assert_eq!(code(&mut client, &own, 2_000).await, 0);
            // What is created later, too.
            let later = topics::create(&mut client, "later", 1, &[]).await;
            assert_eq!(code(&mut client, &later, 2_000).await, 10);
            set(&mut client, BROKER, "1", "message.max.bytes", Some("3000")).await;
            assert_eq!(code(&mut client, &plain, 2_000).await, 0);
            assert_eq!(code(&mut client, &plain, 4_000).await, 10);
            assert_eq!(code(&mut client, &own, 4_000).await, 0);
            (plain, own)
        });
        world.crash(kind);
        world.up();
        world.client(async move |address| {
            let mut client = Client::connect(address).await;
            assert_eq!(code(&mut client, &plain, 2_000).await, 0);
            assert_eq!(code(&mut client, &plain, 4_000).await, 10);
            assert_eq!(code(&mut client, &own, 4_000).await, 0);
            set(&mut client, BROKER, "1", "message.max.bytes", None).await;
            assert_eq!(code(&mut client, &plain, 2_000).await, 10);
            set(&mut client, BROKER, "", "message.max.bytes", None).await;
            assert_eq!(code(&mut client, &plain, 8_000).await, 0);
            assert_eq!(code(&mut client, &plain, 9_500).await, 10);
        });
        world.stop();
    }
}
