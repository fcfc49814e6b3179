//! Requests that are on their way while others are made.
//!
//! Keeps: every request that was launched lands exactly once: with its answer, with why there is
//! none, or at once where none is due. A connection that fails takes all that were on it along.
//! Does not: mix with `exchange`, which reads past the answers of others.

use super::Driver;
use engine_model::Moment;
use net_client::{Answer, ClientError, Exchange, Target};
use std::collections::VecDeque;

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Flight {
    token: u64,
    target: Target,
    correlation_id: i32,
    deadline: Moment,
}

/// What became of a request.
#[derive(Debug)]
pub struct Landed {
    /// The request's.
    pub token: u64,
    /// Its answer, none where none is due, or why there is none.
    pub result: Result<Option<Answer>, ClientError>,
}

impl Driver {
    /// Whether requests are on their way or have landed without being taken.
    pub fn is_in_flight(&self) -> bool {
        !self.flights.is_empty() || !self.landed.is_empty()
    }

    /// Sends a request and does not wait for its answer.
    pub fn launch(&mut self, exchange: &Exchange) {
        let deadline = self.now().saturating_add(exchange.timeout);
        let sent = self
            .link(exchange.target)
            .and_then(|link| link.send(exchange.call.clone(), exchange.timeout));
        match sent {
            Ok(correlation_id) if exchange.call.is_answered() => {
                self.flights.push_back(Flight {
                    token: exchange.token,
                    target: exchange.target,
                    correlation_id,
                    deadline,
                });
            }
            Ok(_) => self.landed.push_back(Landed {
                token: exchange.token,
                result: Ok(None),
            }),
            Err(error) => {
                self.landed.push_back(Landed {
                    token: exchange.token,
                    result: Err(error.clone()),
                });
                if error.breaks_connection() {
                    self.fail_link(exchange.target, &error);
                }
            }
        }
    }

    /// The next request that has landed. Waits for one until `until`; without it, not at all.
    pub fn land(&mut self, until: Option<Moment>) -> Option<Landed> {
        if let Some(landed) = self.landed.pop_front() {
            return Some(landed);
        }
        // The oldest one: answers of other brokers wait in their sockets meanwhile.
        let oldest = self.flights.front()?;
        let (target, deadline) = (oldest.target, oldest.deadline);
        let now = self.now();
        let wait = until.map(|until| until.min(deadline).saturating_since(now));
        let is_late = now >= deadline;
        let received = match self.link(target) {
            Ok(link) => link.receive(wait),
            Err(error) => Err(error),
        };
        match received {
            Ok(Some((correlation_id, answer))) => {
                self.learn(&answer);
                let place = self
                    .flights
                    .iter()
                    .position(|f| f.target == target && f.correlation_id == correlation_id)?;
                let flight = self.flights.remove(place)?;
                Some(Landed {
                    token: flight.token,
                    result: Ok(Some(answer)),
                })
            }
            Ok(None) if is_late => {
                self.fail_link(target, &ClientError::TimedOut { last: None });
                self.landed.pop_front()
            }
            Ok(None) => None,
            Err(error) => {
                self.fail_link(target, &error);
                self.landed.pop_front()
            }
        }
    }

    /// Gives up a connection and everything that was on its way over it.
    fn fail_link(&mut self, target: Target, error: &ClientError) {
        self.drop_link(target);
        let (lost, kept) = std::mem::take(&mut self.flights)
            .into_iter()
            .partition(|flight: &Flight| flight.target == target);
        self.flights = kept;
        let lost: VecDeque<Flight> = lost;
        self.landed.extend(lost.into_iter().map(|flight| Landed {
            token: flight.token,
            result: Err(error.clone()),
        }));
    }
}
