"""confluent-kafka: librdkafka as Python sees it."""

import time

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin import NewPartitions, NewTopic, OffsetSpec

from rig import Refused, raw, serve, shown_record

PATIENCE_S = 60


def refusal(error):
    # Codes below zero are librdkafka's own, except -1, which is Kafka's UNKNOWN_SERVER_ERROR.
    return Refused(error.code() if error.code() >= -1 else None, error.str())


def result(future):
    try:
        return future.result(PATIENCE_S)
    except KafkaException as failure:
        raise refusal(failure.args[0]) from failure


def place(at):
    return {"beginning": OFFSET_BEGINNING, "end": OFFSET_END}.get(at, at)


class SendingProducer:
    NAMES = {
        "acks": "acks",
        "compression": "compression.type",
        "idempotent": "enable.idempotence",
        "linger_ms": "linger.ms",
        "batch_bytes": "batch.size",
        "request_bytes_max": "message.max.bytes",
        "metadata_age_ms": "topic.metadata.refresh.interval.ms",
    }

    def __init__(self, address, settings):
        config = {
            "bootstrap.servers": address,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "message.timeout.ms": 120_000,
        }
        config.update({self.NAMES[name]: value for name, value in settings.items()})
        self.producer = Producer(config)

    def send(self, topic, record, done):
        def delivered(error, message):
            if error is not None:
                done(refusal(error).shown())
            else:
                done({"partition": message.partition(), "offset": message.offset()})

        options = {}
        if record.get("partition") is not None:
            options["partition"] = record["partition"]
        if record.get("timestamp") is not None:
            options["timestamp"] = record["timestamp"]
        headers = [(name, raw(content)) for name, content in record.get("headers", [])]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.producer.produce(
                    topic,
                    value=raw(record.get("value")),
                    key=raw(record.get("key")),
                    headers=headers,
                    on_delivery=delivered,
                    **options,
                )
                break
            except BufferError:
                if time.monotonic() > deadline:
                    raise
                self.producer.poll(0.01)
            except KafkaException as failure:
                raise refusal(failure.args[0]) from failure
        self.producer.poll(0)

    def flush(self):
        self.producer.flush()

    def close(self):
        self.producer.flush()


