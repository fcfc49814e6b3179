//! How a command fails: what failed, why, what to do, and the exit code.

use engine_model::ErrorCode;
use net_client::ClientError;
use std::fmt;
use std::io::{self, Write};

/// The kind of a failure; each has its exit code, which scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything else.
    Failed,
    /// The command line or a setting is wrong.
    Usage,
    /// No broker can be reached.
    CannotConnect,
    /// Not allowed.
    Refused,
    /// What was named is not there.
    NotFound,
    /// What was to be made is there already.
    Exists,
    /// Not done in time.
    TimedOut,
    /// Nobody reads the output any more: no failure, but the end.
    OutputClosed,
}

/// A failure, in words for the person who typed the command.
#[derive(Clone, Debug)]
pub struct Failure {
    kind: Kind,
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure of a kind; `what` says what failed, where and why.
    pub fn new(kind: Kind, what: impl fmt::Display) -> Self {
        Self {
            kind,
            what: what.to_string(),
            hint: None,
        }
    }

    /// A failure that has been told already: only the exit code is left.
    pub const fn silent(kind: Kind) -> Self {
        Self {
            kind,
            what: String::new(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Whether it is of that kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// The process's exit code.
    pub const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::OutputClosed => 0,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::CannotConnect => 3,
            Kind::Refused => 4,
            Kind::NotFound => 5,
            Kind::Exists => 6,
            Kind::TimedOut => 7,
        }
    }

    /// Writes it to stderr.
    pub fn print(&self) {
        if self.kind == Kind::OutputClosed || self.what.is_empty() {
            return;
        }
        let mut stderr = io::stderr().lock();
        let label = if crate::output::is_colored(&stderr) {
            "\x1b[1;31merror:\x1b[0m"
        } else {
            "error:"
        };
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(stderr, "{label} {}", self.what);
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "  hint: {hint}");
        }
    }

    /// A broker's error code about `what`.
    pub fn broker(what: impl fmt::Display, code: ErrorCode, message: Option<&str>) -> Self {
        let text = match message {
            Some(message) => format!("{what}: {message} ({code})"),
            None => format!("{what}: {code}"),
        };
        Self::new(Kind::of(code), text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Kind {
    /// The kind of a broker's error.
    pub const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::UNKNOWN_TOPIC_ID
            | ErrorCode::GROUP_ID_NOT_FOUND
            | ErrorCode::RESOURCE_NOT_FOUND => Self::NotFound,
            ErrorCode::TOPIC_ALREADY_EXISTS => Self::Exists,
            ErrorCode::REQUEST_TIMED_OUT => Self::TimedOut,
            ErrorCode::TOPIC_AUTHORIZATION_FAILED
            | ErrorCode::GROUP_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::SASL_AUTHENTICATION_FAILED => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::NoSuchPartition { .. } => Kind::NotFound,
            ClientError::ConnectionLost { .. } => Kind::CannotConnect,
            ClientError::TimedOut { last } => match last.as_deref() {
                Some(ClientError::ConnectionLost { .. }) => Kind::CannotConnect,
                _ => Kind::TimedOut,
            },
            other => other.code().map_or(Kind::Failed, Kind::of),
        };
        let failure = Self::new(kind, &error);
        match error {
            ClientError::AnswerSize { .. } => {
                failure.hint("is the port that of a Kafka listener without TLS?")
            }
            ClientError::OffsetOutOfRange { topic, .. } => failure.hint(format!(
                "`odradek topic describe {topic}` shows the offsets there are"
            )),
            _ => failure,
        }
    }
}

impl From<io::Error> for Failure {
    /// For writing to stdout, the one place where plain I/O errors come from.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::OutputClosed, "output closed"),
            _ => Self::new(Kind::Failed, format!("cannot write the output: {error}")),
        }
    }
}
