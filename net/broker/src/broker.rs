//! The broker of one shard: what its handlers and its owner side work with.

use core::cell::{OnceCell, RefCell};
use core::fmt;
use core::future::Future;
use engine_config::BrokerConfig;
use engine_model::{ErrorCode, ProducerId, ShardId, TopicName, TopicPartition};
use engine_shard::{MemoryBudget, Mesh, MeshError};
use net_protocol::Text;
use replication_metadata::{
    AlterConfigs, CreatePartitions, CreateTopics, MetadataImage, NewTopic, TopicSelector,
};
use replication_runtime::{
    AlterConfigsAnswer, ControllerDriver, ControllerRequest, ControllerResponse,
    CreatePartitionsAnswer, CreateTopicsAnswer, DeleteTopicsAnswer, ReplicaManager, ShardLink,
    ShardUnreachable, controller_shard,
};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::advertised::Advertised;
use crate::error::Fault;
use crate::handlers::create_topics::random_topic_id;
use crate::producer_ids::ProducerIds;
use crate::question::{Answer, Question};
use crate::sessions::Sessions;
use crate::watchers::Watchers;

/// What a broker is made of.
pub struct BrokerParts {
    /// The settings of the node.
    pub config: Arc<BrokerConfig>,
    /// How many shards the node has.
    pub shards: usize,
    /// The shard.
    pub shard: ShardId,
    /// The replicas of this shard.
    pub replicas: Rc<ReplicaManager>,
    /// The shard's part of what the process may hold for its clients.
    pub memory: MemoryBudget,
}

/// The broker of one shard.
pub struct Broker {
    shards: usize,
    shard: ShardId,
    replicas: Rc<ReplicaManager>,
    advertised: RefCell<Rc<Advertised>>,
    /// On the controller's shard, once it leads.
    controller: RefCell<Option<Rc<ControllerDriver>>>,
    mesh: OnceCell<Mesh<Question, Answer>>,
    watchers: Rc<Watchers>,
    sessions: Sessions,
    producer_ids: ProducerIds,
    memory: MemoryBudget,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("shard", &self.shard)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker that reaches nobody yet: give it its mesh next.
    pub fn new(parts: BrokerParts) -> Rc<Self> {
        let watchers = Watchers::new(parts.shard, parts.shards);
        let told = Rc::clone(&watchers);
        parts
            .replicas
            .set_on_change(Rc::new(move |partition| told.changed(partition)));
        let slots = parts.config.fetch_session_slots;
        let sessions = Sessions::new(parts.shard, parts.shards, slots);
        Rc::new(Self {
            shards: parts.shards,
            shard: parts.shard,
            replicas: parts.replicas,
            advertised: RefCell::default(),
            controller: RefCell::default(),
            mesh: OnceCell::new(),
            watchers,
            sessions,
            producer_ids: ProducerIds::new(),
            memory: parts.memory,
        })
    }

    /// Gives the broker its side of the mesh, and begins to signal other shards.
    pub fn set_mesh(self: &Rc<Self>, mesh: Mesh<Question, Answer>) {
        if self.mesh.set(mesh).is_err() {
            return;
        }
        for index in 0..self.shards {
            let shard = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
            if shard != self.shard {
                let broker = Rc::clone(self);
                // Ends with `stop`.
                engine_rt::spawn(async move { broker.signal(shard).await }).detach();
            }
        }
    }