class PollingConsumer:
    NAMES = {
        "fetch_wait_ms": "fetch.wait.max.ms",
        "fetch_bytes_max": "fetch.max.bytes",
        "partition_bytes_max": "max.partition.fetch.bytes",
        "reset": "auto.offset.reset",
        "isolation": "isolation.level",
    }

    def __init__(self, address, settings):
        config = {
            "bootstrap.servers": address,
            "group.id": "assigned-by-hand",
            "enable.auto.commit": False,
            "check.crcs": True,
            "receive.message.max.bytes": 200_000_000,
            "topic.metadata.refresh.interval.ms": 1000,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
        }
        for name, value in settings.items():
            config[self.NAMES[name]] = "error" if (name, value) == ("reset", "none") else value
        # librdkafka insists that a fetch is no smaller than a request to produce may be.
        if "fetch_bytes_max" in settings:
            config["message.max.bytes"] = settings["fetch_bytes_max"]
        # Never more than a fetch asks for is kept, else a slow consumer would not be slow.
        if "partition_bytes_max" in settings:
            config["queued.max.messages.kbytes"] = max(1, settings["partition_bytes_max"] // 1024)
        self.consumer = Consumer(config)

    def assign(self, partitions):
        self.consumer.assign([TopicPartition(topic, number, place(at)) for topic, number, at in partitions])

    def seek(self, topic, partition, at):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.consumer.seek(TopicPartition(topic, partition, place(at)))
            except KafkaException as failure:
                # A partition that was only just assigned cannot be sought in yet.
                if failure.args[0].code() != KafkaError._STATE or time.monotonic() > deadline:
                    raise refusal(failure.args[0]) from failure
                time.sleep(0.01)

    def position(self, topic, partition):
        return self.consumer.position([TopicPartition(topic, partition)])[0].offset

    def poll(self, count, wait_ms):
        records, errors = [], []
        deadline = time.monotonic() + wait_ms / 1000
        while len(records) < count and (left := deadline - time.monotonic()) > 0:
            for message in self.consumer.consume(count - len(records), min(left, 0.1)):
                if message.error() is not None:
                    errors.append(refusal(message.error()).shown())
                else:
                    records.append(
                        shown_record(
                            message.topic(),
                            message.partition(),
                            message.offset(),
                            message.timestamp()[1],
                            message.key(),
                            message.value(),
                            message.headers(),
                        )
                    )
        return {"records": records, "errors": errors}

    def close(self):
        self.consumer.close()


class Confluent:
    def __init__(self, address):
        self.address = address
        self.admin = AdminClient({"bootstrap.servers": address})

    def producer(self, settings):
        return SendingProducer(self.address, settings)

    def consumer(self, settings):
        return PollingConsumer(self.address, settings)

    def create_topic(self, topic, partitions=-1, settings=None, validate_only=False, assignment=None):
        options = {"replica_assignment": assignment} if assignment else {"replication_factor": 1}
        new = NewTopic(topic, len(assignment) if assignment else partitions, config=settings or {}, **options)
        result(self.admin.create_topics([new], validate_only=validate_only, operation_timeout=PATIENCE_S)[topic])

    def delete_topic(self, topic):
        result(self.admin.delete_topics([topic], operation_timeout=PATIENCE_S)[topic])

    def topics(self):
        return sorted(self.admin.list_topics(timeout=PATIENCE_S).topics)

    def describe_topic(self, topic):
        found = result(self.admin.describe_topics(TopicCollection([topic]))[topic])
        return {
            "id": str(found.topic_id),
            "partitions": [
                {
                    "partition": partition.id,
                    "leader": partition.leader.id,
                    "replicas": [node.id for node in partition.replicas],
                    "isr": [node.id for node in partition.isr],
                }
                for partition in found.partitions
            ],
        }

    def create_partitions(self, topic, total):
        result(self.admin.create_partitions([NewPartitions(topic, total)], operation_timeout=PATIENCE_S)[topic])

    def delete_records(self, topic, partition, before):
        asked = TopicPartition(topic, partition, before)
        deleted = self.admin.delete_records([asked], operation_timeout=PATIENCE_S)
        return result(deleted[TopicPartition(topic, partition)]).low_watermark

    def offsets(self, topic, partition, at):
        spec = {
            "earliest": OffsetSpec.earliest,
            "latest": OffsetSpec.latest,
            "max_timestamp": OffsetSpec.max_timestamp,
        }.get(at, lambda: OffsetSpec.for_timestamp(at))()
        asked = TopicPartition(topic, partition)
        found = result(self.admin.list_offsets({asked: spec})[asked])
        return {"offset": found.offset, "timestamp": found.timestamp, "epoch": found.leader_epoch}

    def describe_configs(self, kind, name):
        asked = ConfigResource(ConfigResource.Type[kind.upper()], name)
        found = result(self.admin.describe_configs([asked])[asked])
        return {
            entry.name: {
                "value": entry.value,
                "default": entry.is_default,
                "read_only": entry.is_read_only,
                "sensitive": entry.is_sensitive,
                "source": entry.source,
            }
            for entry in found.values()
        }

    def alter_configs(self, kind, name, set=None, unset=(), validate_only=False):
        changes = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in (set or {}).items()
        ]
        changes += [ConfigEntry(key, None, incremental_operation=AlterConfigOpType.DELETE) for key in unset]
        asked = ConfigResource(ConfigResource.Type[kind.upper()], name, incremental_configs=changes)
        result(self.admin.incremental_alter_configs([asked], validate_only=validate_only)[asked])

    def describe_cluster(self):
        found = result(self.admin.describe_cluster())
        return {
            "id": found.cluster_id,
            "controller": found.controller.id,
            "brokers": [{"id": node.id, "address": f"{node.host}:{node.port}"} for node in found.nodes],
        }


serve(Confluent)
