"""Asks a fresh Apache Kafka of node 1 the steps of alter_configs.txt again:

    python3 ask_alter_configs.py PORT < alter_configs.txt > asked.txt

The feature `eligible.leader.replicas.version` must be 0: it sets `min.insync.replicas` by itself.
A step is a line of fields with tabs between them: `create`, the topic, then setting and value in turn;
or `inc`, `inc?` (validate only), `alter`, `alter?`, then for each resource its type, its name, and for
each setting operation (inc only), name and value. `|` stands between resources, `null` is null.
The answer follows: a line for each resource with code and message, then one for each resource with its
type, its name and the settings that are its own or dynamic: name, value, source, sorted.
"""
import socket
import struct
import sys
import time


def text(value):
    if value is None or value == "null":
        return struct.pack(">h", -1)
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


class Answer:
    def __init__(self, raw):
        self.raw, self.place = raw, 0

    def number(self, form):
        (value,) = struct.unpack_from(">" + form, self.raw, self.place)
        self.place += struct.calcsize(">" + form)
        return value

    def text(self):
        size = self.number("h")
        if size < 0:
            return None
        self.place += size
        return self.raw[self.place - size : self.place].decode()


def read(connection, size):
    raw = b""
    while len(raw) < size:
        more = connection.recv(size - len(raw))
        if not more:
            sys.exit("the connection was closed")
        raw += more
    return raw


def call(connection, key, version, body):
    frame = struct.pack(">hhi", key, version, 7) + text("ask") + body
    connection.sendall(struct.pack(">i", len(frame)) + frame)
    (size,) = struct.unpack(">i", read(connection, 4))
    return Answer(read(connection, size)[4:])


def listed(items):
    items = list(items)
    return struct.pack(">i", len(items)) + b"".join(items)


def create(connection, name, fields):
    settings = zip(fields[::2], fields[1::2])
    topic = text(name) + struct.pack(">ihi", 1, 1, 0) + listed(text(k) + text(v) for k, v in settings)
    answer = call(connection, 19, 2, listed([topic]) + struct.pack(">i?", 10000, False))
    answer.number("i"), answer.number("i"), answer.text()
    yield answer.number("h"), answer.text()


def alter(connection, resources, validate, incremental):
    def setting(fields):
        if incremental:
            return text(fields[1]) + struct.pack("b", int(fields[0])) + text(fields[2])
        return text(fields[0]) + text(fields[1])

    width = 3 if incremental else 2
    body = listed(
        struct.pack("b", int(kind)) + text(name)
        + listed(setting(rest[i : i + width]) for i in range(0, len(rest), width))
        for kind, name, *rest in resources
    )
    body += struct.pack("?", validate)
    answer = call(connection, 44 if incremental else 33, 0 if incremental else 1, body)
    answer.number("i")
    for _ in range(answer.number("i")):
        yield answer.number("h"), answer.text()
        answer.number("b"), answer.text()


def describe(connection, kind, name):
    body = listed([struct.pack("b", int(kind)) + text(name) + struct.pack(">i", -1)])
    answer = call(connection, 32, 1, body + b"\0")
    answer.number("i"), answer.number("i"), answer.number("h"), answer.text(), answer.number("b"), answer.text()
    found = []
    for _ in range(answer.number("i")):
        key, value, _, source, _ = answer.text(), answer.text(), answer.number("b"), answer.number("b"), answer.number("b")
        for _ in range(answer.number("i")):
            answer.text(), answer.text(), answer.number("b")
        if source in (1, 2, 3):
            found.append((key, str(value), str(source)))
    return sorted(found)


def main():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    connection.settimeout(30)
    for line in sys.stdin:
        line = line.rstrip("\n")
        # An answer of before.
        if line.startswith(("\t", "=")):
            continue
        print(line)
        if not line or line.startswith("#"):
            continue
        verb, *fields = line.split("\t")
        if verb == "create":
            answers, resources = create(connection, fields[0], fields[1:]), [["2", fields[0]]]
        else:
            resources = [[]]
            for field in fields:
                if field == "|":
                    resources.append([])
                else:
                    resources[-1].append(field)
            answers = alter(connection, resources, verb.endswith("?"), verb.startswith("inc"))
        for code, message in answers:
            print("", code, "null" if message is None else message, sep="\t")
        # A broker takes its settings up a little later.
        time.sleep(0.3)
        for kind, name in sorted({(resource[0], resource[1]) for resource in resources}):
            if kind in ("2", "4"):
                own = [field for entry in describe(connection, kind, name) for field in entry]
                print("=", kind, name, *own, sep="\t")


main()
