"""Drives one Kafka client by the commands that the tests write to standard input.

A command is one line of JSON, `{"do": NAME, ...}`; its answer is one line, `{"ok": VALUE}` or
`{"error": KAFKA_CODE_OR_NULL, "message": TEXT}`. Bytes travel as hexadecimal text. The commands are
described in `tests/clients/COMMANDS.md`; the clients behind them are `confluent.py` and `kafka_python.py`.
"""

import json
import sys
import threading


class Refused(Exception):
    """What a client reports; `code` is Kafka's error code, or None for an error of the client's own."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.message = message

    def shown(self):
        return {"error": self.code, "message": self.message}


def raw(text):
    return None if text is None else bytes.fromhex(text)


def shown_bytes(value):
    return None if value is None else bytes(value).hex()


def shown_record(topic, partition, offset, timestamp, key, value, headers):
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": shown_bytes(key),
        "value": shown_bytes(value),
        "headers": [[name, shown_bytes(content)] for name, content in headers or []],
    }


def numbered(partition, number):
    """The record that `Numbered` in the Rust tests expects: its number, then bytes that follow from it."""
    where = "any" if partition is None else partition
    return f"{where} {number} ".encode() + bytes([number % 251]) * (number * 7919 % 2000)


class Stream:
    """Numbered records, sent from a thread of their own until told to end."""

    def __init__(self, producer, topic, partitions, pause):
        self.producer, self.topic, self.partitions, self.pause = producer, topic, partitions, pause
        self.delivered, self.failed = [], []
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        while not self.ending.is_set():
            partition = None if self.partitions is None else number % self.partitions
            record = {
                "partition": partition,
                "key": None if self.partitions is not None else str(number).encode().hex(),
                "value": numbered(partition, number).hex(),
            }
            try:
                self.producer.send(self.topic, record, lambda answer, n=number: self.note(n, answer))
            except Refused as refused:
                self.note(number, refused.shown())
            number += 1
            self.ending.wait(self.pause)

    def note(self, number, answer):
        with self.lock:
            if "error" in answer:
                self.failed.append([number, answer["error"], answer["message"]])
            else:
                self.delivered.append([number, answer["partition"], answer["offset"]])

    def progress(self):
        with self.lock:
            return {"delivered": len(self.delivered), "failed": self.failed[:10]}

    def end(self):
        self.ending.set()
        self.thread.join()
        self.producer.flush()
        with self.lock:
            return {"delivered": sorted(self.delivered), "failed": sorted(self.failed)}


class Rig:
    def __init__(self, client):
        self.client = client
        self.named = {}

    def do_producer(self, name, settings):
        self.named[name] = self.client.producer(settings)

    def do_consumer(self, name, settings):
        self.named[name] = self.client.consumer(settings)

    def do_close(self, name):
        self.named.pop(name).close()

    def do_produce(self, producer, topic, records):
        producer = self.named[producer]
        answers = [None] * len(records)
        for index, record in enumerate(records):
            def done(answer, index=index):
                answers[index] = answer
            try:
                producer.send(topic, record, done)
            except Refused as refused:
                answers[index] = refused.shown()
        producer.flush()
        return answers

    def do_stream(self, name, producer, topic, partitions=None, pause_us=500):
        self.named[name] = Stream(self.named[producer], topic, partitions, pause_us / 1e6)

    def do_progress(self, name):
        return self.named[name].progress()

    def do_end(self, name):
        return self.named.pop(name).end()

    def do_assign(self, consumer, partitions):
        self.named[consumer].assign([(p["topic"], p["partition"], p["at"]) for p in partitions])

    def do_seek(self, consumer, topic, partition, at):
        self.named[consumer].seek(topic, partition, at)

    def do_position(self, consumer, topic, partition):
        return self.named[consumer].position(topic, partition)

    def do_poll(self, consumer, count, wait_ms):
        return self.named[consumer].poll(count, wait_ms)

    def __getattr__(self, name):
        # Whatever is not about producers and consumers is the admin client's.
        return getattr(self.client, name.removeprefix("do_"))


def serve(client_of):
    rig = Rig(client_of(sys.argv[1]))
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"ok": getattr(rig, "do_" + command.pop("do"))(**command)}
        except Refused as refused:
            answer = refused.shown()
        except ValueError as refused:
            # The client did not even ask.
            answer = {"error": None, "message": str(refused)}
        print(json.dumps(answer), flush=True)
