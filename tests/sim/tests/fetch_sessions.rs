//! Fetch sessions of the whole broker: what Apache Kafka 4.3.1 answered to the same frames, over
//! one shard and several.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code: a failure is the report"
)]

use core::time::Duration;
use engine_model::ErrorCode;
use net_protocol::fetch::FetchRequest;
use tests_sim::records::Topic;
use tests_sim::session::{Session, forgotten, told, wanted};
use tests_sim::{Client, World, records, topics};

const SOON: Duration = Duration::from_millis(500);

async fn produce(client: &mut Client, topic: &Topic, partition: i32, value: &str) -> usize {
    let batch = records::batch(&[value]);
    let size = batch.len();
    let part = records::append(client, 9, -1, topic, partition, batch).await;
    assert_eq!(part.error_code, ErrorCode::NONE);
    size
}

#[test]
fn an_answer_of_a_session_has_what_the_client_does_not_know() {
    for shards in [1, 3] {
        let mut world = World::new(11, shards);
        world.up();
        world.client(async move |address| {
            let mut other = Client::connect(address).await;
            for version in 7..=18 {
                let name = format!("t{version}");
                let topic = topics::create(&mut other, &name, 4, &[]).await;
                let client = Client::connect(address).await;
                let request = records::fetch(&topic, 0, 1, &[(0, 0), (1, 0), (2, 0)]);
                let (mut session, answer) = Session::begin(client, version, request).await;
                let nothing = [(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0)];
                assert_eq!(told(&answer), nothing);
                assert_eq!(told(&session.next().await), []);
                let size = produce(&mut other, &topic, 1, "x").await;
                // Records come again until the client asks for later ones.
                assert_eq!(told(&session.next().await), [(1, 0, 1, size)]);
                assert_eq!(told(&session.next().await), [(1, 0, 1, size)]);
                assert_eq!(told(&session.want(&topic, &[(1, 1)]).await), []);
                assert_eq!(told(&session.next().await), []);
                // Partitions come and go.
                let answer = session
                    .change(wanted(&topic, &[(3, 0)]), forgotten(&topic, &[0]))
                    .await;
                assert_eq!(told(&answer), [(3, 0, 0, 0)]);
                produce(&mut other, &topic, 0, "nobody wants it").await;
                assert_eq!(told(&session.next().await), []);
                // An error comes each time, and news when it has gone.
                let out_of_range = [(2, 1, -1, 0)];
                assert_eq!(told(&session.want(&topic, &[(2, 999)]).await), out_of_range);
                assert_eq!(told(&session.next().await), out_of_range);
                assert_eq!(told(&session.want(&topic, &[(2, 0)]).await), [(2, 0, 0, 0)]);
                assert_eq!(
                    told(&session.want(&topic, &[(9, 0)]).await),
                    [(9, 3, -1, 0)]
                );
                assert_eq!(told(&session.next().await), [(9, 3, -1, 0)]);
                // A session that nothing is left of is over.
                let last = session.next_request(Vec::new(), forgotten(&topic, &[1, 2, 3, 9]));
                let answer = session.client.call(version, &last).await.unwrap();
                assert_eq!((answer.error_code, answer.session_id), (ErrorCode::NONE, 0));
                let late = session.next_request(Vec::new(), Vec::new());
                let answer = session.client.call(version, &late).await.unwrap();
                assert_eq!(answer.error_code, ErrorCode(70));
            }
        });
        world.stop();
    }
}

