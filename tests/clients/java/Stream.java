package odradek.tests;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Numbered records, sent by a thread of their own until told to end. */
final class Stream {
    private final SendingProducer producer;
    private final Thread thread;
    private final List<List<Object>> delivered = new ArrayList<>();
    private final List<List<Object>> failed = new ArrayList<>();
    private volatile boolean ending;

    Stream(SendingProducer producer, String topic, JsonNode command) {
        this.producer = producer;
        JsonNode partitions = command.path("partitions");
        long pauseNanos = command.path("pause_us").asLong(500) * 1000;
        thread = new Thread(() -> {
            for (int number = 0; !ending; number++) {
                send(topic, partitions.isNumber() ? number % partitions.asInt() : null, number);
                LockSupport.parkNanos(pauseNanos);
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    private void send(String topic, Integer partition, int number) {
        String where = partition == null ? "any" : partition.toString();
        byte[] start = (where + " " + number + " ").getBytes(StandardCharsets.UTF_8);
        byte[] value = Arrays.copyOf(start, start.length + (int) (number * 7919L % 2000));
        Arrays.fill(value, start.length, value.length, (byte) (number % 251));
        byte[] key = partition == null ? Integer.toString(number).getBytes(StandardCharsets.UTF_8) : null;
        producer.send(new ProducerRecord<>(topic, partition, key, value), answer -> {
            synchronized (this) {
                if (answer.containsKey("message")) {
                    failed.add(Arrays.asList(number, answer.get("error"), answer.get("message")));
                } else {
                    delivered.add(List.of(number, answer.get("partition"), answer.get("offset")));
                }
            }
        });
    }

    synchronized Map<String, Object> progress() {
        return Map.of(
                "delivered", delivered.size(),
                "failed", List.copyOf(failed.subList(0, Math.min(10, failed.size()))));
    }

    Map<String, Object> end() throws InterruptedException {
        ending = true;
        thread.join();
        producer.flush();
        synchronized (this) {
            var byNumber = Comparator.comparingInt((List<Object> line) -> (Integer) line.get(0));
            delivered.sort(byNumber);
            failed.sort(byNumber);
            return Map.of("delivered", delivered, "failed", failed);
        }
    }
}
