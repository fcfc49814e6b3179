//! The rows of broker settings that mean something here.
//!
//! The broker settings that topic defaults come from carry the same types and ranges as the
//! topic's. Kafka's other broker settings stand in `unused`, by name.

use crate::setting::{Allowed, Kind, Setting};
use crate::topic_rows::{
    CLEANUP_POLICIES, COMPRESSION_TYPES, DURABILITY_CLASSES, MESSAGE_BYTES_MAX, TIMESTAMP_TYPES,
};

const NEVER: Option<&str> = Some("9223372036854775807");

/// Every broker setting that this release knows what to do with, in order of their names.
pub const BROKER_SETTINGS: &[Setting] = &[
    Setting::broker("advertised.listeners", Kind::List, None)
        .doc("The addresses that clients are told. Unset: to each client the address it came to."),
    Setting::broker("auto.create.topics.enable", Kind::Boolean, Some("true"))
        .doc("Whether asking for a topic that does not exist creates it."),
    Setting::broker("broker.id", Kind::Int, Some("-1"))
        .at_least(-1)
        .doc("The older name of `node.id`."),
    Setting::broker("broker.rack", Kind::Text, None)
        .doc("The rack this broker stands in."),
    Setting::broker("compression.gzip.level", Kind::Int, Some("-1"))
        .allow(Allowed::RangeOrMinusOne { min: 1, max: 9 })
        .not_yet()
        .dynamic()
        .doc("Default of the topic setting of the same name."),
    Setting::broker("compression.lz4.level", Kind::Int, Some("9"))
        .within(1, 17)
        .not_yet()
        .dynamic()
        .doc("Default of the topic setting of the same name."),
    Setting::broker("compression.type", Kind::Text, Some("producer"))
        .allow(Allowed::OneOf(COMPRESSION_TYPES))
        .dynamic()
        .doc("Default of the topic setting of the same name."),
    Setting::broker("compression.zstd.level", Kind::Int, Some("3"))
        .within(-131_072, 22)
        .not_yet()
        .dynamic()
        .doc("Default of the topic setting of the same name."),
    Setting::broker("connections.max.idle.ms", Kind::Long, Some("600000"))
        .millis()
        .doc("A connection that says nothing for this long is closed; -1 is never."),
    Setting::broker("controller.listener.names", Kind::List, Some(""))
        .doc("Listeners meant for controllers. This broker is its own controller and does not open them."),
    Setting::broker("data.dir", Kind::Text, Some("./odradek-data"))
        .ours()
        .doc("The directory that holds everything; made when it is not there. Stronger than Kafka's `log.dirs` and `log.dir` where several are set in one place."),
    Setting::broker("default.replication.factor", Kind::Int, Some("1"))
        .within(1, 32767)
        .doc("Replicas of a topic that is created without saying how many."),
    Setting::broker("delete.topic.enable", Kind::Boolean, Some("true"))
        .doc("Whether clients may delete topics."),
    Setting::broker("durability", Kind::Text, Some("fsync"))
        .allow(Allowed::OneOf(DURABILITY_CLASSES))
        .ours()
        .dynamic()
        .doc("Default of the topic setting of the same name."),
    Setting::broker("fetch.max.bytes", Kind::Int, Some("57671680"))
        .bytes()
        .at_least(1024)
        .doc("The most bytes of records that one answer carries, a single larger batch aside."),
    Setting::broker("lane.bytes", Kind::Long, Some("268435456"))
        .bytes()
        .within(16 << 20, 64 << 30)
        .ours()
        .doc("Size of each shard's redo log. It bounds how long recovery takes after a crash, and the memory the logs take: it is in memory until a checkpoint, and caches of up to half its size beside it."),
    Setting::broker("listener.security.protocol.map", Kind::List, Some("PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"))
        .doc("Which protocol each listener name speaks. Only PLAINTEXT is spoken here."),
    Setting::broker("listeners", Kind::List, Some("PLAINTEXT://127.0.0.1:9092"))
        .doc("Addresses to listen on, as `NAME://HOST:PORT` or `HOST:PORT`. No host means every address; port 0 picks a free one. Kafka's default listens on every address, ours on loopback."),
    Setting::broker("log.cleaner.backoff.ms", Kind::Long, Some("15000"))
        .millis()
        .at_least(0)
        .doc("How long compaction rests when there is nothing to compact."),
    Setting::broker("log.cleaner.dedupe.buffer.size", Kind::Long, Some("134217728"))
        .bytes()
        .doc("The most memory compaction takes for the keys it looks at in one go, all shards together; at least 1 MiB for each."),
    Setting::broker("log.cleaner.delete.retention.ms", Kind::Long, Some("86400000"))
        .millis()
        .at_least(0)
        .dynamic()
        .doc("Default of `delete.retention.ms`."),
    Setting::broker("log.cleaner.enable", Kind::Boolean, Some("true"))
        .doc("Whether topics with `cleanup.policy=compact` are compacted."),
    Setting::broker("log.cleaner.io.max.bytes.per.second", Kind::Double, Some("1.7976931348623157E308"))
        .doc("The most bytes a second that compaction reads and writes, all shards together; less than 1 counts as 1."),
    Setting::broker("log.cleaner.max.compaction.lag.ms", Kind::Long, NEVER)
        .millis()
        .at_least(1)
        .dynamic()
        .doc("Default of `max.compaction.lag.ms`."),
    Setting::broker("log.cleaner.min.cleanable.ratio", Kind::Double, Some("0.5"))
        .allow(Allowed::Ratio)
        .dynamic()
        .doc("Default of `min.cleanable.dirty.ratio`."),
    Setting::broker("log.cleaner.min.compaction.lag.ms", Kind::Long, Some("0"))
        .millis()
        .at_least(0)
        .dynamic()
        .doc("Default of `min.compaction.lag.ms`."),
    Setting::broker("log.cleanup.policy", Kind::List, Some("delete"))
        .allow(Allowed::ListOf(CLEANUP_POLICIES))
        .dynamic()
        .doc("Default of `cleanup.policy`."),
    Setting::broker("log.dir", Kind::List, None)
        .doc("The data directory, if neither `data.dir` nor `log.dirs` is set."),
    Setting::broker("log.dirs", Kind::List, None)
        .doc("The data directory, if `data.dir` is not set. One; several come later."),
    Setting::broker("log.flush.interval.messages", Kind::Long, NEVER)
        .at_least(1)
        .dynamic()
        .doc("Default of `flush.messages`."),
    Setting::broker("log.flush.interval.ms", Kind::Long, None)
        .millis()
        .not_yet()
        .dynamic()
        .doc("Default of `flush.ms`."),
    Setting::broker("log.flush.scheduler.interval.ms", Kind::Long, NEVER)
        .millis()
        .not_yet()
        .doc("Default of `flush.ms`, if `log.flush.interval.ms` is not set."),
    Setting::broker("log.index.interval.bytes", Kind::Int, Some("4096"))
        .bytes()
        .at_least(0)
        .not_yet()
        .dynamic()
        .doc("Default of `index.interval.bytes`."),
    Setting::broker("log.index.size.max.bytes", Kind::Int, Some("10485760"))
        .bytes()
        .at_least(4)
        .not_yet()
        .dynamic()
        .doc("Default of `segment.index.bytes`."),
    Setting::broker("log.local.retention.bytes", Kind::Long, Some("-2"))
        .bytes()
        .at_least(-2)
        .not_yet()
        .dynamic()
        .doc("Default of `local.retention.bytes`."),
    Setting::broker("log.local.retention.ms", Kind::Long, Some("-2"))
        .millis()
        .at_least(-2)
        .not_yet()
        .dynamic()
        .doc("Default of `local.retention.ms`."),
    Setting::broker("log.message.timestamp.after.max.ms", Kind::Long, Some("3600000"))
        .millis()
        .at_least(0)
        .dynamic()
        .doc("Default of `message.timestamp.after.max.ms`."),
    Setting::broker("log.message.timestamp.before.max.ms", Kind::Long, NEVER)
        .millis()
        .at_least(0)
        .dynamic()
        .doc("Default of `message.timestamp.before.max.ms`."),
    Setting::broker("log.message.timestamp.type", Kind::Text, Some("CreateTime"))
        .allow(Allowed::OneOf(TIMESTAMP_TYPES))
        .dynamic()
        .doc("Default of `message.timestamp.type`."),
    Setting::broker("log.preallocate", Kind::Boolean, Some("false"))
        .not_yet()
        .dynamic()
        .doc("Default of `preallocate`."),
    Setting::broker("log.retention.bytes", Kind::Long, Some("-1"))
        .bytes()
        .dynamic()
        .doc("Default of `retention.bytes`."),
    Setting::broker("log.retention.check.interval.ms", Kind::Long, Some("300000"))
        .millis()
        .at_least(1)
        .doc("How often logs are looked at for records whose time or size is up; besides, soon after a topic's settings change."),
    Setting::broker("log.retention.hours", Kind::Int, Some("168"))
        .hours()
        .doc("Default of `retention.ms`, in hours."),
    Setting::broker("log.retention.minutes", Kind::Int, None)
        .minutes()
        .doc("Default of `retention.ms`, in minutes; stronger than hours."),
    Setting::broker("log.retention.ms", Kind::Long, None)
        .millis()
        .at_least(-1)
        .dynamic()
        .doc("Default of `retention.ms`; stronger than minutes."),
    Setting::broker("log.roll.hours", Kind::Int, Some("168"))
        .hours()
        .at_least(1)
        .doc("Default of `segment.ms`, in hours."),
    Setting::broker("log.roll.jitter.hours", Kind::Int, Some("0"))
        .hours()
        .at_least(0)
        .doc("Default of `segment.jitter.ms`, in hours."),
    Setting::broker("log.roll.jitter.ms", Kind::Long, None)
        .millis()
        .at_least(0)
        .dynamic()
        .doc("Default of `segment.jitter.ms`; stronger than hours."),
    Setting::broker("log.roll.ms", Kind::Long, None)
        .millis()
        .at_least(1)
        .dynamic()
        .doc("Default of `segment.ms`; stronger than hours."),
    Setting::broker("log.scrub.bytes.per.second", Kind::Long, Some("4194304"))
        .bytes()
        .within(4096, 1 << 40)
        .ours()
        .doc("How fast each shard reads its segments again to find rot, at most."),
    Setting::broker("log.scrub.interval.ms", Kind::Long, Some("604800000"))
        .millis()
        .at_least(0)
        .ours()
        .doc("How often each shard reads all its segments again to find rot; 0 is never."),
    Setting::broker("log.segment.bytes", Kind::Int, Some("1073741824"))
        .bytes()
        .at_least(1 << 20)
        .dynamic()
        .doc("Default of `segment.bytes`."),
    Setting::broker("log.segment.delete.delay.ms", Kind::Long, Some("60000"))
        .millis()
        .at_least(0)
        .dynamic()
        .doc("Default of `file.delete.delay.ms`."),
    Setting::broker("max.connection.creation.rate", Kind::Int, Some("2147483647"))
        .at_least(1)
        .doc("The most new connections a second, a second's worth at once; later ones wait to be accepted."),
    Setting::broker("max.connections", Kind::Int, Some("2147483647"))
        .at_least(0)
        .doc("The most connections at a time; later ones are closed at once. There may be fewer where `queued.max.request.bytes` is small: half of what it leaves beside one largest request is for connections, 8 KiB each."),
    Setting::broker("max.connections.per.ip", Kind::Int, Some("2147483647"))
        .at_least(0)
        .doc("The most connections of one address at a time; later ones are closed at once."),
    Setting::broker("max.connections.per.ip.overrides", Kind::List, Some(""))
        .doc("Other limits for some addresses, as `ADDRESS:COUNT`. Names of hosts, which Kafka allows, are refused here."),
    Setting::broker("max.incremental.fetch.session.cache.slots", Kind::Int, Some("1000"))
        .at_least(0)
        .doc("How many fetch sessions are kept, all shards together; a client without one names its partitions each time."),
    Setting::broker("message.max.bytes", Kind::Int, Some("1048588"))
        .bytes()
        .within(0, MESSAGE_BYTES_MAX)
        .dynamic()
        .doc("Default of `max.message.bytes`. At most 32 MiB, where Kafka allows 2 GiB."),
    Setting::broker("min.insync.replicas", Kind::Int, Some("1"))
        .at_least(1)
        .dynamic()
        .doc("Default of the topic setting of the same name."),
    Setting::broker("node.id", Kind::Int, Some("1"))
        .at_least(0)
        .doc("The number of this broker in its cluster. Kafka has no default, ours is 1."),
    Setting::broker("num.partitions", Kind::Int, Some("1"))
        .within(1, 10_000)
        .doc("Partitions of a topic that is created without saying how many."),
    Setting::broker("producer.id.expiration.ms", Kind::Int, Some("86400000"))
        .millis()
        .at_least(1)
        .dynamic()
        .doc("How long the last batches of a silent producer are remembered."),
    Setting::broker("queued.max.request.bytes", Kind::Long, Some("-1"))
        .bytes()
        .at_least(-1)
        .doc("The most memory for connections, requests and answers at a time, all shards together; further ones wait. At least `socket.request.max.bytes`, as in Kafka. -1 is an eighth of the memory this process may use, from 256 MiB to 1 GiB, where Kafka has no limit then."),
    Setting::broker("shards", Kind::Int, Some("0"))
        .within(0, 256)
        .ours()
        .doc("Pinned threads that own partitions; 0 is one for each core this process may use."),
    Setting::broker("socket.request.max.bytes", Kind::Int, Some("104857600"))
        .bytes()
        .within(1, 1 << 30)
        .doc("The largest request; a longer one closes its connection."),
    Setting::broker("storage.min.free.bytes", Kind::Long, Some("268435456"))
        .bytes()
        .at_least(0)
        .ours()
        .doc("Free space of the disk below which appends are refused with an error that clients retry; reads, deletes and retention go on, and appends are taken again once there is room. More is kept free while more than this waits in memory for its segment. 0 switches the watch off."),
    Setting::broker("unclean.leader.election.enable", Kind::Boolean, Some("false"))
        .not_yet()
        .dynamic()
        .doc("Default of the topic setting of the same name."),
    Setting::broker("watchdog.timeout.ms", Kind::Int, Some("10000"))
        .millis()
        .at_least(1000)
        .ours()
        .doc("A shard that has not turned for this long is reported; one that stays so ends the process."),
];
