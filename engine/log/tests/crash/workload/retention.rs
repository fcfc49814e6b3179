//! Retention at work: settings that make records go, for a moment, while reads are under way.

use super::{Driver, Outcome, config, read_all};
use engine_log::LogConfig;
use engine_model::Offset;
use std::time::Duration;

impl Driver {
    /// Lets the log be looked at with a limit on size or age. The listener tells the oracle what
    /// went; here it is compared with what may go.
    pub(super) async fn retire(&mut self) -> Outcome {
        let by_size = self.draw.below(3) > 0;
        let limit = i64::try_from(self.draw.below(60_000)).unwrap();
        let before = self.with(|partition| partition.state.bytes_below(i64::MAX).len());
        let limited = LogConfig {
            deletes: true,
            retention_bytes: if by_size { limit } else { -1 },
            // All records of this workload are from long ago.
            retention_ms: if by_size { -1 } else { limit },
            ..config(self.character)
        };
        let log = self.log();
        let (start, end) = (log.log_start_offset(), log.stable_end());
        self.may_retire(true);
        let set = log.set_config(limited).await;
        set.map_err(|error| format!("settings: {error}"))?;
        // Read while it goes: the bytes that were there, or that it is out of range.
        let expected = self.with(|partition| partition.state.bytes_below(end.get()));
        let read = match read_all(&log, start, end).await {
            Ok(read) if read == expected => Ok(()),
            Ok(read) => Err(format!("{} bytes while records went", read.len())),
            Err(_) if log.log_start_offset() > start => Ok(()),
            Err(what) => Err(what),
        };
        let pause = Duration::from_micros(50 + self.draw.below(5000));
        engine_rt::sleep(pause).await;
        let unlimited = log.set_config(config(self.character)).await;
        unlimited.map_err(|error| format!("settings: {error}"))?;
        // Only now: a start that moves when nobody listens any more is not in the oracle.
        self.may_retire(false);
        read?;
        let after = self.with(|partition| partition.state.bytes_below(i64::MAX).len());
        let kept = usize::try_from(limit).unwrap().min(before);
        if by_size && after < kept && !self.with(|partition| partition.state.was_cut) {
            return Err(format!(
                "{after} of {before} bytes are left, {limit} were to stay"
            ));
        }
        let found = log.log_start_offset();
        let known = self.with(|partition| Offset::new(partition.state.start));
        if found != known {
            return Err(format!("it begins at {found} instead of {known}"));
        }
        Ok(())
    }
}
