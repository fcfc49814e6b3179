package odradek.tests;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Queue;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A consumer that is given its partitions; it belongs to no group. */
final class PollingConsumer {
    private static final Map<String, String> NAMES = Map.of(
            "fetch_wait_ms", "fetch.max.wait.ms",
            "fetch_bytes_max", "fetch.max.bytes",
            "partition_bytes_max", "max.partition.fetch.bytes",
            "isolation", "isolation.level",
            "reset", "auto.offset.reset");

    private final KafkaConsumer<byte[], byte[]> consumer;
    /** What was polled beyond the records asked for. */
    private final Queue<ConsumerRecord<byte[], byte[]>> waiting = new ArrayDeque<>();

    PollingConsumer(String address, JsonNode settings) {
        var properties = new Properties();
        properties.put("bootstrap.servers", address);
        properties.put("enable.auto.commit", "false");
        properties.put("metadata.max.age.ms", "1000");
        properties.put("reconnect.backoff.ms", "20");
        properties.put("reconnect.backoff.max.ms", "200");
        // A slow consumer is to leave its records with the broker.
        properties.put("max.poll.records", "10");
        settings.properties().forEach(
                setting -> properties.put(NAMES.get(setting.getKey()), setting.getValue().asText()));
        consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    void assign(JsonNode partitions) {
        waiting.clear();
        var asked = new ArrayList<TopicPartition>();
        for (JsonNode partition : partitions) {
            asked.add(new TopicPartition(partition.get("topic").asText(), partition.get("partition").asInt()));
        }
        consumer.assign(asked);
        for (int i = 0; i < asked.size(); i++) {
            seek(asked.get(i).topic(), asked.get(i).partition(), partitions.get(i).get("at"), null);
        }
    }

    void seek(String topic, int number, JsonNode at, JsonNode epoch) {
        var partition = new TopicPartition(topic, number);
        waiting.removeIf(record -> record.topic().equals(topic) && record.partition() == number);
        if (at.isNumber() && epoch != null) {
            consumer.seek(partition, new OffsetAndMetadata(at.asLong(), Optional.of(epoch.asInt()), ""));
        } else if (at.isNumber()) {
            consumer.seek(partition, at.asLong());
        } else if (at.asText().equals("beginning")) {
            consumer.seekToBeginning(List.of(partition));
        } else {
            consumer.seekToEnd(List.of(partition));
        }
    }

    /** Where the next record handed over lies. */
    long position(String topic, int number) {
        var partition = new TopicPartition(topic, number);
        for (var record : waiting) {
            if (record.topic().equals(topic) && record.partition() == number) {
                return record.offset();
            }
        }
        return consumer.position(partition, Duration.ofMinutes(1));
    }

    Map<String, Object> poll(int count, long waitMs) {
        var records = new ArrayList<Map<String, Object>>();
        var errors = new ArrayList<Map<String, Object>>();
        long deadline = System.nanoTime() + waitMs * 1_000_000;
        while (true) {
            while (records.size() < count && !waiting.isEmpty()) {
                records.add(shown(waiting.remove()));
            }
            if (records.size() >= count || System.nanoTime() >= deadline) {
                return Map.of("records", records, "errors", errors);
            }
            try {
                consumer.poll(Duration.ofMillis(100)).forEach(waiting::add);
            } catch (KafkaException failure) {
                if (errors.size() < 20) {
                    errors.add(Main.refusal(failure));
                }
            }
        }
    }

    /** What the consumer itself says of offsets: first, last, or by time. */
    Object offsets(String topic, int number, JsonNode at) {
        var partition = new TopicPartition(topic, number);
        if (at.isTextual()) {
            var found = at.asText().equals("earliest")
                    ? consumer.beginningOffsets(List.of(partition))
                    : consumer.endOffsets(List.of(partition));
            return Map.of("offset", found.get(partition));
        }
        var found = consumer.offsetsForTimes(Map.of(partition, at.asLong())).get(partition);
        if (found == null) {
            return null;
        }
        return Map.of(
                "offset", found.offset(),
                "timestamp", found.timestamp(),
                "epoch", found.leaderEpoch().orElse(-1));
    }

    void close() {
        consumer.close();
    }

    private static Map<String, Object> shown(ConsumerRecord<byte[], byte[]> seen) {
        var headers = new ArrayList<List<String>>();
        seen.headers().forEach(header -> headers.add(Arrays.asList(header.key(), hex(header.value()))));
        var record = new HashMap<String, Object>();
        record.put("topic", seen.topic());
        record.put("partition", seen.partition());
        record.put("offset", seen.offset());
        record.put("timestamp", seen.timestamp());
        record.put("key", hex(seen.key()));
        record.put("value", hex(seen.value()));
        record.put("headers", headers);
        record.put("epoch", seen.leaderEpoch().orElse(-1));
        return record;
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? null : HexFormat.of().formatHex(bytes);
    }
}
