//! What idempotent producers do: the next batch, one sent again, a gap, an old epoch.

use super::{Character, Driver, Outcome, Shared};
use engine_log::{AppendError, Store};
use engine_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};
use std::rc::Rc;

impl Driver {
    pub(super) fn next_of_a_producer(&mut self) -> Option<(ProducerId, ProducerEpoch, Sequence)> {
        if self.character != Character::Producers && self.draw.below(3) > 0 {
            return None;
        }
        let id = ProducerId(i64::try_from(self.draw.below(3)).unwrap());
        let bump = self.draw.below(12) == 0;
        let start = Sequence::new(i32::try_from(self.draw.below(3)).unwrap() * 1000);
        Some(
            self.with(|partition| match partition.state.producers.get(id) {
                // Any sequence would do where nothing is known, and nothing here may be.
                _ if partition.state.uncertain.contains(&id) => {
                    (ProducerId(id.0 + 100), ProducerEpoch::ZERO, Sequence::NONE)
                }
                None => (id, ProducerEpoch::ZERO, start),
                Some(known) if bump => (id, known.epoch().saturating_next(), Sequence::ZERO),
                Some(known) => (id, known.epoch(), known.last_sequence().wrapping_add(1)),
            }),
        )
        .filter(|(_, _, sequence)| *sequence != Sequence::NONE)
    }

    /// Sends one of the last five batches of a producer again.
    pub(super) async fn retry(&mut self) -> Outcome {
        let id = ProducerId(i64::try_from(self.draw.below(3)).unwrap());
        let back = self.draw.index(5);
        let known = self.with(|partition| {
            let state = &partition.state;
            let producer = state.producers.get(id)?;
            let remembered = producer.batches().iter().rev().nth(back)?;
            let is_certain = !state.uncertain.contains(&id);
            is_certain.then_some((producer.epoch(), *remembered))
        });
        let Some((epoch, remembered)) = known else {
            return self.append().await;
        };
        if !self.leads {
            self.next_epoch().await?;
        }
        let offsets = (remembered.first_offset.get(), remembered.last_offset.get());
        let records = u64::try_from(offsets.1 - offsets.0 + 1).unwrap();
        let producer = Some((id, epoch, remembered.first_sequence));
        let batch = self.build(producer, records, 100, Offset::ZERO, LeaderEpoch::NONE);
        let answer = self.log().append(batch, self.options()).await;
        let appended = answer.map_err(|error| format!("retry of {offsets:?}: {error}"))?;
        Self::expect(appended, offsets, true)
    }

    /// Sends a batch that leaves sequences out, and one of an older epoch.
    pub(super) async fn out_of_order(&mut self) -> Outcome {
        let id = ProducerId(i64::try_from(self.draw.below(3)).unwrap());
        let known = self.with(|partition| {
            let state = &partition.state;
            let producer = state.producers.get(id)?;
            let is_certain = !state.uncertain.contains(&id);
            is_certain.then(|| (producer.epoch(), producer.last_sequence()))
        });
        let Some((epoch, last)) = known else {
            return Ok(());
        };
        if !self.leads {
            self.next_epoch().await?;
        }
        let gap = Some((id, epoch, last.wrapping_add(1001)));
        let batch = self.build(gap, 1, 100, Offset::ZERO, LeaderEpoch::NONE);
        match self.log().append(batch, self.options()).await {
            Err(AppendError::OutOfOrderSequence { .. }) => {}
            other => return Err(format!("a gap in the sequence: {other:?}")),
        }
        if epoch > ProducerEpoch::ZERO {
            let old = ProducerEpoch::new(epoch.get() - 1);
            let batch = self.build(
                Some((id, old, last.wrapping_add(1))),
                1,
                100,
                Offset::ZERO,
                LeaderEpoch::NONE,
            );
            match self.log().append(batch, self.options()).await {
                Err(AppendError::InvalidProducerEpoch { .. }) => {}
                other => return Err(format!("an old producer epoch: {other:?}")),
            }
        }
        Ok(())
    }
}

/// Sends every remembered batch of every producer again and a gap after it: the answers show the
/// whole table of producers.
pub async fn probe_producers(store: &Store, oracle: &Shared) -> Outcome {
    let keys: Vec<_> = oracle.borrow().partitions.keys().copied().collect();
    for (number, key) in keys.into_iter().enumerate() {
        let Some(log) = store.find(key) else { continue };
        let state = oracle.borrow().partitions[&key].state.clone();
        let mut driver = Driver::new(store.clone(), Rc::clone(oracle), number, 1);
        driver.epoch = state.epochs.latest().get().max(0);
        driver.log = Some(log);
        driver.next_epoch().await?;
        for (id, producer) in state.producers.iter() {
            if state.uncertain.contains(&id) {
                continue;
            }
            for remembered in producer.batches() {
                let offsets = (remembered.first_offset.get(), remembered.last_offset.get());
                let records = u64::try_from(offsets.1 - offsets.0 + 1).unwrap();
                let fields = Some((id, producer.epoch(), remembered.first_sequence));
                let batch = driver.build(fields, records, 100, Offset::ZERO, LeaderEpoch::NONE);
                let answer = driver.log().append(batch, driver.options()).await;
                answer
                    .map_err(|error| error.to_string())
                    .and_then(|appended| Driver::expect(appended, offsets, true))
                    .map_err(|what| format!("partition {number}, producer {id}: {what}"))?;
            }
            let gap = producer.last_sequence().wrapping_add(5);
            let fields = Some((id, producer.epoch(), gap));
            let batch = driver.build(fields, 1, 100, Offset::ZERO, LeaderEpoch::NONE);
            let answer = driver.log().append(batch, driver.options()).await;
            if !matches!(answer, Err(AppendError::OutOfOrderSequence { .. })) {
                return Err(format!(
                    "partition {number}, producer {id}, a gap: {answer:?}"
                ));
            }
        }
    }
    Ok(())
}
