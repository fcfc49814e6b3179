//! What the client programs talk to: a broker of ours, or the peer that the environment names.
//!
//! `ODRADEK_TEST_PEER=COMMAND` runs the same tests against another broker, to see that the tests are
//! right. `COMMAND address` prints its HOST:PORT; `COMMAND kill`, `stop` and `start` do what they say.

use crate::broker::Broker;
use crate::command::run;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// A broker under test.
pub enum Target {
    /// Ours, with a data directory of its own.
    Own(Broker),
    /// A peer, shared by all tests.
    Peer {
        /// What starts and stops it.
        command: String,
        /// HOST:PORT.
        address: String,
    },
}

impl Target {
    /// A fresh broker of ours, or the peer.
    pub fn start() -> Self {
        match std::env::var("ODRADEK_TEST_PEER") {
            Err(_) => Self::Own(Broker::with_defaults()),
            Ok(command) => {
                let address = peer(&command, "address");
                Self::Peer { command, address }
            }
        }
    }

    /// HOST:PORT.
    pub fn address(&self) -> &str {
        match self {
            Self::Own(broker) => broker.address(),
            Self::Peer { address, .. } => address,
        }
    }

    /// A name that no other run has used: the peer keeps its topics.
    pub fn name(&self, name: &str) -> String {
        match self {
            Self::Own(_) => name.to_owned(),
            Self::Peer { .. } => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .expect("a clock");
                format!("{name}-{}", now.as_micros())
            }
        }
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        match self {
            Self::Own(broker) => broker.kill(),
            Self::Peer { command, .. } => {
                peer(command, "kill");
            }
        }
    }

    /// Lets it end as it likes.
    pub fn stop(&mut self) {
        match self {
            Self::Own(broker) => {
                let status = broker.stop();
                assert!(status.success(), "{status}");
            }
            Self::Peer { command, .. } => {
                peer(command, "stop");
            }
        }
    }

    /// Starts it again over the same data and port, after `kill` or `stop`.
    pub fn restart(&mut self) {
        match self {
            Self::Own(broker) => broker.restart(),
            Self::Peer { command, .. } => {
                peer(command, "start");
            }
        }
    }
}

fn peer(command: &str, verb: &str) -> String {
    let output = run(Command::new(command).arg(verb)).expect_success();
    output.text().trim().to_owned()
}
