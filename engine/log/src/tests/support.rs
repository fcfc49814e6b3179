//! What the tests share: small stores, batches, a listener, both backends.

use crate::{
    AppendError, AppendOptions, Appended, LogConfig, LogFailure, LogListener, Opened, Origin,
    PartitionLog, ReadOptions, StorageOptions, Store, open,
};
use bytes::Bytes;
use core::time::Duration;
use engine_codec::{BatchBuilder, BatchOptions, RecordData, batches};
use engine_model::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
    TopicPartition,
};
use engine_rt::sim::Simulation;
use engine_rt::sync::Notify;
use engine_rt::{System, UringConfig};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub(super) const EPOCH: LeaderEpoch = LeaderEpoch::ZERO;
pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Sizes so small that a few hundred batches fill everything.
pub(super) fn small_options() -> StorageOptions {
    StorageOptions {
        lane_bytes: 128 << 10,
        lane_bytes_at_start: 128 << 10,
        frame_bytes_target: 16 << 10,
        frame_bytes_early: 8 << 10,
        tail_flush_bytes: 8 << 10,
        tail_cache_bytes: 16 << 10,
        read_cache_bytes: 64 << 10,
        index_cache_bytes: 16 << 10,
        open_files_max: 4,
        disk_reserve_bytes: 0,
        ..StorageOptions::default()
    }
}

pub(super) fn small_config() -> LogConfig {
    LogConfig {
        max_message_bytes: 16 << 10,
        segment_bytes: 64 << 10,
        file_delete_delay_ms: 1_000,
        ..LogConfig::default()
    }
}

pub(super) fn partition(number: i32) -> TopicPartition {
    TopicPartition {
        topic_id: TopicId::from_bytes([7; 16]),
        partition: PartitionIndex::new(number),
    }
}

/// A batch of records that tell where they belong.
pub(super) fn batch(options: BatchOptions, values: &[(i64, String)]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (timestamp, value) in values {
        let record = RecordData {
            timestamp: Timestamp(*timestamp),
            key: Some(b"key"),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        assert!(builder.append(&record).unwrap());
    }
    builder.build().unwrap()
}

/// One record, as long as asked for.
pub(super) fn record(name: &str, bytes: usize) -> Bytes {
    let value = format!("{name:-<bytes$}");
    batch(BatchOptions::default(), &[(NOW.0, value)])
}

pub(super) fn from_producer(id: i64, epoch: i16, sequence: i32, count: i32) -> Bytes {
    let options = BatchOptions {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch::new(epoch),
        base_sequence: Sequence::new(sequence),
        ..BatchOptions::default()
    };
    let values: Vec<_> = (0..count)
        .map(|i| (NOW.0, format!("{id}.{epoch}.{}", sequence + i)))
        .collect();
    batch(options, &values)
}

pub(super) fn client() -> AppendOptions {
    AppendOptions {
        leader_epoch: EPOCH,
        now: NOW,
        origin: Origin::Client,
    }
}

pub(super) async fn append(log: &PartitionLog, records: &Bytes) -> Result<Appended, AppendError> {
    log.append(records.clone(), client()).await
}

/// Wakes a waiting test when ends move, and keeps what failed.
#[derive(Default)]
pub(super) struct Watch {
    moved: Notify,
    pub(super) failures: RefCell<Vec<LogFailure>>,
}

impl LogListener for Watch {
    fn ends_moved(&self) {
        self.moved.notify_all();
    }

    fn failed(&self, failure: LogFailure) {
        self.failures.borrow_mut().push(failure);
        self.moved.notify_all();
    }
}

pub(super) fn watch(log: &PartitionLog) -> Rc<Watch> {
    let watch = Rc::new(Watch::default());
    log.set_listener(Rc::clone(&watch) as Rc<dyn LogListener>);
    watch
}

/// Waits until everything below `end` is stable.
pub(super) async fn stable(log: &PartitionLog, watch: &Watch, end: Offset) {
    while log.stable_end() < end {
        assert!(
            watch.failures.borrow().is_empty(),
            "{:?}",
            watch.failures.borrow()
        );
        watch.moved.notified().await;
    }
}

/// Offsets and first values of all batches of `start..end`, read a few bytes at a time.
pub(super) async fn read_all(log: &PartitionLog) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.stable_end() {
        let options = ReadOptions {
            offset,
            end: log.stable_end(),
            bytes_max: 3000,
            at_least_one: true,
        };
        let answer = log.read(options).await.unwrap();
        assert!(
            answer.next_offset > offset,
            "a read made no progress at {offset}"
        );
        found.extend(values(&answer.chunks));
        offset = answer.next_offset;
    }
    found
}

/// Offset and value of every record.
pub(super) fn values(chunks: &[Bytes]) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend_from_slice(chunk);
    }
    for batch in batches(&all.into()) {
        let batch = batch.unwrap();
        batch.check_crc().unwrap();
        for record in batch.records(1 << 20) {
            let record = record.unwrap();
            let value = record.value.unwrap_or_default();
            let offset = batch.header().record_offset(record.offset_delta);
            found.push((offset.get(), String::from_utf8_lossy(&value).into_owned()));
        }
    }
    found
}

/// A store of one shard, freshly opened.
pub(super) struct Node {
    pub(super) opened: Opened,
    pub(super) store: Store,
}

pub(super) async fn start(path: &Path, options: &StorageOptions) -> Node {
    let mut opened = open(path, options).await.unwrap();
    let store = Store::start(opened.seeds.remove(0)).await.unwrap();
    Node { opened, store }
}

impl Node {
    pub(super) async fn create(&self, number: i32) -> (PartitionLog, Rc<Watch>) {
        let log = self
            .store
            .create(partition(number), small_config())
            .await
            .unwrap();
        log.begin_leader_epoch(EPOCH).await.unwrap();
        let watch = watch(&log);
        (log, watch)
    }

    pub(super) async fn find(&self, number: i32) -> (PartitionLog, Rc<Watch>) {
        let log = self.store.find(partition(number)).unwrap();
        log.set_config(small_config()).await.unwrap();
        let watch = watch(&log);
        (log, watch)
    }

    pub(super) async fn stop(self) {
        self.store.stop().await.unwrap();
        self.opened.directory.close_clean().await.unwrap();
    }
}

/// Runs a program on a simulated node.
pub(super) fn on_sim<T: 'static, F: Future<Output = T>>(
    sim: &mut Simulation,
    program: impl FnOnce(PathBuf) -> F + 'static,
) -> T {
    let node = sim.add_node(1);
    sim.block_on(node, Duration::from_mins(10), || {
        program(PathBuf::from("/data"))
    })
    .unwrap()
}

/// Runs a program on both backends.
pub(super) fn on_both<F>(program: impl Fn(PathBuf) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + 'static,
{
    for seed in 0..3 {
        on_sim(&mut Simulation::new(seed), program.clone());
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let config = UringConfig {
        cpus: vec![None],
        ..UringConfig::default()
    };
    let system = System::uring(config).unwrap();
    system
        .run(vec![Box::new(move || Box::pin(program(path)))])
        .unwrap();
}
