//! What a machine wants next.

use crate::call::Call;
use core::time::Duration;
use engine_model::{Moment, NodeId};

/// Which broker a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Any that can be reached.
    Any,
    /// This one.
    Node(NodeId),
}

/// A request to be carried, and how its answer finds back.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Comes back with the answer.
    pub token: u64,
    /// Where it goes.
    pub target: Target,
    /// What it says.
    pub call: Call,
    /// How long to wait for the answer.
    pub timeout: Duration,
}

/// What a machine wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Carry a request; its answer, or its loss, is to be fed back.
    Send(Box<Exchange>),
    /// Nothing before this moment, or before an answer.
    Wait(Moment),
    /// Nothing at all, until there is new input or an answer.
    Idle,
}
