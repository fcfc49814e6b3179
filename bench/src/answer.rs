//! Answers read in place: only what is counted is looked at.
//!
//! Keeps: bytes that are no answer are an error, never a panic. Source: the tables of `net_protocol`,
//! which the tests hold this against in every version.

use crate::error::BenchError;
use engine_model::{ErrorCode, PartitionIndex};
use net_protocol::ApiKey;

/// From this version on Produce is flexible.
const PRODUCE_FLEXIBLE: i16 = 9;
/// From this version on Produce names topics by their ids.
const PRODUCE_TOPIC_IDS: i16 = 13;

/// From this version on Fetch is flexible.
const FETCH_FLEXIBLE: i16 = 12;
/// From this version on Fetch names topics by their ids.
const FETCH_TOPIC_IDS: i16 = 13;

/// Bytes that are looked at one after the other.
struct Cursor<'a> {
    api: ApiKey,
    rest: &'a [u8],
    is_flexible: bool,
}

impl<'a> Cursor<'a> {
    const fn bad(&self, what: &'static str) -> BenchError {
        BenchError::BadAnswer {
            api: self.api,
            what,
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], BenchError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.bad("it ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BenchError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.bad("it ends too early"))
    }

    fn i16(&mut self) -> Result<i16, BenchError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    fn i32(&mut self) -> Result<i32, BenchError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, BenchError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn varint(&mut self) -> Result<u32, BenchError> {
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.bad("a number goes on for too long"))
    }

    /// A length that may be null, which counts as zero.
    fn length(&mut self) -> Result<usize, BenchError> {
        let length = if self.is_flexible {
            usize::try_from(self.varint()?.saturating_sub(1)).ok()
        } else {
            usize::try_from(self.i32()?.max(0)).ok()
        };
        length.ok_or(self.bad("a length is none"))
    }

    fn skip_string(&mut self) -> Result<(), BenchError> {
        let length = if self.is_flexible {
            self.length()?
        } else {
            usize::try_from(self.i16()?.max(0)).unwrap_or(0)
        };
        self.take(length)?;
        Ok(())
    }

    fn skip_tags(&mut self) -> Result<(), BenchError> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
            self.take(size)?;
        }
        Ok(())
    }

    /// Reads the header and checks that the answer is the one that is due.
    fn header(&mut self, correlation_id: i32) -> Result<(), BenchError> {
        if self.i32()? != correlation_id {
            return Err(self.bad("it answers another request than the oldest"));
        }
        self.skip_tags()
    }
}

/// Reads a Produce answer; `each` is told partition, error code and offset of the first record.
pub fn produce(
    version: i16,
    correlation_id: i32,
    frame: &[u8],
    mut each: impl FnMut(PartitionIndex, ErrorCode, i64) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    let mut cursor = Cursor {
        api: ApiKey::Produce,
        rest: frame,
        is_flexible: version >= PRODUCE_FLEXIBLE,
    };
    cursor.header(correlation_id)?;
    for _ in 0..cursor.length()? {
        if version >= PRODUCE_TOPIC_IDS {
            cursor.take(16)?;
        } else {
            cursor.skip_string()?;
        }
        for _ in 0..cursor.length()? {
            let index = PartitionIndex::new(cursor.i32()?);
            let code = ErrorCode(cursor.i16()?);
            let base_offset = cursor.i64()?;
            // Time of append from version 2, start of the log from version 5.
            let fixed = [(2, 8), (5, 8)];
            for (_, bytes) in fixed.iter().filter(|(from, _)| version >= *from) {
                cursor.take(*bytes)?;
            }
            if version >= 8 {
                for _ in 0..cursor.length()? {
                    cursor.i32()?;
                    cursor.skip_string()?;
                    cursor.skip_tags()?;
                }
                cursor.skip_string()?;
            }
            cursor.skip_tags()?;
            each(index, code, base_offset)?;
        }
        cursor.skip_tags()?;
    }
    Ok(())
}

/// What stands at the top of a Fetch answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchTop {
    /// What went wrong with the whole request.
    pub code: ErrorCode,
    /// The session, 0 for none.
    pub session_id: i32,
}

/// What a Fetch answer says of one partition.
#[derive(Clone, Copy, Debug)]
pub struct FetchedPartition<'a> {
    /// Its number.
    pub index: PartitionIndex,
    /// What went wrong.
    pub code: ErrorCode,
    /// Its record batches; the last may be cut off.
    pub records: &'a [u8],
}

