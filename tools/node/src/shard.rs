//! What each shard of a node is, from its store to its listeners, and how it comes up and goes.
//!
//! `lead` is the main of shard 0, `follow` that of every other; both work with a `Running`. `heal`
//! is what shard 0 does while the node serves: it lifts fences.

mod follow;
mod heal;
mod lead;

pub(crate) use follow::follow;
pub(crate) use lead::lead;

use core::cell::RefCell;
use core::net::SocketAddr;
use engine_config::BrokerConfig;
use engine_log::{FenceCause, StableEnds, Store, StoreSeed};
use engine_model::{DirectoryId, ShardId};
use engine_rt::{ListenOptions, Listener};
use engine_shard::{MemoryPool, Mesh, MeshSeed};
use net_broker::{Advertised, Answer, Broker, BrokerParts, Question, RequestBudget};
use net_transport::{Connections, Door, TransportOptions};
use replication_runtime::{ControllerDriver, ControllerParts, ReplicaManager, ReplicaParts};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::error::NodeError;

/// What a shard is made of, before it runs.
pub(crate) struct ShardParts {
    pub(crate) shard: ShardId,
    pub(crate) shards: usize,
    pub(crate) mesh: MeshSeed<Question, Answer>,
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) transport: TransportOptions,
    pub(crate) memory: MemoryPool,
    pub(crate) door: Door,
}

/// A shard that runs; its store is open but while a fence is being lifted.
pub(crate) struct Running {
    shard: ShardId,
    shards: usize,
    config: Arc<BrokerConfig>,
    store: RefCell<Option<Store>>,
    replicas: Rc<ReplicaManager>,
    broker: Rc<Broker>,
    mesh: Mesh<Question, Answer>,
    connections: Connections<Broker, RequestBudget>,
}

impl Running {
    /// Opens the store and joins the mesh.
    pub(crate) async fn start(parts: ShardParts, seed: StoreSeed) -> Result<Self, NodeError> {
        let ShardParts {
            shard,
            shards,
            mesh,
            config,
            transport,
            memory,
            door,
        } = parts;
        let memory = memory.budget();
        let store = Store::start(seed).await.map_err(NodeError::Storage)?;
        let replicas = ReplicaManager::new(
            store.clone(),
            ReplicaParts {
                shard,
                shards,
                config: config.clone(),
            },
        );
        let broker = Broker::new(BrokerParts {
            config: config.clone(),
            shards,
            shard,
            replicas: replicas.clone(),
            memory: memory.clone(),
        });
        // Weak: the broker holds the mesh.
        let answering = Rc::downgrade(&broker);
        let mesh = mesh.start(move |from, question| answer(answering.clone(), from, question));
        broker.set_mesh(mesh.clone());
        let connections =
            Connections::new(broker.clone(), RequestBudget::new(memory), door, transport);
        Ok(Self {
            shard,
            shards,
            config,
            store: RefCell::new(Some(store)),
            replicas,
            broker,
            mesh,
            connections,
        })
    }

    /// Loads the controller, which publishes the metadata to every shard. For the shard that the
    /// controller lives on, once every shard is up.
    pub(crate) async fn lead_cluster(
        &self,
        directory: DirectoryId,
        was_clean: bool,
    ) -> Result<(), NodeError> {
        let parts = ControllerParts {
            shards: self.shards,
            config: self.config.clone(),
            directory,
            was_clean,
            endpoints: self.config.advertised_listeners.clone(),
            link: self.broker.shard_link(),
        };
        let store = self.replicas.store();
        let controller = ControllerDriver::start(&store, parts)
            .await
            .map_err(|error| NodeError::Metadata {
                reason: error.to_string(),
            })?;
        self.broker.set_controller(controller);
        Ok(())
    }

    /// Accepts connections at all addresses, which stand in the order of the settings' listeners.
    pub(crate) fn listen(&self, addresses: &[SocketAddr]) -> Result<(), NodeError> {
        let mut advertised = Advertised::default();
        for (address, listener) in addresses.iter().zip(&self.config.listeners) {
            let told = self
                .config
                .advertised_listeners
                .iter()
                .find(|told| told.listener == listener.listener);
            if let Some(told) = told {
                advertised.insert(address.port(), &told.host, told.port);
            }
        }
        self.broker.set_advertised(advertised);
        let options = ListenOptions {
            reuse_port: self.shards > 1,
            ..ListenOptions::default()
        };
        let mut listeners = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listener =
                Listener::bind(*address, options).map_err(|error| NodeError::Listen {
                    address: *address,
                    error,
                })?;
            listeners.push(listener);
        }
        for listener in listeners {
            let connections = self.connections.clone();
            // Ends with `Connections::stop`.
            engine_rt::spawn(async move { connections.accept(&listener).await }).detach();
        }
        let connections = self.connections.clone();
        engine_rt::spawn(async move { connections.sweep().await }).detach();
        Ok(())
    }

    /// Waits until the data directory takes no changes. For a shard with a store.
    pub(crate) async fn until_fenced(&self) -> FenceCause {
        self.replicas.store().until_fenced().await
    }

    /// Stops the controller, if it lives here; then nobody asks for changes of metadata.
    pub(crate) async fn recall(&self) {
        if let Some(controller) = self.broker.take_controller() {
            controller.stop().await;
        }
    }

    /// Stops a store that takes nothing any more and says what it had acknowledged. Everything
    /// that waits for it is answered; connections stay.
    pub(crate) async fn suspend(&self) -> StableEnds {
        self.replicas.suspend();
        let store = self.store.take();
        match store {
            Some(store) => store.stop_fenced().await,
            // The last attempt did not come so far.
            None => StableEnds::default(),
        }
    }

    /// Goes on with the store of a recovered directory. The controller's image opens the replicas.
    pub(crate) async fn resume(&self, seed: StoreSeed) -> Result<(), NodeError> {
        let store = Store::start(seed).await.map_err(NodeError::Storage)?;
        self.replicas.resume(store.clone());
        *self.store.borrow_mut() = Some(store);
        Ok(())
    }

    /// Accepts no more, answers what is under way, closes every connection.
    pub(crate) async fn quiet(&self) {
        self.connections.stop().await;
    }

    /// Leaves the mesh and stops the store; true if everything is in a checkpoint. To be called
    /// once every shard is quiet.
    pub(crate) async fn store_away(self) -> bool {
        self.recall().await;
        self.broker.stop();
        // Returns when no shard calls any more.
        self.mesh.stop().await;
        self.replicas.stop();
        let Some(store) = self.store.take() else {
            return false;
        };
        match store.stop().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(shard = self.shard.0, %error, "the store did not stop clean");
                false
            }
        }
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }
}

async fn answer(broker: Weak<Broker>, from: ShardId, question: Question) -> Answer {
    match broker.upgrade() {
        Some(broker) => broker.answer(from, question).await,
        None => Answer::Gone,
    }
}