#[test]
fn a_request_that_does_not_continue_its_session_gets_kafkas_code() {
    let mut world = World::new(12, 2);
    world.up();
    world.client(async move |address| {
        let mut other = Client::connect(address).await;
        let topic = topics::create(&mut other, "t", 1, &[]).await;
        for version in [7, 12, 13, 18] {
            let client = Client::connect(address).await;
            let request = records::fetch(&topic, 0, 1, &[(0, 0)]);
            let (mut session, _) = Session::begin(client, version, request.clone()).await;
            let other_kind = if version >= 13 { 12 } else { 13 };
            let id = session.id();
            for (id, epoch, version, code) in [
                (id, 2, version, 71),
                (id, -2, version, 71),
                (id, 1, other_kind, 106),
                (0, 5, version, 70),
                (-1, 5, version, 70),
                (0, -2, version, 70),
                (i32::MAX, 1, version, 70),
            ] {
                let request = FetchRequest {
                    session_id: id,
                    session_epoch: epoch,
                    ..FetchRequest::default()
                };
                let answer = session.client.call(version, &request).await.unwrap();
                assert_eq!(answer.error_code, ErrorCode(code), "{id} {epoch} {version}");
                assert_eq!((answer.session_id, answer.responses.len()), (0, 0));
            }
            // None of it harmed the session.
            session.next().await;
            // Another full fetch closes it and begins one; -1 closes that one.
            let mut again = FetchRequest {
                session_id: id,
                session_epoch: 0,
                ..request.clone()
            };
            let answer = session.client.call(version, &again).await.unwrap();
            assert!(answer.session_id > 0 && answer.session_id != id);
            let old = session.next_request(Vec::new(), Vec::new());
            let answer_to_old = session.client.call(version, &old).await.unwrap();
            assert_eq!(answer_to_old.error_code, ErrorCode(70));
            again.session_id = answer.session_id;
            again.session_epoch = -1;
            let closed = session.client.call(version, &again).await.unwrap();
            assert_eq!((closed.error_code, closed.session_id), (ErrorCode::NONE, 0));
            assert_eq!(told(&closed).len(), 1, "it was a fetch all the same");
            again.session_epoch = 1;
            let late = session.client.call(version, &again).await.unwrap();
            assert_eq!(late.error_code, ErrorCode(70));
        }
    });
    world.stop();
}

#[test]
fn a_session_outlives_its_connection() {
    let mut world = World::new(13, 1);
    world.up();
    world.client(async move |address| {
        let mut other = Client::connect(address).await;
        let topic = topics::create(&mut other, "t", 1, &[]).await;
        let client = Client::connect(address).await;
        let request = records::fetch(&topic, 0, 1, &[(0, 0)]);
        let (mut session, _) = Session::begin(client, 13, request).await;
        let again = Client::connect(address).await;
        core::mem::replace(&mut session.client, again).close().await;
        engine_rt::sleep(Duration::from_secs(1)).await;
        let size = produce(&mut other, &topic, 0, "x").await;
        assert_eq!(told(&session.next().await), [(0, 0, 1, size)]);
    });
    world.stop();
}

/// On each shard in turn: the session waits with everything settled.
#[test]
fn a_waiting_session_wakes_for_any_partition_of_any_shard() {
    for seed in 0..3 {
        let mut world = World::new(seed, 3);
        world.up();
        world.client(async move |address| {
            let mut writer = Client::connect(address).await;
            let topic = topics::create(&mut writer, "t", 8, &[]).await;
            let mut offsets: Vec<(i32, i64)> = (0..8).map(|p| (p, 0)).collect();
            let mut request = records::fetch(&topic, 0, 1, &offsets);
            request.max_wait_ms = 0;
            let client = Client::connect(address).await;
            let (mut session, _) = Session::begin(client, 13, request).await;
            session.request.max_wait_ms = 60_000;
            let mut position = Vec::new();
            for turn in 0..16 {
                let partition = turn * 5 % 8;
                let next = session.next_request(core::mem::take(&mut position), Vec::new());
                let begun = engine_rt::now();
                let id = session.client.send(13, &next).await.unwrap();
                engine_rt::sleep(Duration::from_secs(2)).await;
                let size = produce(&mut writer, &topic, partition, "wake up").await;
                let answer = session.client.answer::<FetchRequest>(13, id).await.unwrap();
                let waited = engine_rt::now().saturating_since(begun);
                assert!(waited >= Duration::from_secs(2), "{waited:?}");
                assert!(
                    waited < Duration::from_secs(2) + SOON,
                    "seed {seed}: {waited:?}"
                );
                let place = usize::try_from(partition).unwrap();
                offsets[place].1 += 1;
                let end = offsets[place].1;
                assert_eq!(told(&answer), [(partition, 0, end, size)], "seed {seed}");
                position = wanted(&topic, &[offsets[place]]);
            }
            // What came while nobody asked is there at once.
            session.change(position, Vec::new()).await;
        });
        world.stop();
    }
}

