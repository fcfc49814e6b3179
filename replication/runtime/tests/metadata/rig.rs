//! A node of some shards without its network: stores, replica managers and the controller, linked by
//! a mesh, in the simulator. A script runs on the controller's shard once the node is up.

use bytes::Bytes;
use core::cell::RefCell;
use core::time::Duration;
use engine_codec::{BatchBuilder, BatchOptions, RecordData};
use engine_config::{BrokerConfig, Sources};
use engine_log::{Directory, StorageOptions, Store, StoreSeed};
use engine_model::{
    DirectoryId, Offset, ProducerEpoch, ProducerId, Sequence, ShardId, Timestamp, TopicId,
    TopicPartition,
};
use engine_rt::MailReceiver;
use engine_rt::sim::{LocalMain, SimNode, Simulation};
use engine_rt::sync::Notify;
use engine_shard::{Mesh, MeshOptions, MeshSeed};
use replication_metadata::{
    CreatePartitions, CreateTopics, CreatedTopic, MetadataImage, NewPartitions, NewTopic,
    ProducerIdBlock, TopicSelector,
};
use replication_runtime::{
    Acks, AppendAnswer, ControllerDriver, ControllerError, ControllerParts, ControllerRequest,
    ControllerResponse, CreateTopicsAnswer, DeleteTopicsAnswer, ReplicaError, ReplicaManager,
    ReplicaParts, ShardAnswer, ShardLink, ShardRequest, ShardUnreachable, controller_shard,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

pub const LIMIT: Duration = Duration::from_mins(10);
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What shards of the rig ask each other.
pub enum Question {
    Shard(ShardRequest),
    Controller(ControllerRequest),
    Append(TopicPartition, Bytes, Option<Acks>),
    DeleteRecords(TopicPartition, Offset),
    Stop,
}

pub enum Answer {
    Shard(ShardAnswer),
    Controller(Box<ControllerResponse>),
    Append(Result<AppendAnswer, ReplicaError>),
    DeleteRecords(Result<Offset, ReplicaError>),
    Stopping,
}

struct Boot {
    seed: StoreSeed,
    directory: DirectoryId,
    was_clean: bool,
}

/// What the script works with.
pub struct Node {
    pub shards: usize,
    pub driver: Rc<ControllerDriver>,
    pub mesh: Mesh<Question, Answer>,
    /// Of every shard. They may be looked at from here; their futures belong to their shards.
    pub managers: Managers,
}

pub type Managers = Rc<RefCell<BTreeMap<ShardId, Rc<ReplicaManager>>>>;

/// How a run of a node ended: what its script returned, or why it never ran.
pub type Ended<T> = Rc<RefCell<Option<Result<T, ControllerError>>>>;

pub fn options(shards: usize) -> StorageOptions {
    StorageOptions {
        shards,
        lane_bytes: 8 << 20,
        lane_bytes_at_start: 1 << 20,
        disk_reserve_bytes: 0,
        ..StorageOptions::default()
    }
}

pub fn config(assignments: &[&str]) -> Arc<BrokerConfig> {
    let mut sources = Sources::new();
    for text in assignments {
        sources.assignment(text).unwrap();
    }
    Arc::new(BrokerConfig::new(sources.resolve()).unwrap())
}

/// Starts a node; its script runs once it is up, and then it stops cleanly.
pub fn start<T: 'static, F: Future<Output = T> + 'static>(
    sim: &mut Simulation,
    node: SimNode,
    shards: usize,
    config: &Arc<BrokerConfig>,
    script: impl FnOnce(Rc<Node>) -> F + 'static,
) -> Ended<T> {
    sim.set_shards(node, shards);
    let system = sim.system(node);
    let ended: Ended<T> = Rc::default();
    let managers: Managers = Rc::default();
    let seeds = engine_shard::mesh::build(&system, MeshOptions::default());
    let mut boots = Vec::new();
    let mut receivers = Vec::new();
    let mut done_senders = Vec::new();
    let mut done_receivers = Vec::new();
    for shard in 1..u16::try_from(shards).unwrap() {
        let (sender, receiver) = system.mailbox::<Boot>(ShardId(0), ShardId(shard), 1);
        boots.push(sender);
        receivers.push(Some(receiver));
        let (sender, receiver) = system.mailbox::<()>(ShardId(shard), ShardId(0), 1);
        done_senders.push(Some(sender));
        done_receivers.push(receiver);
    }
    receivers.insert(0, None);
    done_senders.insert(0, None);
    let mut script = Some(script);
    let mut mains: Vec<LocalMain> = Vec::new();
    let parts = receivers
        .into_iter()
        .zip(done_senders)
        .zip(seeds)
        .enumerate();
    let mut opening = Some((boots, done_receivers));
    for (index, ((receiver, done), seed)) in parts {
        let shard = ShardId(u16::try_from(index).unwrap());
        let opening = if index == 0 { opening.take() } else { None };
        let is_controller = shard == controller_shard(shards);
        let script = if is_controller { script.take() } else { None };
        let (ended, managers, config) = (ended.clone(), managers.clone(), config.clone());
        mains.push(Box::new(move || {
            Box::pin(async move {
                let (boot, opened) = boot(receiver, opening, shards).await;
                let fenced = managers.clone();
                let running = Shard {
                    id: shard,
                    shards,
                    config,
                    managers,
                    seed,
                };
                running.run(boot, script, ended).await;
                match (done, opened) {
                    (Some(done), _) => done.send(()).await.unwrap(),
                    (None, Some((directory, mut receivers))) => {
                        for receiver in &mut receivers {
                            receiver.recv().await.unwrap();
                        }
                        // A fenced directory cannot be closed cleanly.
                        let closed = directory.close_clean().await;
                        let managers = fenced.borrow();
                        let mut stores = managers.values().map(|manager| manager.store());
                        let is_fenced = stores.any(|store| store.fenced().is_some());
                        assert!(closed.is_ok() || is_fenced, "{closed:?}");
                    }
                    (None, None) => panic!("shard 0 opens the directory"),
                }
            })
        }));
    }
    sim.start_local(node, &system, mains);
    ended
}

type Opening = (Vec<engine_rt::MailSender<Boot>>, Vec<MailReceiver<()>>);

async fn boot(
    receiver: Option<MailReceiver<Boot>>,
    opening: Option<Opening>,
    shards: usize,
) -> (Boot, Option<(Directory, Vec<MailReceiver<()>>)>) {
    if let Some(mut receiver) = receiver {
        return (receiver.recv().await.unwrap(), None);
    }
    let (senders, done) = opening.unwrap();
    let opened = engine_log::open(Path::new("/data"), &options(shards))
        .await
        .unwrap();
    let (directory, was_clean) = (opened.directory_id, opened.was_clean);
    let mut boots = opened.seeds.into_iter().map(|seed| Boot {
        seed,
        directory,
        was_clean,
    });
    let first = boots.next().unwrap();
    for (sender, boot) in senders.iter().zip(boots) {
        assert!(sender.send(boot).await.is_ok());
    }
    (first, Some((opened.directory, done)))
}

struct Shard {
    id: ShardId,
    shards: usize,
    config: Arc<BrokerConfig>,
    managers: Managers,
    seed: MeshSeed<Question, Answer>,
}

impl Shard {
    async fn run<T: 'static, F: Future<Output = T> + 'static>(
        self,
        boot: Boot,
        script: Option<impl FnOnce(Rc<Node>) -> F + 'static>,
        ended: Ended<T>,
    ) {
        let Self {
            id: shard,
            shards,
            config,
            managers,
            seed,
        } = self;
        let store = Store::start(boot.seed).await.unwrap();
        let parts = ReplicaParts {
            shard,
            shards,
            config: config.clone(),
        };
        let manager = ReplicaManager::new(store.clone(), parts);
        managers.borrow_mut().insert(shard, manager.clone());
        let driver: Rc<RefCell<Option<Rc<ControllerDriver>>>> = Rc::default();
        let stop = Rc::new(Notify::new());
        let mesh = {
            let (manager, driver, stop) = (manager.clone(), driver.clone(), stop.clone());
            seed.start(move |_, question| {
                answer(manager.clone(), driver.clone(), stop.clone(), question)
            })
        };
        if let Some(script) = script {
            let link: ShardLink = {
                let mesh = mesh.clone();
                Rc::new(move |to, request| {
                    let mesh = mesh.clone();
                    Box::pin(async move {
                        match mesh.call(to, Question::Shard(request)).await {
                            Ok(Answer::Shard(answer)) => Ok(answer),
                            _ => Err(ShardUnreachable { shard: to }),
                        }
                    })
                })
            };
            let parts = ControllerParts {
                shards,
                config,
                directory: boot.directory,
                was_clean: boot.was_clean,
                endpoints: Vec::new(),
                link,
            };
            let result = match ControllerDriver::start(&store, parts).await {
                Err(error) => Err(error),
                Ok(started) => {
                    *driver.borrow_mut() = Some(started.clone());
                    let node = Node {
                        shards,
                        driver: started.clone(),
                        mesh: mesh.clone(),
                        managers: managers.clone(),
                    };
                    let result = script(Rc::new(node)).await;
                    started.stop().await;
                    Ok(result)
                }
            };
            driver.borrow_mut().take();
            *ended.borrow_mut() = Some(result);
            for other in (0..u16::try_from(shards).unwrap()).map(ShardId) {
                assert!(mesh.call(other, Question::Stop).await.is_ok());
            }
        }
        stop.notified().await;
        mesh.stop().await;
        manager.stop();
        // A fenced store has nothing to say that would count.
        if store.fenced().is_none() {
            store.stop().await.unwrap();
        } else {
            store.stop_fenced().await;
        }
    }
}

async fn answer(
    manager: Rc<ReplicaManager>,
    driver: Rc<RefCell<Option<Rc<ControllerDriver>>>>,
    stop: Rc<Notify>,
    question: Question,
) -> Answer {
    match question {
        Question::Shard(request) => Answer::Shard(manager.handle(request).await),
        Question::Controller(request) => {
            let driver = driver.borrow().clone().unwrap();
            Answer::Controller(Box::new(driver.handle(request).await))
        }
        Question::Append(partition, records, acks) => {
            Answer::Append(manager.append(partition, records, acks, TIMEOUT).await)
        }
        Question::DeleteRecords(partition, below) => {
            Answer::DeleteRecords(manager.delete_records(partition, below).await)
        }
        Question::Stop => {
            stop.notify_one();
            Answer::Stopping
        }
    }
}

/// Runs a node to its end and returns what its script did.
pub fn run<T: 'static, F: Future<Output = T> + 'static>(
    sim: &mut Simulation,
    node: SimNode,
    shards: usize,
    script: impl FnOnce(Rc<Node>) -> F + 'static,
) -> Result<T, ControllerError> {
    run_with(sim, node, shards, &config(&[]), script)
}

pub fn run_with<T: 'static, F: Future<Output = T> + 'static>(
    sim: &mut Simulation,
    node: SimNode,
    shards: usize,
    config: &Arc<BrokerConfig>,
    script: impl FnOnce(Rc<Node>) -> F + 'static,
) -> Result<T, ControllerError> {
    let ended = start(sim, node, shards, config, script);
    let until = sim.now().saturating_add(LIMIT);
    while sim.is_running(node) && sim.now() < until {
        assert_eq!(
            sim.run_for(Duration::from_millis(10)),
            None,
            "no crash is planned"
        );
    }
    assert!(!sim.is_running(node), "the node hangs");
    let result = ended.borrow_mut().take();
    result.expect("the script ended")
}

impl Node {
    pub fn image(&self) -> Arc<MetadataImage> {
        let managers = self.managers.borrow();
        let images: Vec<_> = managers.values().map(|manager| manager.image()).collect();
        for image in &images {
            assert_eq!(image, &images[0], "every shard has the same image");
        }
        images[0].clone()
    }

    pub fn manager(&self, partition: TopicPartition) -> Rc<ReplicaManager> {
        let managers = self.managers.borrow();
        let owner = managers.values().next().unwrap().owner(partition);
        managers[&owner].clone()
    }

    /// The partitions whose logs are in the stores, that of the metadata aside.
    pub fn logs(&self) -> Vec<TopicPartition> {
        let managers = self.managers.borrow();
        let logs = managers.values().flat_map(|manager| manager.store().logs());
        let mut partitions: Vec<_> = logs
            .map(|log| log.partition())
            .filter(|partition| *partition != TopicPartition::CLUSTER_METADATA)
            .collect();
        partitions.sort_unstable();
        partitions
    }

    /// The partitions that metadata names.
    pub fn named_partitions(&self) -> Vec<TopicPartition> {
        let image = self.image();
        let mut partitions: Vec<_> = image
            .topics()
            .flat_map(|topic| {
                let topic_id = topic.id;
                topic
                    .numbered_partitions()
                    .map(move |(partition, _)| TopicPartition {
                        topic_id,
                        partition,
                    })
            })
            .collect();
        partitions.sort_unstable();
        partitions
    }

    pub async fn ask(&self, request: ControllerRequest) -> ControllerResponse {
        let question = Question::Controller(request);
        match self
            .mesh
            .call(controller_shard(self.shards), question)
            .await
        {
            Ok(Answer::Controller(response)) => *response,
            _ => panic!("the controller answers"),
        }
    }

    pub async fn create(
        &self,
        topics: Vec<NewTopic>,
    ) -> Result<CreateTopicsAnswer, ControllerError> {
        let request = CreateTopics {
            topics,
            validate_only: false,
        };
        match self.ask(ControllerRequest::CreateTopics(request)).await {
            ControllerResponse::CreateTopics(answer) => answer,
            _ => panic!("an answer of another name"),
        }
    }

    /// Creates one topic, which must work.
    pub async fn create_one(&self, name: &str, partitions: i32) -> CreatedTopic {
        self.create(vec![topic(name, partitions)])
            .await
            .unwrap()
            .remove(0)
            .1
            .unwrap()
    }

    pub async fn delete(&self, names: &[&str]) -> Result<DeleteTopicsAnswer, ControllerError> {
        let names = names
            .iter()
            .map(|name| TopicSelector::Name((*name).to_owned()))
            .collect();
        match self.ask(ControllerRequest::DeleteTopics(names)).await {
            ControllerResponse::DeleteTopics(answer) => answer,
            _ => panic!("an answer of another name"),
        }
    }

    /// Gives a topic so many partitions, which must work.
    pub async fn grow(&self, name: &str, partitions: usize) {
        let request = CreatePartitions {
            topics: vec![NewPartitions {
                name: name.to_owned(),
                count: i32::try_from(partitions).unwrap(),
                assignments: None,
            }],
            validate_only: false,
        };
        match self.ask(ControllerRequest::CreatePartitions(request)).await {
            ControllerResponse::CreatePartitions(answer) => {
                answer.unwrap().remove(0).1.unwrap();
            }
            _ => panic!("an answer of another name"),
        }
    }

    pub async fn producer_ids(&self) -> Result<ProducerIdBlock, ControllerError> {
        match self.ask(ControllerRequest::AllocateProducerIds).await {
            ControllerResponse::AllocateProducerIds(answer) => answer,
            _ => panic!("an answer of another name"),
        }
    }

    pub async fn append(
        &self,
        partition: TopicPartition,
        records: Bytes,
        acks: Option<Acks>,
    ) -> Result<AppendAnswer, ReplicaError> {
        let owner = self.manager(partition).owner(partition);
        match self
            .mesh
            .call(owner, Question::Append(partition, records, acks))
            .await
        {
            Ok(Answer::Append(answer)) => answer,
            _ => panic!("the shard answers"),
        }
    }

    pub async fn delete_records(
        &self,
        partition: TopicPartition,
        below: i64,
    ) -> Result<Offset, ReplicaError> {
        let owner = self.manager(partition).owner(partition);
        let question = Question::DeleteRecords(partition, Offset::new(below));
        match self.mesh.call(owner, question).await {
            Ok(Answer::DeleteRecords(answer)) => answer,
            _ => panic!("the shard answers"),
        }
    }
}

/// A topic with a random id; call it inside of a task.
pub fn topic(name: &str, partitions: i32) -> NewTopic {
    NewTopic {
        partition_count: partitions,
        ..NewTopic::with_defaults(TopicId::from_random_bytes(engine_rt::random_bytes()), name)
    }
}

/// A batch of records with these values.
pub fn batch(values: &[&str]) -> Bytes {
    build(BatchOptions::default(), values)
}

/// The same from an idempotent producer of epoch 0.
pub fn idempotent_batch(producer_id: i64, sequence: i32, values: &[&str]) -> Bytes {
    let options = BatchOptions {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch::ZERO,
        base_sequence: Sequence::new(sequence),
        ..BatchOptions::default()
    };
    build(options, values)
}

fn build(options: BatchOptions, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for value in values {
        let record = RecordData {
            timestamp: Timestamp(1_000),
            key: Some(b"k"),
            value: Some(value.as_bytes()),
            ..RecordData::default()
        };
        assert!(builder.append(&record).unwrap());
    }
    builder.build().unwrap()
}
