//! What clients are told this node's address is.
//!
//! Keeps: without a setting it is the address the client came to, which it evidently can reach.

use core::net::{IpAddr, SocketAddr};
use net_protocol::Text;

/// The addresses to tell, by the port a client came to.
#[derive(Clone, Debug, Default)]
pub struct Advertised {
    by_port: Vec<(u16, Text, u16)>,
}

impl Advertised {
    /// Tells clients that came to `port` of this node the address `host:advertised_port`.
    pub fn insert(&mut self, port: u16, host: &str, advertised_port: u16) {
        self.by_port.push((port, host.into(), advertised_port));
    }

    /// What a client that came to `local` is told.
    pub fn address(&self, local: SocketAddr) -> (Text, i32) {
        let configured = self.by_port.iter().find(|(port, ..)| *port == local.port());
        match configured {
            Some((_, host, port)) => (host.clone(), i32::from(*port)),
            None => (
                plain(local.ip()).to_string().into(),
                i32::from(local.port()),
            ),
        }
    }
}

/// An IPv4 client of a dual-stack listener arrives at `::ffff:a.b.c.d`, which clients may not
/// understand.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_where_they_came_to_unless_configured() {
        let mut advertised = Advertised::default();
        advertised.insert(9092, "broker.example", 19092);
        for (local, host, port) in [
            ("10.0.0.7:9092", "broker.example", 19092),
            ("10.0.0.7:9093", "10.0.0.7", 9093),
            ("[::1]:9093", "::1", 9093),
            ("[::ffff:10.0.0.7]:9093", "10.0.0.7", 9093),
        ] {
            let expected = (Text::from(host), port);
            assert_eq!(
                advertised.address(local.parse().unwrap()),
                expected,
                "{local}"
            );
        }
    }
}
