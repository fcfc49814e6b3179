//! Questions about partitions, carried to their owners and their answers back into place.

use engine_model::ShardId;
use engine_shard::{MeshError, join_all};
use std::collections::BTreeMap;

use crate::broker::Broker;
use crate::question::{Answer, Question};

/// Questions by owner, each with its place among the answers.
pub(crate) struct Routes<Q> {
    by_owner: BTreeMap<ShardId, (Vec<usize>, Vec<Q>)>,
}

impl<Q> Routes<Q> {
    pub(crate) fn new() -> Self {
        Self {
            by_owner: BTreeMap::new(),
        }
    }

    /// Adds a question to `owner`, whose answer goes to `place`.
    pub(crate) fn push(&mut self, owner: ShardId, place: usize, question: Q) {
        let (places, questions) = self.by_owner.entry(owner).or_default();
        places.push(place);
        questions.push(question);
    }

    /// The questions, by owner.
    pub(crate) fn questions(&self) -> impl Iterator<Item = &Q> {
        self.by_owner.values().flat_map(|(_, questions)| questions)
    }

    /// Asks every owner at the same time; returns the places of its questions beside what each
    /// answered. All questions are asked in the first poll.
    pub(crate) async fn call(
        self,
        broker: &Broker,
        question: impl Fn(Vec<Q>) -> Question,
    ) -> impl Iterator<Item = (Vec<usize>, Result<Answer, MeshError>)> {
        let mut places = Vec::with_capacity(self.by_owner.len());
        let mut calls = Vec::with_capacity(self.by_owner.len());
        for (owner, (places_here, questions)) in self.by_owner {
            places.push(places_here);
            calls.push(broker.ask(owner, question(questions)));
        }
        places.into_iter().zip(join_all(calls).await)
    }

    /// Asks every owner at the same time and fills in the answers; those of an owner that does not
    /// answer stay as they are.
    pub(crate) async fn ask<A>(
        self,
        broker: &Broker,
        question: impl Fn(Vec<Q>) -> Question,
        open: impl Fn(Answer) -> Option<Vec<A>>,
        answers: &mut [A],
    ) {
        for (places, answered) in self.call(broker, question).await {
            let found = answered.ok().and_then(&open).unwrap_or_default();
            for (place, answer) in places.into_iter().zip(found) {
                if let Some(slot) = answers.get_mut(place) {
                    *slot = answer;
                }
            }
        }
    }
}
