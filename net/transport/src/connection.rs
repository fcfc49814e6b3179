//! One connection: reads requests, has them answered, sends the answers in request order.
//!
//! | request under way | next is Produce        | next is anything else |
//! |-------------------|------------------------|-----------------------|
//! | none              | begins                 | begins                |
//! | Produces only     | begins, up to a limit  | waits for all of them |
//! | any other         | waits for it           | waits for it          |
//!
//! "Under way" lasts until the answer has been sent, so a client that does not read is not read
//! from either. Kafka has one request of a connection under way at a time; Produces may overlap
//! here because each *begins* in order, which keeps the order of every partition.
//!
//! Keeps: answers leave in request order; a request that began runs to its end whatever happens
//! to the client; an unparsable header, an unknown key or version closes the connection.
//!
//! An answer is charged to the memory budget until it is sent, and no request begins while answers
//! hold more than the budget has. Does not: decode bodies.

mod pipeline;
mod read;
mod send;
mod state;

use bytes::Bytes;
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use engine_rt::Stream;
use net_protocol::{ApiKey, RequestHeader};
use std::rc::Rc;

use crate::budget::Budget;
use crate::connections::TransportOptions;
use crate::frame_reader::FrameReader;

pub(crate) use state::{Phase, State};

/// What answers requests.
pub trait Service: 'static {
    /// Answers one request. What is done before the first wait is done in request order; the
    /// future is driven to its end even where the client has gone.
    fn call(self: Rc<Self>, request: Request) -> impl Future<Output = Reply> + 'static;
}

/// One request whose header has been read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The API.
    pub api: ApiKey,
    /// The header. The version is one that is spoken, but for ApiVersions, where it may be any.
    pub header: RequestHeader,
    /// What follows the header.
    pub body: Bytes,
    /// Who asks.
    pub client: Client,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole response frame in pieces, its length first.
    Send(Vec<Bytes>),
    /// Nothing is sent: a Produce with acks=0.
    Silent,
    /// The connection is closed once the answers before this one are sent.
    Close,
}

/// The client at the other end of a connection. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    state: Rc<State>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", &self.state.peer)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Where it connected from.
    pub fn peer_addr(&self) -> SocketAddr {
        self.state.peer
    }

    /// The address of this node it connected to.
    pub fn local_addr(&self) -> SocketAddr {
        self.state.local
    }

    /// The connection's number on its shard.
    pub fn connection(&self) -> u64 {
        self.state.number
    }

    /// Resolves when nobody waits for an answer any more, or the node stops: a long poll then
    /// ends with what it has. Cancel: safe.
    pub async fn gone(&self) {
        self.state.gone().await;
    }

    /// Whether `gone` would resolve at once.
    pub fn is_gone(&self) -> bool {
        self.state.is_gone()
    }
}

/// Serves one connection until it ends, and returns when every request of it has been dealt with.
pub(crate) async fn serve<S: Service, B: Budget>(
    stream: Stream,
    state: Rc<State>,
    service: Rc<S>,
    budget: B,
    options: Rc<TransportOptions>,
) {
    let pipeline = Rc::new(pipeline::Pipeline::new(options.produces_in_flight_max));
    let sender = engine_rt::spawn(send::send_answers(
        stream.clone(),
        Rc::clone(&state),
        Rc::clone(&pipeline),
    ));
    let reader = FrameReader::new(stream.clone(), budget.clone(), options.request_bytes_max);
    read::read_requests(reader, &state, &pipeline, &service, &budget).await;
    pipeline.end_requests();
    if sender.await.is_err() {
        tracing::error!(peer = %state.peer, "the sender of a connection panicked");
    }
    // Whatever began is still driven to its end: it may have appended half of what it was asked.
    pipeline.all_ended().await;
    if let Err(error) = stream.shutdown().await {
        tracing::debug!(peer = %state.peer, %error, "shutting a connection down");
    }
}