/// Reads a Fetch answer of version 4 or higher; `each` is told its partitions.
pub fn fetch(
    version: i16,
    correlation_id: i32,
    frame: &[u8],
    mut each: impl FnMut(FetchedPartition<'_>) -> Result<(), BenchError>,
) -> Result<FetchTop, BenchError> {
    let mut cursor = Cursor {
        api: ApiKey::Fetch,
        rest: frame,
        is_flexible: version >= FETCH_FLEXIBLE,
    };
    cursor.header(correlation_id)?;
    // The throttle time.
    cursor.i32()?;
    let mut top = FetchTop {
        code: ErrorCode::NONE,
        session_id: 0,
    };
    if version >= 7 {
        top.code = ErrorCode(cursor.i16()?);
        top.session_id = cursor.i32()?;
    }
    for _ in 0..cursor.length()? {
        if version >= FETCH_TOPIC_IDS {
            cursor.take(16)?;
        } else {
            cursor.skip_string()?;
        }
        for _ in 0..cursor.length()? {
            let index = PartitionIndex::new(cursor.i32()?);
            let code = ErrorCode(cursor.i16()?);
            // High watermark and last stable offset; from version 5 the start of the log.
            cursor.take(if version >= 5 { 24 } else { 16 })?;
            for _ in 0..cursor.length()? {
                // An aborted transaction.
                cursor.take(16)?;
                cursor.skip_tags()?;
            }
            if version >= 11 {
                // The replica to read from.
                cursor.i32()?;
            }
            let length = cursor.length()?;
            let records = cursor.take(length)?;
            cursor.skip_tags()?;
            each(FetchedPartition {
                index,
                code,
                records,
            })?;
        }
        cursor.skip_tags()?;
    }
    Ok(top)
}

/// The correlation id of an answer.
pub fn correlation_id(frame: &[u8]) -> Option<i32> {
    frame.first_chunk().copied().map(i32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use engine_model::{Offset, ProducerId, Timestamp};
    use net_protocol::fetch::{
        AbortedTransaction, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
    };
    use net_protocol::produce::{
        BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
    };
    use net_protocol::{Message, Records, Text, response_frame};

    fn response(version: i16) -> ProduceResponse {
        let partition = |index: i32| PartitionProduceResponse {
            index: PartitionIndex::new(index),
            error_code: ErrorCode(i16::try_from(index).unwrap()),
            base_offset: Offset::new(i64::from(index) << 33),
            log_append_time_ms: Timestamp(5),
            log_start_offset: Offset::new(6),
            record_errors: if version >= 8 {
                vec![BatchIndexAndErrorMessage {
                    batch_index: 3,
                    batch_index_error_message: Some(Text::from("bad")),
                }]
            } else {
                Vec::new()
            },
            error_message: (version >= 8 && index == 1).then(|| Text::from("words")),
            ..PartitionProduceResponse::default()
        };
        ProduceResponse {
            responses: (0..2)
                .map(|_| TopicProduceResponse {
                    name: if version < 13 {
                        Text::from("bench")
                    } else {
                        Text::EMPTY
                    },
                    partition_responses: vec![partition(0), partition(1), partition(300)],
                    ..TopicProduceResponse::default()
                })
                .collect(),
            throttle_time_ms: 0,
            ..ProduceResponse::default()
        }
    }

    #[test]
    fn produce_answers_are_read_as_the_tables_write_them_and_cuts_are_errors() {
        for version in ProduceResponse::VERSIONS {
            let frame = response_frame(version, 9, &response(version))
                .unwrap()
                .concat();
            let frame = &frame[4..];
            let read = |frame: &[u8]| {
                let mut seen = Vec::new();
                produce(version, 9, frame, |index, code, offset| {
                    seen.push((index.get(), code.0, offset));
                    Ok(())
                })
                .map(|()| seen)
            };
            let one = [(0, 0, 0), (1, 1, 1 << 33), (300, 300, 300 << 33)];
            assert_eq!(
                read(frame).unwrap(),
                [one, one].concat(),
                "version {version}"
            );
            assert!(produce(version, 8, frame, |_, _, _| Ok(())).is_err());
            // What follows the last partition is not looked at.
            let whole = (0..frame.len())
                .find(|cut| read(&frame[..*cut]).is_ok())
                .unwrap_or(frame.len());
            assert!(whole + 8 >= frame.len(), "version {version}");
        }
    }

    #[test]
    fn fetch_answers_are_read_as_the_tables_write_them_and_cuts_are_errors() {
        for version in FetchResponse::VERSIONS.filter(|version| *version >= 4) {
            let partition = |index: i32, records: Option<&'static [u8]>| PartitionData {
                partition_index: PartitionIndex::new(index),
                error_code: ErrorCode(i16::try_from(index).unwrap()),
                high_watermark: Offset::new(7),
                aborted_transactions: Some(vec![AbortedTransaction {
                    producer_id: ProducerId(4),
                    first_offset: Offset::new(5),
                }]),
                current_leader: match version {
                    12.. => LeaderIdAndEpoch {
                        leader_id: engine_model::NodeId(3),
                        ..LeaderIdAndEpoch::default()
                    },
                    _ => LeaderIdAndEpoch::default(),
                },
                records: records.map(|records| Records::from(Bytes::from_static(records))),
                ..PartitionData::default()
            };
            let named = version < 13;
            let response = FetchResponse {
                error_code: ErrorCode(if version >= 7 { 70 } else { 0 }),
                session_id: if version >= 7 { 1 << 30 } else { 0 },
                responses: (0..2)
                    .map(|_| FetchableTopicResponse {
                        topic: if named {
                            Text::from("bench")
                        } else {
                            Text::EMPTY
                        },
                        partitions: vec![partition(0, Some(b"abc")), partition(300, None)],
                        ..FetchableTopicResponse::default()
                    })
                    .collect(),
                ..FetchResponse::default()
            };
            let frame = response_frame(version, 9, &response).unwrap().concat();
            let frame = &frame[4..];
            let read = |frame: &[u8]| {
                let mut seen = Vec::new();
                fetch(version, 9, frame, |partition| {
                    let records = partition.records.to_vec();
                    seen.push((partition.index.get(), partition.code.0, records));
                    Ok(())
                })
                .map(|top| (top, seen))
            };
            let one = [(0, 0, b"abc".to_vec()), (300, 300, Vec::new())];
            let (top, seen) = read(frame).unwrap();
            assert_eq!(seen, [one.clone(), one].concat(), "version {version}");
            assert_eq!(top.code, response.error_code, "version {version}");
            assert_eq!(top.session_id, response.session_id, "version {version}");
            // What follows the last topic is not looked at: a byte at most.
            for cut in 0..frame.len() - 1 {
                assert!(read(&frame[..cut]).is_err(), "version {version} cut {cut}");
            }
        }
    }
}
