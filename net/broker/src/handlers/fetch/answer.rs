//! The answer to a Fetch: what was found, laid out, and what becomes of the session.

use engine_model::{ErrorCode, TopicPartition};
use engine_shard::Mark;
use net_protocol::Records;
use net_protocol::fetch::{
    EpochEndOffset, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use replication_metadata::MetadataImage;

use super::round::{Round, Slot};
use super::{Limits, Scope};
use crate::broker::Broker;
use crate::fetch_set::{FetchSet, Place};
use crate::question::FetchAnswer;

/// The response, and the end of the request for its session.
pub(super) fn respond(broker: &Broker, round: Round<'_>, mut scope: Scope) -> FetchResponse {
    let limits = *round.limits();
    let mut slots = round.into_slots();
    limit(&mut slots, limits.bytes_max);
    let image = broker.image();
    let is_incremental = matches!(scope, Scope::Session(_));
    let set = scope.set();
    let mut responses = Vec::new();
    let mut settled = Settled::default();
    for slot in &mut slots {
        let Some(place) = set.place(slot.part) else {
            continue;
        };
        let answer = core::mem::take(&mut slot.answer);
        let data = data(answer, &place, &limits, &image);
        let answered = set.answered(slot.part, &data);
        if answered.is_settled {
            settled.add(slot);
        }
        if answered.is_news || !is_incremental {
            add(&mut responses, place, data);
        }
    }
    let session_id = match scope {
        Scope::Once(_) => 0,
        Scope::New(mut set) => {
            // Without room for what watches them there is no session.
            let session = broker.watchers().waits().enter().ok().and_then(|waiter| {
                set.keep(waiter);
                settled.settle(&mut set);
                let now = engine_rt::now();
                broker.sessions().create(set, limits.is_follower, now).ok()
            });
            session.unwrap_or(0)
        }
        Scope::Session(mut using) => {
            settled.settle(&mut using.set);
            let id = using.id;
            // Closed or evicted meanwhile: the next request is told.
            broker.sessions().end(using, engine_rt::now());
            id
        }
    };
    FetchResponse {
        session_id,
        responses,
        ..FetchResponse::default()
    }
}

/// Leaves out records above the limit: owners answered at the same time and may have read more
/// together. The first records stay, however many they are.
fn limit(slots: &mut [Slot], bytes_max: usize) {
    let mut bytes = 0_usize;
    for slot in slots {
        let sum = bytes.saturating_add(slot.answer.bytes);
        if bytes > 0 && sum > bytes_max {
            slot.answer.chunks = Vec::new();
            slot.answer.bytes = 0;
        } else {
            bytes = sum;
        }
    }
}

/// Partitions that may be let go of, in runs of one mark.
#[derive(Default)]
struct Settled {
    runs: Vec<(Mark, Vec<TopicPartition>, Vec<usize>)>,
}

impl Settled {
    fn add(&mut self, slot: &Slot) {
        let Some(wanted) = slot.wanted else {
            return;
        };
        match self.runs.last_mut() {
            Some((mark, keys, parts)) if *mark == slot.mark => {
                keys.push(wanted.partition);
                parts.push(slot.part);
            }
            _ => self
                .runs
                .push((slot.mark, vec![wanted.partition], vec![slot.part])),
        }
    }

    /// What cannot be watched stays due.
    fn settle(self, set: &mut FetchSet) {
        let Some(waiter) = set.waiter() else {
            return;
        };
        for (mark, keys, parts) in self.runs {
            if waiter.watch(&keys, mark).is_ok() {
                for part in parts {
                    set.settle(part);
                }
            }
        }
    }
}

fn add(responses: &mut Vec<FetchableTopicResponse>, place: Place, data: PartitionData) {
    match responses.last_mut() {
        Some(last) if last.topic_id == place.topic_id && last.topic == place.topic => {
            last.partitions.push(data);
        }
        _ => responses.push(FetchableTopicResponse {
            topic: place.topic,
            topic_id: place.topic_id,
            partitions: vec![data],
        }),
    }
}

fn data(
    answer: FetchAnswer,
    place: &Place,
    limits: &Limits,
    image: &MetadataImage,
) -> PartitionData {
    let is_elsewhere = limits.names_leaders
        && matches!(
            answer.error,
            ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH
        );
    let leader = is_elsewhere
        .then(|| image.topic(place.topic_id)?.partition(place.partition))
        .flatten();
    PartitionData {
        partition_index: place.partition,
        error_code: answer.error,
        high_watermark: answer.high_watermark,
        last_stable_offset: answer.last_stable_offset,
        log_start_offset: answer.log_start_offset,
        diverging_epoch: answer
            .diverging
            .map_or_else(EpochEndOffset::default, |(epoch, end_offset)| {
                EpochEndOffset { epoch, end_offset }
            }),
        current_leader: leader.map_or_else(LeaderIdAndEpoch::default, |leader| LeaderIdAndEpoch {
            leader_id: leader.leader,
            leader_epoch: leader.leader_epoch,
        }),
        // No transactions yet, so none is aborted; null says that nobody asked.
        aborted_transactions: limits.read_committed.then(Vec::new),
        records: Some(Records::from(answer.chunks)),
        ..PartitionData::default()
    }
}

#[cfg(test)]
mod tests;
