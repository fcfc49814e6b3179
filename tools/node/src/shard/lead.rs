//! The main of shard 0: brings the node up, has it heal until the request to stop, takes it down.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use engine_config::Endpoint;
use engine_log::{Directory, Opened, StorageOptions};
use engine_model::ShardId;
use replication_runtime::controller_shard;

use crate::error::{EADDRINUSE, NodeError};
use crate::options::{NodeOptions, Ready, share_out};
use crate::orders::{Follower, Order, Report};

use super::{Running, ShardParts, heal};

/// How long a port may still be held by a broker that was killed: the kernel takes its ring, and
/// with it the accepts under way, apart after the process is gone.
const PORT_WAIT_MAX: Duration = Duration::from_secs(2);
const PORT_WAIT_STEP: Duration = Duration::from_millis(10);

pub(crate) async fn lead(parts: ShardParts, options: NodeOptions, mut followers: Vec<Follower>) {
    let NodeOptions {
        config,
        data_dir,
        mut storage,
        on_ready,
        on_error,
        ..
    } = options;
    share_out(&mut storage, parts.shards);
    let opened = match open(&config.listeners, &data_dir, &storage).await {
        Ok(opened) => opened,
        Err(error) => {
            on_error(error);
            engine_rt::request_stop();
            return;
        }
    };
    let Opened {
        mut directory,
        mut seeds,
        report,
        directory_id,
        was_clean,
        ..
    } = opened;
    let shards = parts.shards;
    let mut result = Ok(());
    let own_seed = if seeds.is_empty() {
        None
    } else {
        Some(seeds.remove(0))
    };
    for (follower, seed) in followers.iter().zip(seeds) {
        let seed = Box::new(seed);
        send(follower, Order::Start { seed }).await;
    }
    // Every follower starts, whatever became of this one: they leave the mesh together.
    let running = match own_seed {
        Some(seed) => Running::start(parts, seed).await,
        None => Err(NodeError::ShardEnded { shard: 0 }),
    };
    for follower in &mut followers {
        result = result.and(heard(follower).await);
    }
    let running = match running {
        Ok(running) => running,
        Err(error) => {
            on_error(error);
            engine_rt::request_stop();
            return;
        }
    };
    if result.is_ok() {
        result = lead_cluster(&running, &mut followers, shards, directory_id, was_clean).await;
    }
    let mut addresses = Vec::new();
    if result.is_ok() {
        match probe(&config.listeners).await {
            Ok(found) => {
                addresses = found;
                result = listen(&running, &mut followers, &addresses).await;
            }
            Err(error) => result = Err(error),
        }
    }
    match result {
        Ok(()) => {
            let image = running.broker().image();
            on_ready(Ready {
                addresses,
                cluster_id: image
                    .cluster_id()
                    .map_or_else(String::new, |id| id.to_string()),
                directory_id,
                shards,
                recovery: report,
                was_clean,
                topics: image.topic_count(),
                partitions: image.partition_count(),
            });
            heal::serve(&running, &mut followers, &mut directory).await;
        }
        Err(error) => {
            on_error(error);
            engine_rt::request_stop();
        }
    }
    take_down(running, followers, directory).await;
}

async fn open(
    listeners: &[Endpoint],
    data_dir: &std::path::Path,
    storage: &StorageOptions,
) -> Result<Opened, NodeError> {
    // Before recovery: who mistook the port shall not wait for it, nor have the directory touched.
    probe(listeners).await?;
    engine_log::open(data_dir, storage)
        .await
        .map_err(NodeError::Open)
}

/// The addresses to listen on, ports of 0 replaced by free ones. Nobody else listens there.
async fn probe(listeners: &[Endpoint]) -> Result<Vec<SocketAddr>, NodeError> {
    let mut addresses = Vec::new();
    for listener in listeners {
        let address = SocketAddr::new(ip(&listener.host)?, listener.port);
        let deadline = engine_rt::now().saturating_add(PORT_WAIT_MAX);
        let probed = loop {
            match engine_rt::probe_port(address) {
                Err(error) if error.errno == EADDRINUSE && engine_rt::now() < deadline => {
                    engine_rt::sleep(PORT_WAIT_STEP).await;
                }
                probed => break probed,
            }
        };
        addresses.push(probed.map_err(|error| NodeError::Listen { address, error })?);
    }
    Ok(addresses)
}

fn ip(host: &str) -> Result<IpAddr, NodeError> {
    match host {
        "" => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host => host.parse().map_err(|_| NodeError::Host {
            host: host.to_owned(),
        }),
    }
}

pub(super) async fn lead_cluster(
    running: &Running,
    followers: &mut [Follower],
    shards: usize,
    directory: engine_model::DirectoryId,
    was_clean: bool,
) -> Result<(), NodeError> {
    let shard = controller_shard(shards);
    if shard == ShardId(0) {
        return running.lead_cluster(directory, was_clean).await;
    }
    let follower = followers
        .iter_mut()
        .find(|follower| follower.shard == shard)
        .ok_or(NodeError::ShardEnded { shard: shard.0 })?;
    let order = Order::Lead {
        directory,
        was_clean,
    };
    send(follower, order).await;
    heard(follower).await
}

async fn listen(
    running: &Running,
    followers: &mut [Follower],
    addresses: &[SocketAddr],
) -> Result<(), NodeError> {
    running.listen(addresses)?;
    for follower in &*followers {
        let addresses = addresses.to_vec();
        send(follower, Order::Listen { addresses }).await;
    }
    let mut result = Ok(());
    for follower in followers {
        result = result.and(heard(follower).await);
    }
    result
}

/// Every shard quiet, then every store away, then the mark of a clean stop.
async fn take_down(running: Running, mut followers: Vec<Follower>, directory: Directory) {
    for follower in &followers {
        send(follower, Order::Quiet).await;
    }
    running.quiet().await;
    for follower in &mut followers {
        // A shard that failed is as quiet as it will get.
        let _ = heard(follower).await;
    }
    for follower in &followers {
        send(follower, Order::Store).await;
    }
    let mut clean = running.store_away().await;
    for follower in &mut followers {
        clean &= stored(follower).await;
    }
    if clean && let Err(error) = directory.close_clean().await {
        tracing::warn!(%error, "the stop could not be marked as clean");
    }
}

pub(super) async fn send(follower: &Follower, order: Order) {
    // A shard that is gone shows when its report is awaited.
    let _ = follower.orders.send(order).await;
}

pub(super) async fn heard(follower: &mut Follower) -> Result<(), NodeError> {
    match follower.reports.recv().await {
        Some(Report::Done) => Ok(()),
        Some(Report::Failed(error)) => Err(error),
        Some(Report::Suspended(_) | Report::Stored { .. }) | None => Err(NodeError::ShardEnded {
            shard: follower.shard.0,
        }),
    }
}

async fn stored(follower: &mut Follower) -> bool {
    while let Some(report) = follower.reports.recv().await {
        if let Report::Stored { clean } = report {
            return clean;
        }
    }
    false
}
