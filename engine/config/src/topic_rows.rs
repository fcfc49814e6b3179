//! The rows of topic settings: all of Kafka 4.3.1's, and ours.
//!
//! Where a row narrows what Kafka allows, its text says so.

use crate::setting::{Allowed, Kind, Setting};
use engine_model::limits;

const NEVER: &str = "9223372036854775807";

/// The largest `max.message.bytes`; the limit itself is checked against
/// [`limits::BATCH_BYTES_MAX`] by a test.
pub(crate) const MESSAGE_BYTES_MAX: i64 = 32 << 20;
const _: () = assert!(limits::BATCH_BYTES_MAX == 32 << 20);

pub(crate) const COMPRESSION_TYPES: &[&str] =
    &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
pub(crate) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];
pub(crate) const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
pub(crate) const DURABILITY_CLASSES: &[&str] = &["fsync", "written"];

/// Every setting a topic can have, in order of their names.
pub const TOPIC_SETTINGS: &[Setting] = &[
    Setting::topic("cleanup.policy", Kind::List, "delete")
        .allow(Allowed::ListOf(CLEANUP_POLICIES))
        .defaults_to_broker(&["log.cleanup.policy"])
        .doc("What happens to old records: `delete` drops them by time and size, `compact` keeps the last one of each key. A topic that is compacted refuses records without a key."),
    Setting::topic("compression.gzip.level", Kind::Int, "-1")
        .allow(Allowed::RangeOrMinusOne { min: 1, max: 9 })
        .defaults_to_broker(&["compression.gzip.level"])
        .not_yet()
        .doc("The level for `compression.type=gzip`; -1 is the library's own."),
    Setting::topic("compression.lz4.level", Kind::Int, "9")
        .within(1, 17)
        .defaults_to_broker(&["compression.lz4.level"])
        .not_yet()
        .doc("The level for `compression.type=lz4`."),
    Setting::topic("compression.type", Kind::Text, "producer")
        .allow(Allowed::OneOf(COMPRESSION_TYPES))
        .defaults_to_broker(&["compression.type"])
        .doc("How the broker stores batches. `producer` keeps them as they came, which costs nothing; anything else opens and packs every batch that came in another form."),
    Setting::topic("compression.zstd.level", Kind::Int, "3")
        .within(-131_072, 22)
        .defaults_to_broker(&["compression.zstd.level"])
        .not_yet()
        .doc("The level for `compression.type=zstd`."),
    Setting::topic("delete.retention.ms", Kind::Long, "86400000")
        .millis()
        .at_least(0)
        .defaults_to_broker(&["log.cleaner.delete.retention.ms"])
        .doc("How long a compacted topic keeps tombstones."),
    Setting::topic("durability", Kind::Text, "fsync")
        .allow(Allowed::OneOf(DURABILITY_CLASSES))
        .defaults_to_broker(&["durability"])
        .ours()
        .doc("When a record counts as kept. `fsync`: once it is flushed to the medium, so it survives a power cut. `written`: once it left the process, so it survives a killed broker; flushed within a second. `flush.messages=1` means `fsync`."),
    Setting::topic("file.delete.delay.ms", Kind::Long, "60000")
        .millis()
        .at_least(0)
        .defaults_to_broker(&["log.segment.delete.delay.ms"])
        .doc("How long files of deleted data may stay on disk."),
    Setting::topic("flush.messages", Kind::Long, NEVER)
        .at_least(1)
        .defaults_to_broker(&["log.flush.interval.messages"])
        .doc("1 sets `durability=fsync`; other values change nothing, because a batch is flushed by its class and not by a count."),
    Setting::topic("flush.ms", Kind::Long, NEVER)
        .millis()
        .at_least(0)
        .defaults_to_broker(&["log.flush.interval.ms", "log.flush.scheduler.interval.ms"])
        .not_yet()
        .doc("Kafka's longest time between flushes. Ours follow from `durability`."),
    Setting::topic("follower.replication.throttled.replicas", Kind::List, "")
        .allow(Allowed::ThrottledReplicas)
        .not_yet()
        .doc("Replicas whose catching up is slowed down on the follower's side."),
    Setting::topic("index.interval.bytes", Kind::Int, "4096")
        .bytes()
        .at_least(0)
        .defaults_to_broker(&["log.index.interval.bytes"])
        .not_yet()
        .doc("Kafka's distance between index entries. Ours stand at fixed places."),
    Setting::topic("leader.replication.throttled.replicas", Kind::List, "")
        .allow(Allowed::ThrottledReplicas)
        .not_yet()
        .doc("Replicas whose catching up is slowed down on the leader's side."),
    Setting::topic("local.retention.bytes", Kind::Long, "-2")
        .bytes()
        .at_least(-2)
        .defaults_to_broker(&["log.local.retention.bytes"])
        .not_yet()
        .doc("For tiered storage, which this broker does not have."),
    Setting::topic("local.retention.ms", Kind::Long, "-2")
        .millis()
        .at_least(-2)
        .defaults_to_broker(&["log.local.retention.ms"])
        .not_yet()
        .doc("For tiered storage, which this broker does not have."),
    Setting::topic("max.compaction.lag.ms", Kind::Long, NEVER)
        .millis()
        .at_least(1)
        .defaults_to_broker(&["log.cleaner.max.compaction.lag.ms"])
        .doc("The longest a record of a compacted topic stays out of reach of compaction."),
    Setting::topic("max.message.bytes", Kind::Int, "1048588")
        .bytes()
        .within(0, MESSAGE_BYTES_MAX)
        .defaults_to_broker(&["message.max.bytes"])
        .doc("The largest batch that is accepted. At most 32 MiB, where Kafka allows 2 GiB."),
    Setting::topic("message.timestamp.after.max.ms", Kind::Long, "3600000")
        .millis()
        .at_least(0)
        .defaults_to_broker(&["log.message.timestamp.after.max.ms"])
        .doc("How far a producer's time of a record may lie ahead of the broker's clock."),
    Setting::topic("message.timestamp.before.max.ms", Kind::Long, NEVER)
        .millis()
        .at_least(0)
        .defaults_to_broker(&["log.message.timestamp.before.max.ms"])
        .doc("How far a producer's time of a record may lie behind the broker's clock."),
    Setting::topic("message.timestamp.type", Kind::Text, "CreateTime")
        .allow(Allowed::OneOf(TIMESTAMP_TYPES))
        .defaults_to_broker(&["log.message.timestamp.type"])
        .doc("Whose time a record carries: the producer's (`CreateTime`) or the broker's at the append (`LogAppendTime`)."),
    Setting::topic("min.cleanable.dirty.ratio", Kind::Double, "0.5")
        .allow(Allowed::Ratio)
        .defaults_to_broker(&["log.cleaner.min.cleanable.ratio"])
        .doc("The share of a compacted log that must be uncompacted before it is compacted again."),
    Setting::topic("min.compaction.lag.ms", Kind::Long, "0")
        .millis()
        .at_least(0)
        .defaults_to_broker(&["log.cleaner.min.compaction.lag.ms"])
        .doc("The shortest time a record of a compacted topic stays as it was written."),
    Setting::topic("min.insync.replicas", Kind::Int, "1")
        .at_least(1)
        .defaults_to_broker(&["min.insync.replicas"])
        .doc("How many replicas must be in sync for acks=all to be taken."),
    Setting::topic("preallocate", Kind::Boolean, "false")
        .defaults_to_broker(&["log.preallocate"])
        .not_yet()
        .doc("Kafka's preallocation of segment files. Ours are always allocated ahead."),
    Setting::topic("remote.log.copy.disable", Kind::Boolean, "false")
        .not_yet()
        .doc("For tiered storage, which this broker does not have."),
    Setting::topic("remote.log.delete.on.disable", Kind::Boolean, "false")
        .not_yet()
        .doc("For tiered storage, which this broker does not have."),
    Setting::topic("remote.storage.enable", Kind::Boolean, "false")
        .not_yet()
        .doc("For tiered storage, which this broker does not have; `true` is refused."),
    Setting::topic("retention.bytes", Kind::Long, "-1")
        .bytes()
        .defaults_to_broker(&["log.retention.bytes"])
        .doc("The size of a partition beyond which its oldest records are dropped; -1 is no limit."),
    Setting::topic("retention.ms", Kind::Long, "604800000")
        .millis()
        .at_least(-1)
        .defaults_to_broker(&["log.retention.ms", "log.retention.minutes", "log.retention.hours"])
        .doc("The age beyond which records are dropped; -1 is no limit."),
    Setting::topic("segment.bytes", Kind::Int, "1073741824")
        .bytes()
        .at_least(1 << 20)
        .defaults_to_broker(&["log.segment.bytes"])
        .doc("A segment is closed when it would grow past this."),
    Setting::topic("segment.index.bytes", Kind::Int, "10485760")
        .bytes()
        .at_least(4)
        .defaults_to_broker(&["log.index.size.max.bytes"])
        .not_yet()
        .doc("Kafka's size of an index file. Ours live inside of segments."),
    Setting::topic("segment.jitter.ms", Kind::Long, "0")
        .millis()
        .at_least(0)
        .defaults_to_broker(&["log.roll.jitter.ms", "log.roll.jitter.hours"])
        .doc("How much earlier than `segment.ms` a segment may be closed, at random."),
    Setting::topic("segment.ms", Kind::Long, "604800000")
        .millis()
        .at_least(1)
        .defaults_to_broker(&["log.roll.ms", "log.roll.hours"])
        .doc("The age at which a segment is closed."),
    Setting::topic("unclean.leader.election.enable", Kind::Boolean, "false")
        .defaults_to_broker(&["unclean.leader.election.enable"])
        .not_yet()
        .doc("Whether a replica that is not in sync may lead, at the price of lost records."),
];
