package odradek.tests;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.Consumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** A producer and what became of each of its records. */
final class SendingProducer {
    private static final Map<String, String> NAMES = Map.of(
            "acks", "acks",
            "compression", "compression.type",
            "idempotent", "enable.idempotence",
            "linger_ms", "linger.ms",
            "batch_bytes", "batch.size",
            "request_bytes_max", "max.request.size",
            "metadata_age_ms", "metadata.max.age.ms");

    private final KafkaProducer<byte[], byte[]> producer;

    SendingProducer(String address, JsonNode settings) {
        var properties = new Properties();
        properties.put("bootstrap.servers", address);
        properties.put("reconnect.backoff.ms", "20");
        properties.put("reconnect.backoff.max.ms", "200");
        properties.put("buffer.memory", "67108864");
        settings.properties().forEach(
                setting -> properties.put(NAMES.get(setting.getKey()), setting.getValue().asText()));
        producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    List<Map<String, Object>> produce(String topic, JsonNode records) {
        var answers = new ArrayList<Map<String, Object>>(Collections.nCopies(records.size(), null));
        for (int i = 0; i < records.size(); i++) {
            int index = i;
            send(toSend(topic, records.get(i)), answer -> answers.set(index, answer));
        }
        producer.flush();
        return answers;
    }

    void send(ProducerRecord<byte[], byte[]> record, Consumer<Map<String, Object>> done) {
        try {
            producer.send(record, (placed, failure) -> done.accept(failure != null
                    ? Main.refusal(failure)
                    : Map.of("partition", placed.partition(), "offset", placed.offset())));
        } catch (KafkaException failure) {
            done.accept(Main.refusal(failure));
        }
    }

    void flush() {
        producer.flush();
    }

    void close() {
        producer.close();
    }

    private static ProducerRecord<byte[], byte[]> toSend(String topic, JsonNode record) {
        var headers = new ArrayList<Header>();
        for (JsonNode header : record.path("headers")) {
            headers.add(new RecordHeader(header.get(0).asText(), raw(header.get(1))));
        }
        JsonNode partition = record.path("partition");
        JsonNode timestamp = record.path("timestamp");
        return new ProducerRecord<>(
                topic,
                partition.isNumber() ? partition.asInt() : null,
                timestamp.isNumber() ? timestamp.asLong() : null,
                raw(record.path("key")),
                raw(record.path("value")),
                headers);
    }

    private static byte[] raw(JsonNode text) {
        return text.isTextual() ? HexFormat.of().parseHex(text.asText()) : null;
    }
}
