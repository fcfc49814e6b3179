//! Carries requests over plain blocking sockets: works where io_uring is forbidden.
//!
//! Keeps: one connection a broker, made when first needed and again after a loss; every wait has its
//! end. One request at a time (`exchange`), or several on their way (`launch`, `land`).

mod flight;
mod link;

pub use flight::Landed;

use crate::cli::Global;
use crate::failure::{Failure, Kind};
use crate::properties::ClientProperties;
use engine_model::{Moment, NodeId};
use flight::Flight;
use link::Link;
use net_client::{Answer, Call, ClientError, Cluster, Exchange, Operation, Target};
use net_protocol::Text;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Where to ask first when nothing else is said.
const BOOTSTRAP_DEFAULT: &str = "127.0.0.1:9092";
/// The variable of the environment that says where to ask first.
const BOOTSTRAP_VARIABLE: &str = "ODRADEK_BOOTSTRAP_SERVER";

/// Where to ask first: what the flag says, else the properties, else the environment.
pub fn bootstrap(global: &Global, properties: &ClientProperties) -> Vec<String> {
    let servers = global
        .bootstrap_server
        .clone()
        .or_else(|| properties.bootstrap_servers.clone())
        .or_else(|| {
            std::env::var(BOOTSTRAP_VARIABLE)
                .ok()
                .filter(|v| !v.is_empty())
        })
        .unwrap_or_else(|| BOOTSTRAP_DEFAULT.to_owned());
    servers
        .split(',')
        .map(|address| address.trim().to_owned())
        .filter(|address| !address.is_empty())
        .collect()
}

/// The blocking client.
pub struct Driver {
    bootstrap: Vec<String>,
    client_id: Text,
    timeout: Duration,
    is_verbose: bool,
    cluster: Cluster,
    /// The connection to a bootstrap address, which may be any broker.
    first: Option<Link>,
    /// Where that is.
    first_address: String,
    nodes: BTreeMap<NodeId, Link>,
    /// Requests that were launched, oldest first.
    flights: VecDeque<Flight>,
    /// What became of requests, not taken yet.
    landed: VecDeque<Landed>,
    started: Instant,
}

impl Driver {
    /// A driver that has not connected yet.
    pub fn new(global: &Global, properties: &ClientProperties) -> Self {
        let client_id = properties.client_id.clone();
        Self {
            bootstrap: bootstrap(global, properties),
            client_id: client_id.map_or(Text::from_static("odradek"), Text::from),
            timeout: properties.request_timeout.unwrap_or(global.timeout),
            is_verbose: global.verbose > 0,
            cluster: Cluster::default(),
            first: None,
            first_address: String::new(),
            nodes: BTreeMap::new(),
            flights: VecDeque::new(),
            landed: VecDeque::new(),
            started: Instant::now(),
        }
    }

    /// Time since the driver was made, for the machines.
    pub fn now(&self) -> Moment {
        Moment(0).saturating_add(self.started.elapsed())
    }

    /// How long one request may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What is known of the cluster: whatever Metadata answers have passed.
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The address that requests to any broker go to.
    pub fn asked_address(&self) -> &str {
        &self.first_address
    }

    /// Makes sure that some broker can be reached.
    ///
    /// Errors: `CannotConnect`, with what to do about it.
    pub fn connect(&mut self) -> Result<(), Failure> {
        if self.first.is_some() {
            return Ok(());
        }
        let mut causes = Vec::new();
        for address in &self.bootstrap {
            match Link::connect(address, &self.client_id, self.timeout) {
                Ok(link) => {
                    if self.is_verbose {
                        eprintln!("connected to {address}");
                    }
                    self.first = Some(link);
                    self.first_address.clone_from(address);
                    return Ok(());
                }
                Err(error) => causes.push((address.clone(), error)),
            }
        }
        let text: Vec<String> = causes
            .iter()
            .map(|(address, error)| format!("{address}: {error}"))
            .collect();
        let is_timeout = causes.iter().all(|(_, error)| error.is_timeout()) && !causes.is_empty();
        let kind = if is_timeout {
            Kind::TimedOut
        } else {
            Kind::CannotConnect
        };
        let what = format!("cannot connect to a broker: {}", text.join("; "));
        Err(Failure::new(kind, what).hint(format!(
            "is one running? `odradek start` starts one; -b HOST:PORT or ${BOOTSTRAP_VARIABLE} say where"
        )))
    }

