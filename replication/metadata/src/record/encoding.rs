//! How metadata records look as bytes: the value of a record in a v2 batch. See FORMAT.md.
//!
//! ```text
//! record   = format:u8 (1) kind:varint version:varint body
//! varint   = unsigned base-128; signed fields are zigzag
//! text     = bytes:varint UTF-8
//! list     = count:varint items
//! option   = 0 | 1 item
//! uuid     = 16 bytes
//! body     = the fields of the kind in the order they stand below; nothing may follow
//! ```
//! A change of a body is a new version of its kind; versions that were ever released stay readable.
//! Keeps: what is encoded decodes to itself; no input allocates more than a small multiple of its
//! own length.

use super::{BrokerRecord, ConfigResource, MetadataRecord, PartitionChangeRecord, PartitionRecord};
use bytes::{BufMut, Bytes, BytesMut};
use engine_codec::varint;
use engine_config::Endpoint;
use engine_model::{
    ClusterId, DirectoryId, LeaderEpoch, NodeId, PartitionIndex, ProducerId, TopicId, TopicName,
};

const FORMAT: u8 = 1;
const VERSION: u32 = 1;

const KIND_CLUSTER: u32 = 1;
const KIND_FEATURE: u32 = 2;
const KIND_BROKER: u32 = 3;
const KIND_TOPIC: u32 = 4;
const KIND_PARTITION: u32 = 5;
const KIND_PARTITION_CHANGE: u32 = 6;
const KIND_TOPIC_REMOVED: u32 = 7;
const KIND_CONFIG: u32 = 8;
const KIND_PRODUCER_IDS: u32 = 9;

const RESOURCE_TOPIC: u32 = 1;
const RESOURCE_BROKER: u32 = 2;
const RESOURCE_ALL_BROKERS: u32 = 3;

/// Why bytes are no metadata record this release can read. The replica must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Written by a newer release, or not a metadata record.
    #[error("metadata record of format {found}; this release reads {FORMAT}")]
    UnknownFormat {
        /// The format.
        found: u8,
    },
    /// Written by a newer release.
    #[error("metadata record of unknown kind {found}; a newer release wrote it")]
    UnknownKind {
        /// The kind.
        found: u32,
    },
    /// Written by a newer release.
    #[error("metadata record of kind {kind} in version {found}; this release reads {VERSION}")]
    UnknownVersion {
        /// The kind.
        kind: u32,
        /// The version.
        found: u32,
    },
    /// The bytes end early.
    #[error("metadata record ends inside a field")]
    Truncated,
    /// More bytes than the kind has.
    #[error("metadata record has {count} bytes too many")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A field that holds what it cannot hold.
    #[error("metadata record of kind {kind} has an invalid field")]
    InvalidField {
        /// The kind.
        kind: u32,
    },
    /// A record without a value.
    #[error("metadata record without a value")]
    NoValue,
}

