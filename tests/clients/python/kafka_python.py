"""kafka-python: a client written in Python alone."""

import re
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource
from kafka.errors import KafkaError, for_code

from rig import Refused, raw, serve, shown_record

PATIENCE_MS = 60_000
RECONNECT = {"reconnect_backoff_ms": 20, "reconnect_backoff_max_ms": 200}


def refusal(error):
    return Refused(getattr(error, "errno", None), f"{type(error).__name__}: {error}")


def refused(call, *arguments, **options):
    try:
        return call(*arguments, **options)
    except KafkaError as error:
        raise refusal(error) from error


class SendingProducer:
    NAMES = {
        "acks": "acks",
        "compression": "compression_type",
        "idempotent": "enable_idempotence",
        "linger_ms": "linger_ms",
        "batch_bytes": "batch_size",
        "request_bytes_max": "max_request_size",
        "metadata_age_ms": "metadata_max_age_ms",
    }

    def __init__(self, address, settings):
        config = {self.NAMES[name]: value for name, value in settings.items()}
        if config.get("compression_type") == "none":
            del config["compression_type"]
        if config.get("acks") in ("0", "1"):
            config["acks"] = int(config["acks"])
        self.producer = KafkaProducer(bootstrap_servers=address, **RECONNECT, **config)

    def send(self, topic, record, done):
        future = refused(
            self.producer.send,
            topic,
            value=raw(record.get("value")),
            key=raw(record.get("key")),
            headers=[(name, raw(content)) for name, content in record.get("headers", [])],
            partition=record.get("partition"),
            timestamp_ms=record.get("timestamp"),
        )
        future.add_callback(lambda placed: done({"partition": placed.partition, "offset": placed.offset}))
        future.add_errback(lambda error: done(refusal(error).shown()))

    def flush(self):
        self.producer.flush()

    def close(self):
        self.producer.close()


class PollingConsumer:
    NAMES = {
        "fetch_wait_ms": "fetch_max_wait_ms",
        "fetch_bytes_max": "fetch_max_bytes",
        "partition_bytes_max": "max_partition_fetch_bytes",
        "reset": "auto_offset_reset",
        "isolation": "isolation_level",
    }

    def __init__(self, address, settings):
        config = {self.NAMES[name]: value for name, value in settings.items()}
        self.consumer = KafkaConsumer(
            bootstrap_servers=address, enable_auto_commit=False, metadata_max_age_ms=1000, **RECONNECT, **config
        )

    def assign(self, partitions):
        self.consumer.assign([TopicPartition(topic, number) for topic, number, _ in partitions])
        for topic, number, at in partitions:
            self.seek(topic, number, at)

    def seek(self, topic, partition, at):
        asked = TopicPartition(topic, partition)
        if at == "beginning":
            self.consumer.seek_to_beginning(asked)
        elif at == "end":
            self.consumer.seek_to_end(asked)
        else:
            self.consumer.seek(asked, at)

    def position(self, topic, partition):
        return refused(self.consumer.position, TopicPartition(topic, partition), timeout_ms=PATIENCE_MS)

    def poll(self, count, wait_ms):
        records, errors = [], []
        deadline = time.monotonic() + wait_ms / 1000
        while len(records) < count and (left := deadline - time.monotonic()) > 0:
            try:
                polled = self.consumer.poll(timeout_ms=min(left * 1000, 100), max_records=count - len(records))
            except KafkaError as error:
                errors.append(refusal(error).shown())
                continue
            for seen in (record for batch in polled.values() for record in batch):
                records.append(
                    shown_record(
                        seen.topic, seen.partition, seen.offset, seen.timestamp, seen.key, seen.value, seen.headers
                    )
                )
        return {"records": records, "errors": errors}

    def close(self):
        self.consumer.close()


class KafkaPython:
    def __init__(self, address):
        self.address = address
        self.admin = KafkaAdminClient(bootstrap_servers=address)

    def producer(self, settings):
        return SendingProducer(self.address, settings)

    def consumer(self, settings):
        return PollingConsumer(self.address, settings)

    def create_topic(self, topic, partitions=-1, settings=None, validate_only=False, assignment=None):
        new = {"num_partitions": partitions, "replication_factor": 1, "configs": settings or {}}
        if assignment:
            new = {"assignments": dict(enumerate(assignment)), "configs": settings or {}}
        refused(self.admin.create_topics, {topic: new}, timeout_ms=PATIENCE_MS, validate_only=validate_only)

    def delete_topic(self, topic):
        refused(self.admin.delete_topics, [topic], timeout_ms=PATIENCE_MS)

    def topics(self):
        return sorted(refused(self.admin.list_topics))

    def describe_topic(self, topic):
        found = refused(self.admin.describe_topic_partitions, [topic])["topics"][0]
        if found["error_code"]:
            raise Refused(found["error_code"], for_code(found["error_code"]).__name__)
        return {
            "id": str(found["topic_id"]),
            "partitions": [
                {
                    "partition": partition["partition_index"],
                    "leader": partition["leader_id"],
                    "replicas": partition["replica_nodes"],
                    "isr": partition["isr_nodes"],
                }
                for partition in found["partitions"]
            ],
        }

    def create_partitions(self, topic, total):
        refused(self.admin.create_partitions, {topic: total}, timeout_ms=PATIENCE_MS)

    def delete_records(self, topic, partition, before):
        asked = TopicPartition(topic, partition)
        return refused(self.admin.delete_records, {asked: before}, timeout_ms=PATIENCE_MS)[asked]["low_watermark"]

    def offsets(self, topic, partition, at):
        asked = TopicPartition(topic, partition)
        spec = at if isinstance(at, int) else OffsetSpec[at.upper()]
        found = refused(self.admin.list_partition_offsets, {asked: spec})[asked]
        return {"offset": found.offset, "timestamp": found.timestamp, "epoch": found.leader_epoch}

    def describe_configs(self, kind, name):
        asked = ConfigResource(kind, name)
        found = refused(self.admin.describe_configs, [asked], config_filter="all")[kind][name]
        return {
            key: {
                "value": entry["value"],
                "default": entry["config_source"] == "DEFAULT_CONFIG",
                "read_only": entry["read_only"],
                "sensitive": entry["is_sensitive"],
                "source": entry["config_source"],
            }
            for key, entry in found.items()
        }

    def alter_configs(self, kind, name, set=None, unset=(), validate_only=False):
        changes = {key: ("SET", value) for key, value in (set or {}).items()}
        changes |= {key: ("DELETE", None) for key in unset}
        asked = ConfigResource(kind, name, configs=changes)
        options = {"validate_only": validate_only, "raise_on_unknown": False}
        told = refused(self.admin.alter_configs, [asked], **options)[kind][name]
        # It raises nothing here, and tells the code in words.
        code = re.match(r"\[Error (\d+)\]", told)
        if told != "OK":
            raise Refused(int(code[1]) if code else None, told)

    def describe_cluster(self):
        found = refused(self.admin.describe_cluster)
        return {
            "id": found["cluster_id"],
            "controller": found["controller_id"],
            "brokers": [
                {"id": broker["broker_id"], "address": f"{broker['host']}:{broker['port']}"}
                for broker in found["brokers"]
            ],
        }


serve(KafkaPython)
