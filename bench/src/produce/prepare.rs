//! What is made before a run: connections, and requests for the partitions of each.

use super::sender::{Group, Sender};
use crate::control::Control;
use crate::deal::{Hand, deal};
use crate::error::BenchError;
use crate::options::ProduceOptions;
use crate::payload::Payload;
use crate::socket::Socket;
use crate::target::{Target, TargetPartition};
use crate::template::{Template, Writer};
use bytes::Bytes;
use net_client::Acks;
use net_protocol::init_producer_id::InitProducerIdRequest;
use net_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use net_protocol::{ApiKey, Records, request_frame};
use std::collections::BTreeSet;

/// Senders, the version they speak, and the batches of a request.
pub struct Prepared {
    /// One a connection.
    pub senders: Vec<Sender>,
    /// Of Produce.
    pub version: i16,
    /// At least so many batches are in a request.
    pub batches_per_request: usize,
}

/// Connects. With `is_exclusive` no partition may be written by two connections, so that batches come
/// in the order in which they were meant to leave.
pub fn prepare(
    options: &ProduceOptions,
    payload: &Payload,
    target: &Target,
    is_exclusive: bool,
) -> Result<Prepared, BenchError> {
    let hands = deal(target, options.common.connections);
    let places = hands.iter().flat_map(|hand| &hand.partitions);
    let distinct: BTreeSet<usize> = places.clone().map(|(place, _)| *place).collect();
    if is_exclusive && distinct.len() < places.count() {
        let what = "an end to end run needs a partition of its own for each connection";
        return Err(BenchError::Options(what));
    }
    let mut prepared = Prepared {
        senders: Vec::new(),
        version: 0,
        batches_per_request: usize::MAX,
    };
    for hand in hands {
        prepared.connect(options, payload, target, hand)?;
    }
    Ok(prepared)
}

impl Prepared {
    fn connect(
        &mut self,
        options: &ProduceOptions,
        payload: &Payload,
        target: &Target,
        hand: Hand,
    ) -> Result<(), BenchError> {
        let common = &options.common;
        let mut control = Control::connect(&[hand.address], &common.client_id, common.timeout)?;
        self.version = control.version(ApiKey::Produce)?;
        let writer = if options.is_idempotent {
            Some(ask_producer_id(&mut control)?)
        } else {
            None
        };
        let mut groups = Vec::new();
        for partitions in hand.partitions.chunks(options.partitions_per_request) {
            self.batches_per_request = self.batches_per_request.min(partitions.len());
            let frame = encode(options, target, partitions, payload, self.version)?;
            groups.push(Group {
                template: Template::new(frame, &payload.batch, options.is_idempotent),
                places: partitions.iter().map(|(place, _)| *place).collect(),
                sequences: vec![0; partitions.len()],
            });
        }
        let (address, stream) = control.into_parts();
        self.senders.push(Sender::new(
            Socket::new(address, stream)?,
            groups,
            writer,
            self.version,
            payload,
        ));
        Ok(())
    }
}

fn ask_producer_id(control: &mut Control) -> Result<Writer, BenchError> {
    let response = control.call(InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..InitProducerIdRequest::default()
    })?;
    if response.error_code.is_error() {
        return Err(net_client::ClientError::Broker {
            api: ApiKey::InitProducerId,
            code: response.error_code,
        }
        .into());
    }
    Ok(Writer {
        id: response.producer_id,
        epoch: response.producer_epoch,
    })
}

fn encode(
    options: &ProduceOptions,
    target: &Target,
    partitions: &[(usize, TargetPartition)],
    payload: &Payload,
    version: i16,
) -> Result<Vec<Bytes>, BenchError> {
    let common = &options.common;
    let data = |(_, partition): &(usize, TargetPartition)| PartitionProduceData {
        index: partition.index,
        records: Some(Records::from(payload.batch.clone())),
    };
    let request = ProduceRequest {
        acks: match options.acks {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        },
        timeout_ms: i32::try_from(common.timeout.as_millis()).unwrap_or(i32::MAX),
        topic_data: vec![TopicProduceData {
            name: common.topic.clone(),
            topic_id: target.id,
            partition_data: partitions.iter().map(data).collect(),
        }],
        ..ProduceRequest::default()
    };
    Ok(request_frame(
        version,
        0,
        Some(&common.client_id),
        &request,
    )?)
}