#[test]
fn what_comes_between_two_requests_is_told_by_the_second() {
    for seed in 0..3 {
        let mut world = World::new(seed, 3);
        world.up();
        world.client(async move |address| {
            let mut writer = Client::connect(address).await;
            let topic = topics::create(&mut writer, "t", 6, &[]).await;
            let offsets: Vec<(i32, i64)> = (0..6).map(|p| (p, 0)).collect();
            let request = records::fetch(&topic, 0, 1, &offsets);
            let client = Client::connect(address).await;
            let (mut session, _) = Session::begin(client, 13, request).await;
            for round in 1..4 {
                for partition in [4, 1, 3] {
                    produce(&mut writer, &topic, partition, "x").await;
                }
                // Signals between shards take their time.
                engine_rt::sleep(Duration::from_millis(100)).await;
                let mut found = told(&session.next().await);
                found.sort_unstable();
                let ends: Vec<_> = found.iter().map(|(p, _, end, _)| (*p, *end)).collect();
                assert_eq!(ends, [(1, round), (3, round), (4, round)], "seed {seed}");
                let read: Vec<_> = ends;
                assert_eq!(told(&session.want(&topic, &read).await), []);
            }
        });
        world.stop();
    }
}

#[test]
fn a_session_waits_for_enough_over_all_its_partitions() {
    let mut world = World::new(14, 3);
    world.up();
    world.client(async move |address| {
        let mut writer = Client::connect(address).await;
        let topic = topics::create(&mut writer, "t", 4, &[]).await;
        let request = records::fetch(&topic, 0, 1, &[(0, 0), (1, 0), (2, 0), (3, 0)]);
        let client = Client::connect(address).await;
        let (mut session, _) = Session::begin(client, 13, request).await;
        session.request.max_wait_ms = 60_000;
        session.request.min_bytes = 1000;
        let next = session.next_request(Vec::new(), Vec::new());
        let begun = engine_rt::now();
        let id = session.client.send(13, &next).await.unwrap();
        // Each batch has 61 bytes of header, 7 or 8 of record and 100 of value.
        for n in 0..6 {
            engine_rt::sleep(Duration::from_secs(1)).await;
            produce(&mut writer, &topic, n % 3, &"x".repeat(100)).await;
        }
        let answer = session.client.answer::<FetchRequest>(13, id).await.unwrap();
        let waited = engine_rt::now().saturating_since(begun);
        assert!(waited >= Duration::from_secs(6), "{waited:?}");
        assert!(waited < Duration::from_secs(6) + SOON, "{waited:?}");
        let mut ends: Vec<_> = told(&answer)
            .iter()
            .map(|(p, _, end, _)| (*p, *end))
            .collect();
        ends.sort_unstable();
        assert_eq!(ends, [(0, 2), (1, 2), (2, 2)]);
    });
    world.stop();
}

#[test]
fn a_limit_on_bytes_lets_every_partition_have_its_turn() {
    let mut world = World::new(15, 2);
    world.up();
    world.client(async move |address| {
        let mut writer = Client::connect(address).await;
        let topic = topics::create(&mut writer, "t", 5, &[]).await;
        for partition in 0..5 {
            for _ in 0..4 {
                produce(&mut writer, &topic, partition, &"x".repeat(10_000)).await;
            }
        }
        let offsets: Vec<(i32, i64)> = (0..5).map(|p| (p, 0)).collect();
        let mut request = records::fetch(&topic, 0, 1, &offsets);
        // One batch an answer.
        request.max_bytes = 15_000;
        let client = Client::connect(address).await;
        let (mut session, answer) = Session::begin(client, 13, request).await;
        let mut position = vec![0_i64; 5];
        let mut served = Vec::new();
        let mut answer = answer;
        for _ in 0..20 {
            let with_records: Vec<i32> = told(&answer)
                .iter()
                .filter(|(_, _, _, bytes)| *bytes > 0)
                .map(|(partition, ..)| *partition)
                .collect();
            let mut news = Vec::new();
            for partition in with_records {
                let place = usize::try_from(partition).unwrap();
                position[place] += 1;
                news.push((partition, position[place]));
                served.push(partition);
            }
            let spread = position.iter().max().unwrap() - position.iter().min().unwrap();
            assert!(spread <= 1, "{served:?}");
            answer = session.want(&topic, &news).await;
        }
        assert_eq!(position, [4; 5]);
    });
    world.stop();
}