impl MetadataRecord {
    /// The record as bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        out.put_u8(FORMAT);
        varint::write_unsigned(&mut out, u64::from(self.kind()));
        varint::write_unsigned(&mut out, u64::from(VERSION));
        self.write_body(&mut out);
        out.freeze()
    }

    /// Reads a record off all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (format, mut rest) = bytes.split_first().ok_or(RecordError::Truncated)?;
        if *format != FORMAT {
            return Err(RecordError::UnknownFormat { found: *format });
        }
        let kind = varint::read_u32(&mut rest).map_err(|_| RecordError::Truncated)?;
        let version = varint::read_u32(&mut rest).map_err(|_| RecordError::Truncated)?;
        if !(KIND_CLUSTER..=KIND_PRODUCER_IDS).contains(&kind) {
            return Err(RecordError::UnknownKind { found: kind });
        }
        if version != VERSION {
            return Err(RecordError::UnknownVersion {
                kind,
                found: version,
            });
        }
        let mut body = Body { kind, rest };
        let record = Self::read_body(&mut body)?;
        match body.rest.len() {
            0 => Ok(record),
            count => Err(RecordError::TrailingBytes { count }),
        }
    }

    fn kind(&self) -> u32 {
        match self {
            Self::Cluster { .. } => KIND_CLUSTER,
            Self::Feature { .. } => KIND_FEATURE,
            Self::Broker(_) => KIND_BROKER,
            Self::Topic { .. } => KIND_TOPIC,
            Self::Partition(_) => KIND_PARTITION,
            Self::PartitionChange(_) => KIND_PARTITION_CHANGE,
            Self::TopicRemoved { .. } => KIND_TOPIC_REMOVED,
            Self::Config { .. } => KIND_CONFIG,
            Self::ProducerIds { .. } => KIND_PRODUCER_IDS,
        }
    }

    fn write_body(&self, out: &mut BytesMut) {
        match self {
            Self::Cluster { cluster_id } => out.put_slice(&cluster_id.to_bytes()),
            Self::Feature { name, level } => {
                write_text(out, name);
                varint::write_signed(out, i64::from(*level));
            }
            Self::Broker(broker) => broker.write(out),
            Self::Topic {
                topic_id,
                name,
                wanted_replication_factor,
            } => {
                out.put_slice(&topic_id.to_bytes());
                write_text(out, name.as_str());
                varint::write_signed(out, i64::from(*wanted_replication_factor));
            }
            Self::Partition(partition) => partition.write(out),
            Self::PartitionChange(change) => change.write(out),
            Self::TopicRemoved { topic_id } => out.put_slice(&topic_id.to_bytes()),
            Self::Config {
                resource,
                key,
                value,
            } => {
                write_resource(out, *resource);
                write_text(out, key);
                write_option(out, value.as_ref(), |out, value| write_text(out, value));
            }
            Self::ProducerIds {
                node_id,
                broker_epoch,
                next,
            } => {
                varint::write_signed(out, i64::from(node_id.0));
                varint::write_signed(out, *broker_epoch);
                varint::write_signed(out, next.0);
            }
        }
    }

    fn read_body(body: &mut Body<'_>) -> Result<Self, RecordError> {
        Ok(match body.kind {
            KIND_CLUSTER => Self::Cluster {
                cluster_id: ClusterId::from_bytes(body.uuid()?),
            },
            KIND_FEATURE => Self::Feature {
                name: body.text()?,
                level: body.number()?,
            },
            KIND_BROKER => Self::Broker(BrokerRecord::read(body)?),
            KIND_TOPIC => Self::Topic {
                topic_id: TopicId::from_bytes(body.uuid()?),
                name: TopicName::new(&body.text()?).map_err(|_| body.invalid())?,
                wanted_replication_factor: body.number()?,
            },
            KIND_PARTITION => Self::Partition(PartitionRecord::read(body)?),
            KIND_PARTITION_CHANGE => Self::PartitionChange(PartitionChangeRecord::read(body)?),
            KIND_TOPIC_REMOVED => Self::TopicRemoved {
                topic_id: TopicId::from_bytes(body.uuid()?),
            },
            KIND_CONFIG => Self::Config {
                resource: body.resource()?,
                key: body.text()?,
                value: body.option(Body::text)?,
            },
            KIND_PRODUCER_IDS => Self::ProducerIds {
                node_id: NodeId(body.number()?),
                broker_epoch: body.number()?,
                next: ProducerId(body.number()?),
            },
            found => return Err(RecordError::UnknownKind { found }),
        })
    }
}

impl BrokerRecord {
    fn write(&self, out: &mut BytesMut) {
        varint::write_signed(out, i64::from(self.node_id.0));
        varint::write_signed(out, self.epoch);
        out.put_slice(&self.incarnation);
        out.put_slice(&self.directory.to_bytes());
        out.put_u8(u8::from(self.was_clean));
        write_list(out, &self.endpoints, |out, endpoint| {
            write_text(out, &endpoint.listener);
            write_text(out, &endpoint.host);
            out.put_u16(endpoint.port);
        });
        write_option(out, self.rack.as_ref(), |out, rack| write_text(out, rack));
    }

    fn read(body: &mut Body<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            node_id: NodeId(body.number()?),
            epoch: body.number()?,
            incarnation: body.uuid()?,
            directory: DirectoryId::from_bytes(body.uuid()?),
            was_clean: body.boolean()?,
            endpoints: body.list(|body| {
                Ok(Endpoint {
                    listener: body.text()?,
                    host: body.text()?,
                    port: u16::from_be_bytes(body.array()?),
                })
            })?,
            rack: body.option(Body::text)?,
        })
    }
}

impl PartitionRecord {
    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.topic_id.to_bytes());
        varint::write_signed(out, i64::from(self.partition.get()));
        write_nodes(out, &self.replicas);
        write_list(out, &self.directories, |out, id| {
            out.put_slice(&id.to_bytes());
        });
        write_nodes(out, &self.isr);
        varint::write_signed(out, i64::from(self.leader.0));
        varint::write_signed(out, i64::from(self.leader_epoch.get()));
    }

    fn read(body: &mut Body<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            topic_id: TopicId::from_bytes(body.uuid()?),
            partition: PartitionIndex::new(body.number()?),
            replicas: body.nodes()?,
            directories: body.list(|body| Ok(DirectoryId::from_bytes(body.uuid()?)))?,
            isr: body.nodes()?,
            leader: NodeId(body.number()?),
            leader_epoch: LeaderEpoch::new(body.number()?),
        })
    }
}

