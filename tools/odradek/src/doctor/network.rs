//! Ports, the addresses clients are told, and whether they can be reached.

use super::check::{Check, Status};
use crate::driver::{Driver, bracketed, try_address};
use crate::properties::ClientProperties;
use engine_config::{BrokerConfig, Endpoint};
use net_client::Target;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

/// How long one address may take to answer.
const REACH_TIMEOUT: Duration = Duration::from_secs(3);

/// Everything about ports and names.
pub fn checks(config: &BrokerConfig) -> Vec<Check> {
    let mut checks: Vec<Check> = config.listeners.iter().map(port).collect();
    checks.push(advertised(config, true));
    checks
}

/// What costs nothing and the start does not find out itself: no name is looked up.
pub fn quick_checks(config: &BrokerConfig) -> Vec<Check> {
    vec![advertised(config, false)]
}

fn text(endpoint: &Endpoint) -> String {
    format!("{}:{}", bracketed(&endpoint.host), endpoint.port)
}

fn port(endpoint: &Endpoint) -> Check {
    let why = "clients connect here; one process at a time has a port";
    let host = match endpoint.host.as_str() {
        "" => "0.0.0.0",
        host => host,
    };
    let address = format!("{}:{}", bracketed(host), endpoint.port);
    let check = |measured: String| Check::ok("port", why, measured);
    let addresses: Vec<SocketAddr> = match address.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            return check(format!("{address}: no such address ({error})")).but(
                Status::Problem,
                "`--listen HOST:PORT` with an address of this machine (`ip addr` shows them)",
            );
        }
    };
    match TcpListener::bind(&addresses[..]) {
        Ok(_) => check(format!("{address} is free")),
        Err(error) => {
            let status = Status::Problem;
            let port = endpoint.port;
            match error.kind() {
                io::ErrorKind::AddrInUse => check(format!("{address} is taken")).but(
                    status,
                    format!("`ss -ltnp 'sport = :{port}'` shows by whom; `--listen` takes another"),
                ),
                io::ErrorKind::PermissionDenied => check(format!("{address}: {error}")).but(
                    status,
                    "use a port from 1024 on, or give the process CAP_NET_BIND_SERVICE",
                ),
                _ => check(format!("{address}: {error}")).but(
                    status,
                    "`--listen HOST:PORT` with an address of this machine (`ip addr` shows them)",
                ),
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_every_address(host: &str) -> bool {
    host.is_empty()
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
}

fn advertised(config: &BrokerConfig, looks_up: bool) -> Check {
    let why = "clients are told this address and connect to it, wherever they are";
    let fix =
        "`-X advertised.listeners=PLAINTEXT://NAME:PORT` with a name that clients can resolve";
    if config.advertised_listeners.is_empty() {
        let what = "not set: each client is told the address it came to";
        return Check::ok("advertised address", why, what);
    }
    let addresses: Vec<String> = config.advertised_listeners.iter().map(text).collect();
    let check = Check::ok("advertised address", why, addresses.join(", "));
    for endpoint in &config.advertised_listeners {
        if is_every_address(&endpoint.host) {
            return check.but(Status::Problem, fix);
        }
        let is_open = config.listeners.iter().any(|l| !is_loopback(&l.host));
        if is_loopback(&endpoint.host) && is_open {
            // Clients of other machines come in and are sent to themselves.
            return check.but(Status::Warning, fix);
        }
        if looks_up && text(endpoint).to_socket_addrs().is_err() {
            let measured = format!("{}: the name cannot be resolved here", text(endpoint));
            return Check::ok("advertised address", why, measured).but(Status::Warning, fix);
        }
    }
    check
}

/// Asks a running broker for the addresses of all, and tries each.
pub fn reachable(driver: &mut Driver, properties: &ClientProperties) -> Vec<Check> {
    let why = "a client talks to the address it was given first only to learn the others";
    if let Err(failure) = driver.call(Target::Any, net_client::describe_topics([])) {
        let check = Check::ok("broker", why, failure);
        return vec![check.but(
            Status::Problem,
            "`odradek start` starts one; -b says where it is",
        )];
    }
    let asked = driver.asked_address().to_owned();
    let brokers = driver.cluster().brokers.clone();
    let mut checks = vec![Check::ok(
        "broker",
        why,
        format!("{asked} answers and knows {} brokers", brokers.len()),
    )];
    for (node, broker) in brokers {
        let address = format!("{}:{}", bracketed(&broker.host), broker.port);
        let check = |what: String| {
            Check::ok(
                "reachable",
                why,
                format!("broker {node} at {address}: {what}"),
            )
        };
        checks.push(match try_address(&address, properties, REACH_TIMEOUT) {
            Ok(()) => check("answers".to_owned()),
            Err(what) => check(what).but(
                Status::Problem,
                "`advertised.listeners` of that broker has to be an address that clients can reach",
            ),
        });
    }
    checks
}
