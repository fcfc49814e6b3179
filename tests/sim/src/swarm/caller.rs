//! A client's connection that is made again when it breaks, with a limit on how long an answer may
//! take.
//!
//! Keeps: after a lost answer the connection is given up, as real clients do.

use super::journal::Journal;
use crate::client::{Client, Hangup};
use core::net::SocketAddr;
use core::time::Duration;
use engine_rt::timeout;
use net_protocol::Request;

/// Longest wait for an answer or a connection.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// Pause before another attempt to connect.
const RETRY: Duration = Duration::from_millis(12);

/// A connection, if there is one now.
pub struct Caller {
    address: SocketAddr,
    journal: Journal,
    client: Option<Client>,
}

impl Caller {
    /// A caller that is not connected yet.
    pub fn new(address: SocketAddr, journal: Journal) -> Self {
        Self {
            address,
            journal,
            client: None,
        }
    }

    /// The connection, made now if there is none.
    pub async fn client(&mut self) -> Result<&mut Client, Hangup> {
        if self.client.is_none() {
            let connected = timeout(PATIENCE, Client::try_connect(self.address)).await;
            if let Ok(Ok(client)) = connected {
                self.client = Some(client);
            } else {
                engine_rt::sleep(RETRY).await;
                return Err(Hangup);
            }
        }
        self.client.as_mut().ok_or(Hangup)
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// Gives the connection up.
    pub fn hang_up(&mut self) {
        if self.client.take().is_some() {
            self.journal.count(|figures| figures.hangups += 1);
        }
    }

    /// Sends a request whose answer is asked for later.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<i32, Hangup> {
        self.journal.count(|figures| figures.requests += 1);
        let client = self.client().await?;
        if let Ok(Ok(id)) = timeout(PATIENCE, client.send(version, request)).await {
            return Ok(id);
        }
        self.hang_up();
        Err(Hangup)
    }

    /// The answer to a request that was sent.
    pub async fn answer<R: Request>(
        &mut self,
        version: i16,
        id: i32,
    ) -> Result<R::Response, Hangup> {
        let client = self.client.as_mut().ok_or(Hangup)?;
        if let Ok(Ok(answer)) = timeout(PATIENCE, client.answer::<R>(version, id)).await {
            return Ok(answer);
        }
        self.hang_up();
        Err(Hangup)
    }

    /// Sends a request and returns its answer.
    pub async fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, Hangup> {
        let id = self.send(version, request).await?;
        self.answer::<R>(version, id).await
    }
}
