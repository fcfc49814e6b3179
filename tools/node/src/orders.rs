//! What shard 0 and the others say to each other while a node starts, heals and stops.

use core::net::SocketAddr;
use engine_log::{StableEnds, StoreSeed};
use engine_model::{DirectoryId, ShardId};
use engine_rt::{MailReceiver, MailSender, System};

use crate::error::NodeError;

/// From shard 0.
pub(crate) enum Order {
    /// Start your store.
    Start { seed: Box<StoreSeed> },
    /// Load the controller: it lives with you.
    Lead {
        directory: DirectoryId,
        was_clean: bool,
    },
    /// Listen there.
    Listen { addresses: Vec<SocketAddr> },
    /// The data directory is fenced: stop the controller, if it lives with you.
    Recall,
    /// No controller asks any more: stop the store, take the replicas offline.
    Suspend,
    /// The directory was recovered: go on with this store.
    Resume { seed: Box<StoreSeed> },
    /// Answer what is under way and close every connection.
    Quiet,
    /// Every shard is quiet: leave the mesh and stop the store.
    Store,
}

/// To shard 0.
#[derive(Debug)]
pub(crate) enum Report {
    /// The order is carried out.
    Done,
    /// It is not.
    Failed(NodeError),
    /// The store has stopped because of the fence; this is what it had acknowledged.
    Suspended(StableEnds),
    /// The store has stopped, with a checkpoint or without.
    Stored { clean: bool },
}

/// One other shard, as shard 0 sees it.
pub(crate) struct Follower {
    pub(crate) shard: ShardId,
    pub(crate) orders: MailSender<Order>,
    pub(crate) reports: MailReceiver<Report>,
}

/// Shard 0, as another shard sees it.
pub(crate) struct Leader {
    pub(crate) orders: MailReceiver<Order>,
    pub(crate) reports: MailSender<Report>,
}

/// Letters under way between two shards; each waits for the other's after every one.
const LETTERS_MAX: usize = 4;

/// The two ends between shard 0 and each other shard.
pub(crate) fn wire(system: &System) -> (Vec<Follower>, Vec<Leader>) {
    let zero = ShardId(0);
    let mut followers = Vec::new();
    let mut leaders = Vec::new();
    for index in 1..system.shard_count() {
        let shard = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
        let (orders_out, orders_in) = system.mailbox(zero, shard, LETTERS_MAX);
        let (reports_out, reports_in) = system.mailbox(shard, zero, LETTERS_MAX);
        followers.push(Follower {
            shard,
            orders: orders_out,
            reports: reports_in,
        });
        leaders.push(Leader {
            orders: orders_in,
            reports: reports_out,
        });
    }
    (followers, leaders)
}