    /// Tells a shard of changes it waits for, as long as this broker runs.
    async fn signal(&self, shard: ShardId) {
        while let Some(partitions) = self.watchers.next_signals(shard).await {
            if self
                .ask(shard, Question::Signals(partitions))
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Gives the broker of the controller's shard its controller.
    pub fn set_controller(&self, controller: Rc<ControllerDriver>) {
        *self.controller.borrow_mut() = Some(controller);
    }

    /// Takes the controller away again, to be stopped.
    pub fn take_controller(&self) -> Option<Rc<ControllerDriver>> {
        self.controller.borrow_mut().take()
    }

    /// Says what clients are told this node's address is.
    pub fn set_advertised(&self, advertised: Advertised) {
        *self.advertised.borrow_mut() = Rc::new(advertised);
    }

    /// Ends every wait and all signalling. The mesh is the caller's to stop.
    pub fn stop(&self) {
        self.watchers.stop();
    }

    /// How the controller reaches every shard.
    pub fn shard_link(self: &Rc<Self>) -> ShardLink {
        let broker = Rc::downgrade(self);
        Rc::new(move |shard, request| {
            let broker = broker.clone();
            Box::pin(async move {
                let broker = broker.upgrade().ok_or(ShardUnreachable { shard })?;
                match broker.ask(shard, Question::Shard(request)).await {
                    Ok(Answer::Shard(answer)) => Ok(answer),
                    _ => Err(ShardUnreachable { shard }),
                }
            })
        })
    }

    /// The settings in force.
    pub(crate) fn config(&self) -> Rc<BrokerConfig> {
        self.replicas.config()
    }

    /// What handlers charge before they take memory beyond their request: records read for an
    /// answer, long lists.
    pub(crate) fn memory(&self) -> &MemoryBudget {
        &self.memory
    }

    pub(crate) fn advertised(&self) -> Rc<Advertised> {
        Rc::clone(&self.advertised.borrow())
    }

    pub(crate) fn replicas(&self) -> &ReplicaManager {
        &self.replicas
    }

    pub(crate) fn shared_replicas(&self) -> Rc<ReplicaManager> {
        Rc::clone(&self.replicas)
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// How many fetch sessions this shard keeps, and how many partitions are in them.
    pub fn fetch_sessions(&self) -> (usize, usize) {
        (self.sessions.len(), self.sessions.partitions())
    }

    pub(crate) fn controller(&self) -> Option<Rc<ControllerDriver>> {
        self.controller.borrow().clone()
    }

    /// The metadata this shard follows.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.replicas.image()
    }

    /// The shard a partition lives on.
    pub(crate) fn owner(&self, partition: TopicPartition) -> ShardId {
        self.replicas.owner(partition)
    }

    /// Asks a shard, this one or another. Questions to one shard begin there in the order in which
    /// the futures of this are first polled here.
    pub(crate) fn ask(
        &self,
        shard: ShardId,
        question: Question,
    ) -> impl Future<Output = Result<Answer, MeshError>> + 'static {
        let mesh = self.mesh.get().cloned();
        async move {
            match mesh {
                Some(mesh) => mesh.call(shard, question).await,
                None => Err(MeshError::Closed { to: shard }),
            }
        }
    }

    async fn ask_controller(
        &self,
        request: ControllerRequest,
    ) -> Result<ControllerResponse, Fault> {
        let shard = controller_shard(self.shards);
        match self
            .ask(shard, Question::Controller(Box::new(request)))
            .await
        {
            Ok(Answer::Controller(response)) => Ok(*response),
            Ok(Answer::Gone) => Err(Fault::code(ErrorCode::NOT_CONTROLLER)),
            Ok(_) => Err(Fault::unknown()),
            Err(error) => Err(Fault::from(&error)),
        }
    }

    pub(crate) async fn create_topics(
        &self,
        request: CreateTopics,
    ) -> Result<CreateTopicsAnswer, Fault> {
        match self
            .ask_controller(ControllerRequest::CreateTopics(request))
            .await?
        {
            ControllerResponse::CreateTopics(answer) => answer.map_err(|e| Fault::from(&e)),
            _ => Err(Fault::unknown()),
        }
    }

    pub(crate) async fn create_partitions(
        &self,
        request: CreatePartitions,
    ) -> Result<CreatePartitionsAnswer, Fault> {
        match self
            .ask_controller(ControllerRequest::CreatePartitions(request))
            .await?
        {
            ControllerResponse::CreatePartitions(answer) => answer.map_err(|e| Fault::from(&e)),
            _ => Err(Fault::unknown()),
        }
    }

    pub(crate) async fn delete_topics(
        &self,
        selectors: Vec<TopicSelector>,
    ) -> Result<DeleteTopicsAnswer, Fault> {
        if selectors.is_empty() {
            return Ok(Vec::new());
        }
        match self
            .ask_controller(ControllerRequest::DeleteTopics(selectors))
            .await?
        {
            ControllerResponse::DeleteTopics(answer) => answer.map_err(|e| Fault::from(&e)),
            _ => Err(Fault::unknown()),
        }
    }

    pub(crate) async fn alter_configs(
        &self,
        request: AlterConfigs,
    ) -> Result<AlterConfigsAnswer, Fault> {
        if request.resources.is_empty() {
            return Ok(Vec::new());
        }
        match self
            .ask_controller(ControllerRequest::AlterConfigs(request))
            .await?
        {
            ControllerResponse::AlterConfigs(answer) => answer.map_err(|e| Fault::from(&e)),
            _ => Err(Fault::unknown()),
        }
    }

    /// Creates topics that a client named and that are not there, with the defaults for
    /// everything; returns why some were not.
    pub(crate) async fn create_automatically(
        &self,
        names: Vec<TopicName>,
    ) -> BTreeMap<Text, ErrorCode> {
        let topics = names
            .iter()
            .map(|name| NewTopic::with_defaults(random_topic_id(), name.as_str()))
            .collect();
        let request = CreateTopics {
            topics,
            validate_only: false,
        };
        match self.create_topics(request).await {
            Ok(answers) => answers
                .into_iter()
                .filter_map(|(name, answer)| match answer.err()?.error_code() {
                    // Somebody else was quicker: it is there.
                    ErrorCode::TOPIC_ALREADY_EXISTS => None,
                    code => Some((Text::from(name), code)),
                })
                .collect(),
            // As in Kafka: the topic is not known yet, ask again.
            Err(_) => BTreeMap::new(),
        }
    }

    pub(crate) async fn next_producer_id(&self) -> Result<ProducerId, Fault> {
        self.producer_ids
            .next(async || {
                match self
                    .ask_controller(ControllerRequest::AllocateProducerIds)
                    .await?
                {
                    ControllerResponse::AllocateProducerIds(Ok(block)) => {
                        Ok((block.first, block.count))
                    }
                    ControllerResponse::AllocateProducerIds(Err(error)) => Err(Fault::from(&error)),
                    _ => Err(Fault::unknown()),
                }
            })
            .await
    }
}