#[test]
fn a_topic_that_goes_and_comes_back_is_another_one_in_a_session() {
    for shards in [1, 3] {
        let mut world = World::new(16, shards);
        world.up();
        world.client(async move |address| {
            let mut other = Client::connect(address).await;
            let stays = topics::create(&mut other, "stays", 1, &[]).await;
            for version in [7, 12, 13, 18] {
                let topic = topics::create(&mut other, "t", 1, &[]).await;
                produce(&mut other, &topic, 0, "old").await;
                let mut request = records::fetch(&topic, 0, 1, &[(0, 0)]);
                request.topics.extend(wanted(&stays, &[(0, 0)]));
                let client = Client::connect(address).await;
                let (mut session, _) = Session::begin(client, version, request).await;
                topics::delete(&mut other, &topic).await;
                engine_rt::sleep(Duration::from_millis(100)).await;
                for _ in 0..2 {
                    assert_eq!(told(&session.next().await), [(0, 3, -1, 0)]);
                }
                let new = topics::create(&mut other, "t", 1, &[]).await;
                engine_rt::sleep(Duration::from_millis(100)).await;
                if version >= 13 {
                    for _ in 0..2 {
                        assert_eq!(told(&session.next().await), [(0, 103, -1, 0)]);
                    }
                    let answer = session
                        .change(wanted(&new, &[(0, 0)]), forgotten(&topic, &[0]))
                        .await;
                    assert_eq!(told(&answer), [(0, 0, 0, 0)]);
                } else {
                    assert_eq!(told(&session.next().await), [(0, 0, 0, 0)]);
                    assert_eq!(told(&session.next().await), []);
                }
                topics::delete(&mut other, &new).await;
            }
        });
        world.stop();
    }
}

#[test]
fn sessions_end_with_the_node_and_a_full_fetch_goes_on() {
    let mut world = World::new(17, 2);
    world.up();
    let (topic, id, size) = world.client(async move |address| {
        let mut client = Client::connect(address).await;
        let topic = topics::create(&mut client, "t", 2, &[]).await;
        let size = produce(&mut client, &topic, 0, "x").await;
        let request = records::fetch(&topic, 0, 1, &[(0, 0), (1, 0)]);
        let (session, _) = Session::begin(client, 13, request).await;
        (topic, session.id(), size)
    });
    world.crash(engine_rt::sim::CrashKind::Kill);
    world.up();
    world.client(async move |address| {
        let mut client = Client::connect(address).await;
        let next = FetchRequest {
            session_id: id,
            session_epoch: 1,
            ..FetchRequest::default()
        };
        let answer = client.call(13, &next).await.unwrap();
        assert_eq!(answer.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        let request = records::fetch(&topic, 0, 1, &[(0, 0), (1, 0)]);
        let (_, answer) = Session::begin(client, 13, request).await;
        assert_eq!(told(&answer), [(0, 0, 1, size), (1, 0, 0, 0)]);
    });
    world.stop();
}

/// Two thousand clients, ten slots: whoever has none is served all the same.
#[test]
fn sessions_are_bounded_and_make_room_in_time() {
    let mut world = World::new(18, 2).with("max.incremental.fetch.session.cache.slots=10");
    world.up();
    world.client(async move |address| {
        let mut writer = Client::connect(address).await;
        let topic = topics::create(&mut writer, "t", 3, &[]).await;
        let mut request = records::fetch(&topic, 0, 1, &[(0, 0), (1, 0)]);
        request.session_epoch = 0;
        let mut ids = Vec::new();
        for n in 0..200 {
            let mut client = Client::connect(address).await;
            for _ in 0..10 {
                let answer = client.call(13, &request).await.unwrap();
                assert_eq!(answer.error_code, ErrorCode::NONE);
                assert_eq!(told(&answer).len(), 2, "client {n}");
                ids.extend(Some(answer.session_id).filter(|id| *id != 0));
            }
            client.close().await;
        }
        assert!((5..=10).contains(&ids.len()), "{} sessions", ids.len());
        // After two minutes of silence they make room, one for one.
        engine_rt::sleep(Duration::from_secs(121)).await;
        let mut clients = Vec::new();
        let mut begun = 0;
        for _ in 0..10 {
            let mut client = Client::connect(address).await;
            let answer = client.call(13, &request).await.unwrap();
            begun += i32::from(answer.session_id != 0);
            clients.push(client);
        }
        // A shard has half of the slots, however many of the clients it has.
        assert!(begun >= 5, "{begun} sessions");
        let mut gone = 0;
        for id in ids {
            for client in &mut clients {
                let next = FetchRequest {
                    session_id: id,
                    session_epoch: 1,
                    ..FetchRequest::default()
                };
                let answer = client.call(13, &next).await.unwrap();
                gone += usize::from(answer.error_code == ErrorCode(70));
            }
        }
        assert!(gone > 0);
    });
    world.stop();
}
