//! What replicas do: follow a leader elsewhere, and cut the log at either end.

use super::super::model::{Op, Stored};
use super::super::oracle::Partition;
use super::{Driver, Outcome};
use bytes::BytesMut;
use engine_model::{LeaderEpoch, Offset};

impl Driver {
    /// Appends one to three batches as a leader elsewhere wrote them, gaps and epochs included.
    pub(super) async fn follow(&mut self) -> Outcome {
        self.leads = false;
        self.epoch += i32::try_from(self.draw.below(2)).unwrap();
        let mut next = self.with(|partition| partition.state.end);
        let mut records = BytesMut::new();
        for _ in 0..=self.draw.below(3) {
            next += i64::try_from(self.draw.below(4)).unwrap() / 2;
            self.now += 1;
            let (count, bytes) = (1 + self.draw.below(3), 60 + self.draw.below(3_000));
            let epoch = LeaderEpoch::new(self.epoch);
            let batch = self.build(None, count, bytes, Offset::new(next), epoch);
            next += i64::try_from(count).unwrap();
            records.extend_from_slice(&batch);
        }
        let records = records.freeze();
        let stored = Stored::all(&records);
        let expected = (stored[0].base(), next - 1);
        // Each batch is an entry of its own: a crash may come between them.
        for batch in stored {
            self.begin(Op::Append(vec![batch]));
        }
        let answer = self.log().append_as_follower(records).await;
        let appended = answer.map_err(|error| format!("follow at {}: {error}", expected.0))?;
        Self::expect(appended, expected, false)
    }

    pub(super) async fn truncate(&mut self) -> Outcome {
        let places = self.with(|partition| {
            let state = &partition.state;
            let inner = state
                .batches
                .iter()
                .filter(|batch| batch.base() >= state.start);
            inner
                .map(|batch| (batch.base(), batch.last()))
                .collect::<Vec<_>>()
        });
        // Mostly near the end, as truncations are.
        let near = places.len().min(6);
        let Some((base, last)) = places.iter().rev().nth(self.draw.index(near)).copied() else {
            return Ok(());
        };
        let within = self.draw.below(u64::try_from(last - base + 1).unwrap());
        let offset = base + i64::try_from(within).unwrap();
        self.begin(Op::TruncateTo(offset));
        self.leads = false;
        let cut = self.log().truncate_to(Offset::new(offset)).await;
        cut.map_err(|error| format!("truncate to {offset}: {error}"))?;
        let end = self.with(|partition| partition.state.end);
        let found = self.log().log_end_offset().get();
        if found != end {
            return Err(format!(
                "truncated to {offset} it ends at {found} instead of {end}"
            ));
        }
        Ok(())
    }

    pub(super) async fn truncate_fully(&mut self) -> Outcome {
        let end = self.with(|partition| partition.state.end);
        // Behind the end, as when a leader's log starts there; or anywhere before it.
        let offset = match self.draw.below(2) {
            0 => end + i64::try_from(self.draw.below(20)).unwrap(),
            _ => i64::try_from(self.draw.below(u64::try_from(end + 1).unwrap())).unwrap(),
        };
        self.begin(Op::TruncateFully(offset));
        self.leads = false;
        let cut = self
            .log()
            .truncate_fully_and_start_at(Offset::new(offset))
            .await;
        cut.map_err(|error| format!("start anew at {offset}: {error}"))
    }

    pub(super) async fn advance_start(&mut self) -> Outcome {
        let (start, stable) = {
            let log = self.log();
            (log.log_start_offset().get(), log.stable_end().get())
        };
        if stable <= start {
            return Ok(());
        }
        let by = 1 + self.draw.below(u64::try_from(stable - start).unwrap());
        let offset = start + i64::try_from(by).unwrap();
        self.begin(Op::LogStart(offset));
        let moved = self.log().advance_log_start(Offset::new(offset)).await;
        moved.map_err(|error| format!("log start {offset}: {error}"))?;
        self.with(Partition::all_durable);
        self.oracle.borrow_mut().acknowledged += 1;
        Ok(())
    }
}
