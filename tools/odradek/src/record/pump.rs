//! Moves records from whoever has them through a producer to the brokers.
//!
//! Keeps: requests are on their way while more records are taken; the producer's own limits bound
//! what waits. After the first batch that cannot be delivered nothing more is taken.

use super::input::{Input, Next};
use crate::driver::Driver;
use crate::failure::{Failure, Kind};
use engine_model::{Offset, PartitionIndex};
use net_client::{NewRecord, Producer, PushError, Step};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long records wait for company when the input has no more at the moment.
const LINGER: Duration = Duration::from_millis(5);
/// After so many bytes of records what has come back is looked at.
const TURN_BYTES: usize = 64 << 10;

/// What became of the records of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// How many there are.
    pub record_count: i64,
    /// Offset of the first, where the broker told.
    pub first_offset: Option<i64>,
    /// Offset of the last, where the broker told.
    pub last_offset: Option<i64>,
}

/// See the module's own words.
pub struct Pump<'a> {
    driver: &'a mut Driver,
    producer: Producer,
    delivered: BTreeMap<PartitionIndex, Delivered>,
    failure: Option<Failure>,
    /// Bytes taken since the last look at what has come back.
    taken_bytes: usize,
}

impl<'a> Pump<'a> {
    /// A pump that has moved nothing yet.
    pub const fn new(driver: &'a mut Driver, producer: Producer) -> Self {
        Self {
            driver,
            producer,
            delivered: BTreeMap::new(),
            failure: None,
            taken_bytes: 0,
        }
    }

    /// What was delivered so far.
    pub const fn delivered(&self) -> &BTreeMap<PartitionIndex, Delivered> {
        &self.delivered
    }

    /// The next piece of the input, while what was taken before goes out; `None` at its end, or
    /// after a failure.
    pub fn next_piece(&mut self, input: &mut Input) -> Result<Option<bytes::Bytes>, Failure> {
        let mut wait = Some(Duration::ZERO);
        while self.failure.is_none() {
            match input.next(wait)? {
                Next::Piece(piece) => return Ok(Some(piece)),
                Next::End => return Ok(None),
                Next::Pending => {}
            }
            if wait.is_some_and(|wait| !wait.is_zero()) {
                // A person at a terminal, or a slow pipe: what there is goes out now.
                self.producer.flush(self.driver.now())?;
            }
            self.turn(false)?;
            let is_idle = self.producer.is_drained() && !self.driver.is_in_flight();
            wait = (!is_idle).then_some(LINGER);
        }
        Ok(None)
    }

    /// Takes a record; waits where the producer has no room.
    pub fn push(&mut self, record: &NewRecord) -> Result<(), Failure> {
        while self.failure.is_none() {
            match self.producer.push(self.driver.now(), record) {
                Ok(()) => {
                    let length =
                        |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
                    let bytes = length(&record.key).saturating_add(length(&record.value));
                    self.taken_bytes = self.taken_bytes.saturating_add(bytes);
                    if self.taken_bytes >= TURN_BYTES {
                        self.taken_bytes = 0;
                        self.turn(false)?;
                    }
                    return Ok(());
                }
                Err(PushError::Full | PushError::NotReady) => self.turn(true)?,
                Err(PushError::Refused(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends everything and waits for what becomes of it.
    ///
    /// Errors: the first failure of a delivery.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.producer.flush(self.driver.now())?;
        while !self.producer.is_drained() && self.failure.is_none() {
            self.turn(true)?;
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Sends what can be sent and takes what has come back; with `may_wait` something has.
    fn turn(&mut self, may_wait: bool) -> Result<(), Failure> {
        let wait_until = loop {
            match self.producer.poll(self.driver.now()) {
                Step::Send(exchange) => {
                    self.driver.launch(&exchange);
                }
                Step::Wait(moment) => break Some(moment),
                Step::Idle => break None,
            }
        };
        let mut has_landed = false;
        while let Some(landed) = self.driver.land(None) {
            has_landed = true;
            self.answer(landed);
        }
        if may_wait && !has_landed {
            if self.driver.is_in_flight() {
                let latest = self.driver.now().saturating_add(self.driver.timeout());
                let until = wait_until.map_or(latest, |moment| moment.min(latest));
                if let Some(landed) = self.driver.land(Some(until)) {
                    self.answer(landed);
                }
            } else if let Some(moment) = wait_until {
                self.driver.sleep_until(moment);
            } else if !self.producer.is_drained() && !self.producer.has_failed() {
                return Err(Failure::new(Kind::Failed, "the producer is stuck"));
            }
        }
        self.take_deliveries();
        Ok(())
    }

    fn answer(&mut self, landed: crate::driver::Landed) {
        let now = self.driver.now();
        if let Some(answer) = landed.result.transpose() {
            self.producer.on_answer(now, landed.token, answer);
        }
    }

    fn take_deliveries(&mut self) {
        for delivery in self.producer.take_deliveries() {
            let offset = match delivery.result {
                Ok(offset) => offset.map(Offset::get),
                Err(error) => {
                    self.failure.get_or_insert_with(|| error.into());
                    continue;
                }
            };
            let count = i64::from(delivery.record_count);
            let row = self.delivered.entry(delivery.partition).or_default();
            row.record_count = row.record_count.saturating_add(count);
            if let Some(offset) = offset {
                row.first_offset.get_or_insert(offset);
                row.last_offset = Some(offset.saturating_add(count).saturating_sub(1));
            }
        }
    }
}
