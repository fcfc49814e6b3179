//! Which connection serves which partitions.

use crate::target::{Target, TargetPartition};

/// What one connection serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hand {
    /// The broker, as HOST:PORT.
    pub address: String,
    /// Partitions that this broker leads, by their places in the target.
    pub partitions: Vec<(usize, TargetPartition)>,
}

/// Deals every leader's partitions to the connections to it; where there are fewer partitions than
/// connections, several share one. There are at least as many connections as leaders.
pub fn deal(target: &Target, connections: usize) -> Vec<Hand> {
    let leaders = target.brokers.len().max(1);
    let connections = connections.max(leaders);
    let mut hands = Vec::new();
    for (place, (node, address)) in target.brokers.iter().enumerate() {
        let led: Vec<_> = target
            .partitions
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, partition)| partition.leader == *node)
            .collect();
        let own = (connections + leaders - 1 - place) / leaders;
        for connection in 0..own {
            let partitions = if led.len() >= own {
                led.iter().skip(connection).step_by(own).copied().collect()
            } else {
                let place = connection % led.len().max(1);
                led.get(place).copied().into_iter().collect()
            };
            hands.push(Hand {
                address: address.clone(),
                partitions,
            });
        }
    }
    hands
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine_model::{NodeId, Offset, PartitionIndex, TopicId};
    use std::collections::BTreeMap;

    fn dealt(leaders: &[i32], connections: usize) -> Vec<(String, Vec<i32>)> {
        let partitions = leaders
            .iter()
            .zip(0..)
            .map(|(leader, index)| TargetPartition {
                index: PartitionIndex::new(index),
                leader: NodeId(*leader),
                start: Offset::ZERO,
                end: Offset::ZERO,
            });
        let brokers: BTreeMap<_, _> = leaders
            .iter()
            .map(|leader| (NodeId(*leader), format!("b{leader}")))
            .collect();
        let target = Target {
            id: TopicId::ZERO,
            is_new: true,
            partitions: partitions.collect(),
            brokers,
        };
        let numbers = |hand: &Hand| hand.partitions.iter().map(|(_, p)| p.index.get()).collect();
        deal(&target, connections)
            .iter()
            .map(|hand| (hand.address.clone(), numbers(hand)))
            .collect()
    }

    #[test]
    fn every_partition_is_served_by_its_leader_and_every_connection_has_work() {
        let hand = |address: &str, partitions: &[i32]| (address.to_owned(), partitions.to_vec());
        for (leaders, connections, expected) in [
            (&[1][..], 1, vec![hand("b1", &[0])]),
            (&[1], 2, vec![hand("b1", &[0]), hand("b1", &[0])]),
            (&[1, 1, 1], 2, vec![hand("b1", &[0, 2]), hand("b1", &[1])]),
            (&[1, 2, 1], 1, vec![hand("b1", &[0, 2]), hand("b2", &[1])]),
            (
                &[1, 2, 1],
                3,
                vec![hand("b1", &[0]), hand("b1", &[2]), hand("b2", &[1])],
            ),
        ] {
            assert_eq!(dealt(leaders, connections), expected);
        }
    }
}