impl PartitionChangeRecord {
    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.topic_id.to_bytes());
        varint::write_signed(out, i64::from(self.partition.get()));
        varint::write_signed(out, i64::from(self.partition_epoch));
        varint::write_signed(out, i64::from(self.leader.0));
        varint::write_signed(out, i64::from(self.leader_epoch.get()));
        write_nodes(out, &self.isr);
        write_nodes(out, &self.elr);
    }

    fn read(body: &mut Body<'_>) -> Result<Self, RecordError> {
        Ok(Self {
            topic_id: TopicId::from_bytes(body.uuid()?),
            partition: PartitionIndex::new(body.number()?),
            partition_epoch: body.number()?,
            leader: NodeId(body.number()?),
            leader_epoch: LeaderEpoch::new(body.number()?),
            isr: body.nodes()?,
            elr: body.nodes()?,
        })
    }
}

fn write_count(out: &mut BytesMut, count: usize) {
    // A length in memory fits 64 bits on every machine there is.
    varint::write_unsigned(out, u64::try_from(count).unwrap_or(u64::MAX));
}

fn write_text(out: &mut BytesMut, text: &str) {
    write_count(out, text.len());
    out.put_slice(text.as_bytes());
}

fn write_list<T>(out: &mut BytesMut, items: &[T], write: impl Fn(&mut BytesMut, &T)) {
    write_count(out, items.len());
    for item in items {
        write(out, item);
    }
}

fn write_nodes(out: &mut BytesMut, nodes: &[NodeId]) {
    write_list(out, nodes, |out, node| {
        varint::write_signed(out, i64::from(node.0));
    });
}

fn write_option<T>(out: &mut BytesMut, item: Option<&T>, write: impl Fn(&mut BytesMut, &T)) {
    out.put_u8(u8::from(item.is_some()));
    if let Some(item) = item {
        write(out, item);
    }
}

fn write_resource(out: &mut BytesMut, resource: ConfigResource) {
    match resource {
        ConfigResource::Topic(topic_id) => {
            varint::write_unsigned(out, u64::from(RESOURCE_TOPIC));
            out.put_slice(&topic_id.to_bytes());
        }
        ConfigResource::Broker(node_id) => {
            varint::write_unsigned(out, u64::from(RESOURCE_BROKER));
            varint::write_signed(out, i64::from(node_id.0));
        }
        ConfigResource::AllBrokers => {
            varint::write_unsigned(out, u64::from(RESOURCE_ALL_BROKERS));
        }
    }
}

/// What is left of a record, read from its front.
struct Body<'a> {
    kind: u32,
    rest: &'a [u8],
}

impl Body<'_> {
    fn invalid(&self) -> RecordError {
        RecordError::InvalidField { kind: self.kind }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], RecordError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(RecordError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        self.take(N)?.try_into().map_err(|_| RecordError::Truncated)
    }

    fn uuid(&mut self) -> Result<[u8; 16], RecordError> {
        self.array()
    }

    fn boolean(&mut self) -> Result<bool, RecordError> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(self.invalid()),
        }
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, RecordError> {
        let number = varint::read_i64(&mut self.rest).map_err(|_| RecordError::Truncated)?;
        T::try_from(number).map_err(|_| self.invalid())
    }

    /// A count of items or bytes, each of which takes a byte at the least.
    fn count(&mut self) -> Result<usize, RecordError> {
        let count = varint::read_u64(&mut self.rest).map_err(|_| RecordError::Truncated)?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(RecordError::Truncated),
        }
    }

    fn text(&mut self) -> Result<String, RecordError> {
        let count = self.count()?;
        let invalid = self.invalid();
        let bytes = self.take(count)?.to_vec();
        String::from_utf8(bytes).map_err(|_| invalid)
    }

    fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let count = self.count()?;
        (0..count).map(|_| read(self)).collect()
    }

    fn nodes(&mut self) -> Result<Vec<NodeId>, RecordError> {
        self.list(|body| Ok(NodeId(body.number()?)))
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        if self.boolean()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    fn resource(&mut self) -> Result<ConfigResource, RecordError> {
        match varint::read_u32(&mut self.rest).map_err(|_| RecordError::Truncated)? {
            RESOURCE_TOPIC => Ok(ConfigResource::Topic(TopicId::from_bytes(self.uuid()?))),
            RESOURCE_BROKER => Ok(ConfigResource::Broker(NodeId(self.number()?))),
            RESOURCE_ALL_BROKERS => Ok(ConfigResource::AllBrokers),
            _ => Err(self.invalid()),
        }
    }
}

#[cfg(test)]
mod tests;
