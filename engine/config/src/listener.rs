//! Addresses to listen on and to advertise, as Kafka writes them.

use core::fmt;

/// `NAME://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, in capitals.
    pub listener: String,
    /// A host name or address without brackets; empty is every address.
    pub host: String,
    /// The port; 0 is any free one.
    pub port: u16,
}

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not of the form.
    #[error("{text:?} is not of the form NAME://HOST:PORT or HOST:PORT")]
    Form {
        /// What was given.
        text: String,
    },
    /// Two endpoints of one name.
    #[error("two listeners are named {listener}")]
    Repeated {
        /// The name.
        listener: String,
    },
    /// A name that the protocol map lacks.
    #[error("listener {listener} has no protocol in listener.security.protocol.map")]
    NoProtocol {
        /// The name.
        listener: String,
    },
    /// A protocol that this broker does not speak.
    #[error("listener {listener} asks for {protocol}; only PLAINTEXT is spoken here yet")]
    Protocol {
        /// The name.
        listener: String,
        /// The protocol.
        protocol: String,
    },
    /// No endpoint is left.
    #[error("no listener for clients is left")]
    None,
    /// An advertised name that nobody listens under.
    #[error("{listener} is advertised but not listened on")]
    NotListenedOn {
        /// The name.
        listener: String,
    },
    /// An advertised endpoint without host or port.
    #[error("an advertised endpoint needs a host and a port: {text:?}")]
    Vague {
        /// What was given.
        text: String,
    },
}

impl Endpoint {
    /// Reads one endpoint. Without a name it is `PLAINTEXT`.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let form = || EndpointError::Form {
            text: text.to_owned(),
        };
        let (listener, address) = text.split_once("://").unwrap_or(("PLAINTEXT", text));
        let named = listener
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if listener.is_empty() || !named {
            return Err(form());
        }
        let (host, port) = address.rsplit_once(':').ok_or_else(form)?;
        // An IPv6 address stands in brackets, or its last group would be taken for the port.
        let host = match host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
        {
            Some(inner) if inner.contains(':') => inner,
            Some(_) => return Err(form()),
            None if host.contains([':', '[', ']', '/', ' ']) => return Err(form()),
            None => host,
        };
        Ok(Self {
            listener: listener.to_ascii_uppercase(),
            host: host.to_owned(),
            port: port.parse().map_err(|_| form())?,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}://[{}]:{}", self.listener, self.host, self.port)
        } else {
            write!(f, "{}://{}:{}", self.listener, self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written_in_kafkas_form() {
        for (text, written) in [
            ("PLAINTEXT://127.0.0.1:9092", "PLAINTEXT://127.0.0.1:9092"),
            ("plaintext://:9092", "PLAINTEXT://:9092"),
            ("localhost:0", "PLAINTEXT://localhost:0"),
            ("[::1]:9092", "PLAINTEXT://[::1]:9092"),
            ("INNER_1://a.b.c:65535", "INNER_1://a.b.c:65535"),
        ] {
            assert_eq!(
                Endpoint::parse(text).map(|e| e.to_string()),
                Ok(written.to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "9092",
            "a:b",
            "a:65536",
            "a:-1",
            "://a:1",
            "A B://a:1",
            "::1:9092",
            "[a]:1",
            "a/b:1",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
