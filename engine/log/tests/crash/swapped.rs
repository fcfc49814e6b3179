//! Two segments of the same shape that have taken each other's place: what an administrator's
//! copy, or a controller that mixes up addresses, can leave.

use super::life::options;
use super::oracle::read_all;
use super::workload::partition;
use bytes::Bytes;
use engine_codec::{BatchBuilder, BatchOptions, RecordData};
use engine_log::{AppendOptions, LogConfig, Origin, PartitionLog, Store, open};
use engine_model::{LeaderEpoch, Timestamp};
use engine_rt::sim::{CrashKind, DiskImage, SimNode, Simulation};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_mins(1);

fn batch(value: [u8; 100]) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record = RecordData {
        timestamp: Timestamp(1),
        value: Some(&value),
        ..RecordData::default()
    };
    assert!(builder.append(&record).unwrap());
    builder.build().unwrap()
}

/// A node with two logs, each with as many batches of the same size, all in segments.
fn two_logs(seed: u64) -> (Simulation, SimNode) {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node(1);
    sim.block_on(node, LIMIT, || async {
        let opened = open(Path::new("/data"), &options(1)).await.unwrap();
        let store = Store::start(opened.seeds.into_iter().next().unwrap())
            .await
            .unwrap();
        for number in 0..2 {
            let log = store
                .create(partition(number), LogConfig::default())
                .await
                .unwrap();
            log.begin_leader_epoch(LeaderEpoch::ZERO).await.unwrap();
            for place in 0..5 {
                let value = [b'a' + u8::try_from(number * 5 + place).unwrap(); 100];
                let options = AppendOptions {
                    leader_epoch: LeaderEpoch::ZERO,
                    now: Timestamp(1),
                    origin: Origin::Client,
                };
                log.append(batch(value), options).await.unwrap();
            }
        }
        store.stop().await.unwrap();
        opened.directory.close_clean().await.unwrap();
    })
    .unwrap();
    (sim, node)
}

/// What reading the first log of such a disk gives, or why it is refused.
fn read_first(seed: u64, disk: &DiskImage) -> Result<Bytes, String> {
    let mut sim = Simulation::new(seed);
    let node = sim.add_node_with_disk(1, disk);
    sim.block_on(node, LIMIT, || async {
        let opened = open(Path::new("/data"), &options(1))
            .await
            .map_err(|error| error.to_string())?;
        let store = Store::start(opened.seeds.into_iter().next().unwrap())
            .await
            .map_err(|error| error.to_string())?;
        let log: PartitionLog = store.find(partition(0)).ok_or("it is gone")?;
        read_all(&log, log.log_start_offset(), log.log_end_offset()).await
    })
    .unwrap()
}

/// Swaps the segments of two logs; nothing of the one may be served as the other's.
pub fn swap_segments(seed: u64) -> Result<(), String> {
    let (sim, node) = two_logs(seed);
    let image = sim.crash_image(node, CrashKind::Kill, seed);
    let right = read_first(seed, &image)?;
    let files = image.files();
    let segments: Vec<_> = files
        .iter()
        .filter(|(path, _)| path.ends_with(".segment"))
        .collect();
    let [(first, bytes), (second, other_bytes)] = segments[..] else {
        return Err(format!("not two segments: {segments:?}"));
    };
    assert_eq!(bytes, other_bytes, "the logs have the same shape");
    let mut swapped = image.clone();
    for (to, from) in [(first, second), (second, first)] {
        let bytes = image.read(from).unwrap();
        swapped.corrupt(to, 0, &bytes).unwrap();
    }
    match read_first(seed, &swapped) {
        Ok(found) if found != right => Err("records of another log are served".to_owned()),
        _ => Ok(()),
    }
}

#[test]
fn a_segment_in_the_place_of_another_is_refused() {
    swap_segments(1).unwrap();
}
