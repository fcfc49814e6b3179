//! DescribeConfigs.

use net_protocol::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};
use tests_sim::{Client, World, topics};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;

fn resource(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).into()).collect()),
    }
}

async fn describe(
    client: &mut Client,
    version: i16,
    resources: Vec<DescribeConfigsResource>,
) -> Vec<DescribeConfigsResult> {
    let request = DescribeConfigsRequest {
        resources,
        include_synonyms: true,
        include_documentation: version >= 3,
    };
    client.call(version, &request).await.unwrap().results
}

#[test]
fn settings_are_told_with_where_they_come_from() {
    let mut world = World::new(61, 2).with("log.segment.bytes=2097152");
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        let own = [("max.message.bytes", "5000"), ("retention.ms", "77")];
        topics::create(&mut client, "t", 1, &own).await;
        let keys = ["segment.bytes", "max.message.bytes", "no", "cleanup.policy"];
        for version in 1..=4 {
            let found = describe(
                &mut client,
                version,
                vec![resource(TOPIC, "t", Some(&keys))],
            );
            let found = found.await.remove(0);
            assert_eq!(
                (found.error_code.0, found.error_message.as_deref()),
                (0, Some(""))
            );
            let told: Vec<_> = found
                .configs
                .iter()
                .map(|config| {
                    let synonyms: Vec<_> = config
                        .synonyms
                        .iter()
                        .map(|place| {
                            format!(
                                "{}={}@{}",
                                place.name,
                                place.value.as_deref().unwrap(),
                                place.source
                            )
                        })
                        .collect();
                    (
                        &*config.name,
                        config.value.as_deref().unwrap(),
                        config.config_source,
                        synonyms.join(" "),
                    )
                })
                .collect();
            // As Kafka 4.3.1 told the same.
            let expected = [
                ("cleanup.policy", "delete", 5, "log.cleanup.policy=delete@5"),
                (
                    "max.message.bytes",
                    "5000",
                    1,
                    "max.message.bytes=5000@1 message.max.bytes=1048588@5",
                ),
                (
                    "segment.bytes",
                    "2097152",
                    4,
                    "log.segment.bytes=2097152@4 log.segment.bytes=1073741824@5",
                ),
            ];
            assert_eq!(
                told,
                expected.map(|(key, value, source, places)| (
                    key,
                    value,
                    source,
                    places.to_owned()
                ))
            );
            let types: Vec<i8> = found
                .configs
                .iter()
                .map(|config| config.config_type)
                .collect();
            assert_eq!(types, if version >= 3 { [7, 3, 3] } else { [0; 3] });
            for config in &found.configs {
                let words = config.documentation.as_deref().unwrap_or_default();
                assert_eq!(words.is_empty(), version < 3, "{}", config.name);
                assert!(!config.read_only && !config.is_sensitive);
            }
        }
        for keys in [None, Some(&[][..])] {
            let found = describe(&mut client, 4, vec![resource(TOPIC, "t", keys)]).await;
            assert_eq!(found[0].configs.len(), engine_config::TOPIC_SETTINGS.len());
        }
        let node = topics::describe(&mut client, "t", false).await.partitions[0].leader_id;
        let name = node.0.to_string();
        let asked = vec![
            resource(BROKER, &name, None),
            resource(
                BROKER,
                &name,
                Some(&["log.segment.bytes", "num.partitions"]),
            ),
            resource(LOGGER, &name, None),
        ];
        let found = describe(&mut client, 4, asked).await;
        assert_eq!(found[0].configs.len(), engine_config::BROKER_SETTINGS.len());
        let told: Vec<_> = found[1]
            .configs
            .iter()
            .map(|config| {
                (
                    &*config.name,
                    config.value.as_deref(),
                    config.config_source,
                    config.read_only,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("log.segment.bytes", Some("2097152"), 4, false),
                ("num.partitions", Some("1"), 5, true)
            ]
        );
        assert_eq!(&*found[2].configs[0].name, "root");
        assert_eq!(found[2].configs[0].config_source, 6);
    });
    world.stop();
}

#[test]
fn what_has_no_settings_is_told_so_and_the_rest_of_the_request_is_served() {
    let mut world = World::new(62, 1).with("node.id=1");
    world.up();
    world.client(async |address| {
        let mut client = Client::connect(address).await;
        topics::create(&mut client, "t", 1, &[]).await;
        // Kafka 4.3.1's codes and words; an empty text is its word for none.
        for (kind, name, code, words) in [
            (TOPIC, "no", 3, ""),
            (TOPIC, "__cluster_metadata", 3, ""),
            (TOPIC, "", 17, "Topic name is invalid: the empty string is not allowed"),
            (
                TOPIC,
                "../x",
                17,
                "Topic name is invalid: '../x' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
            ),
            (BROKER, "", 0, ""),
            (BROKER, "01", 0, ""),
            (BROKER, "2", 42, "Unexpected broker id, expected 1 or empty string, but received 2"),
            (BROKER, "abc", 42, "Broker id must be an integer, but it is: abc"),
            (LOGGER, "", 42, "Broker id must not be empty"),
            (LOGGER, "2", 42, "Unexpected broker id, expected 1 but received 2"),
            (LOGGER, "x", 42, "Broker id must be an integer, but it is: x"),
            (16, "", 42, "Client metrics subscription name must not be empty"),
            (32, "", 42, "Group name must not be empty"),
            (16, "x", 0, ""),
            (32, "x", 0, ""),
        ] {
            let asked = vec![resource(kind, name, None), resource(TOPIC, "t", Some(&["segment.ms"]))];
            let found = describe(&mut client, 4, asked).await;
            let told = (found[0].error_code.0, found[0].error_message.as_deref());
            assert_eq!(told, (code, Some(words)), "{kind} {name:?}");
            assert_eq!((found[0].resource_type, &*found[0].resource_name), (kind, name));
            assert_eq!(found[1].configs.len(), 1);
        }
        for kind in [0, 1, 3, 5, 7, 64, 127, -1] {
            let found = describe(&mut client, 4, vec![resource(kind, "x", None)]).await;
            assert_eq!(found[0].error_code.0, 42, "{kind}");
        }
        assert!(describe(&mut client, 4, Vec::new()).await.is_empty());
        // An answer is a thousand times its question: repeating one does not go on for ever.
        let found = describe(&mut client, 4, vec![resource(BROKER, "1", None); 5_000]).await;
        assert_eq!(found.len(), 5_000);
        assert!(found.iter().all(|one| one.error_code.0 == 42 && one.configs.is_empty()));
    });
    world.stop();
}