    /// Carries a request and waits for its answer; `None` for one that has none.
    pub fn exchange(&mut self, exchange: &Exchange) -> Result<Option<Answer>, ClientError> {
        let result = self.attempt(exchange);
        match &result {
            Ok(Some(answer)) => self.learn(answer),
            Ok(None) => {}
            Err(error) if !error.breaks_connection() => {}
            Err(error) => {
                if self.is_verbose {
                    eprintln!("{:?}: {error}", exchange.call.key());
                }
                self.drop_link(exchange.target);
            }
        }
        result
    }

    /// Keeps what an answer says of the cluster.
    fn learn(&mut self, answer: &Answer) {
        if let Answer::Metadata(response) = answer {
            self.cluster.update(response.clone());
        }
    }

    fn attempt(&mut self, exchange: &Exchange) -> Result<Option<Answer>, ClientError> {
        let link = self.link(exchange.target)?;
        link.exchange(exchange.call.clone(), exchange.timeout)
    }

    fn drop_link(&mut self, target: Target) {
        match target {
            Target::Any => self.first = None,
            Target::Node(node) => {
                self.nodes.remove(&node);
            }
        }
    }

    fn link(&mut self, target: Target) -> Result<&mut Link, ClientError> {
        let lost = |node| ClientError::ConnectionLost { node };
        match target {
            Target::Any => {
                self.connect().map_err(|_| lost(NodeId::NONE))?;
                self.first.as_mut().ok_or(lost(NodeId::NONE))
            }
            Target::Node(node) => {
                if !self.nodes.contains_key(&node) {
                    let broker = self.cluster.brokers.get(&node).ok_or(lost(node))?;
                    let address = format!("{}:{}", bracketed(&broker.host), broker.port);
                    let link = Link::connect(&address, &self.client_id, self.timeout).map_err(
                        |error| {
                            if self.is_verbose {
                                eprintln!("broker {node} at {address}: {error}");
                            }
                            lost(node)
                        },
                    )?;
                    self.nodes.insert(node, link);
                }
                self.nodes.get_mut(&node).ok_or(lost(node))
            }
        }
    }

    /// Carries one request of a known type.
    pub fn call<R: Operation>(
        &mut self,
        target: Target,
        request: R,
    ) -> Result<R::Response, Failure> {
        self.connect()?;
        let call: Call = request.into_call();
        let api = call.key();
        let answer = self.exchange(&Exchange {
            token: 0,
            target,
            call,
            timeout: self.timeout,
        })?;
        let response = answer.and_then(R::from_answer);
        response.ok_or_else(|| ClientError::Incomplete { api }.into())
    }

    /// The controller, where one is known; requests about topics as a whole go there.
    pub fn controller(&self) -> Target {
        self.cluster.controller.map_or(Target::Any, Target::Node)
    }

    /// Waits until `moment`.
    pub fn sleep_until(&self, moment: Moment) {
        std::thread::sleep(moment.saturating_since(self.now()));
    }
}

/// Whether a broker answers at an address; what is wrong if not.
pub fn try_address(
    address: &str,
    properties: &ClientProperties,
    timeout: Duration,
) -> Result<(), String> {
    let client_id = properties.client_id.clone();
    let client_id = client_id.map_or(Text::from_static("odradek"), Text::from);
    let link = Link::connect(address, &client_id, timeout);
    link.map(drop).map_err(|error| error.to_string())
}

/// An IPv6 address needs brackets in front of a port.
pub fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}
