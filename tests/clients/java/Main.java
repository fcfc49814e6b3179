package odradek.tests;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.protocol.Errors;

/**
 * Kafka's own Java client, driven by the commands that the tests write to standard input.
 *
 * <p>What it understands is described in ../COMMANDS.md. Here is the dispatch; producers, consumers and
 * the admin client have files of their own.
 */
public final class Main {
    /** Values of 10 MiB and more have to fit, twice as long as text. */
    private static final StreamReadConstraints LIMITS =
            StreamReadConstraints.builder().maxStringLength(Integer.MAX_VALUE).build();

    private static final ObjectMapper JSON =
            new ObjectMapper(JsonFactory.builder().streamReadConstraints(LIMITS).build());

    private final String address;
    private final Map<String, SendingProducer> producers = new HashMap<>();
    private final Map<String, Stream> streams = new HashMap<>();
    private final Map<String, PollingConsumer> consumers = new HashMap<>();
    private Administrator administrator;

    private Main(String address) {
        this.address = address;
    }

    public static void main(String[] arguments) throws Exception {
        var main = new Main(arguments[0]);
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8), 1 << 20);
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            var answer = new HashMap<String, Object>();
            try {
                answer.put("ok", main.carryOut(JSON.readTree(line)));
            } catch (Exception failure) {
                answer = new HashMap<>(refusal(failure));
            }
            System.out.println(JSON.writeValueAsString(answer));
            System.out.flush();
        }
        // Producers wait for what they still have; nobody reads their answers any more.
        System.exit(0);
    }

    private Object carryOut(JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        int partition = command.path("partition").asInt();
        switch (command.get("do").asText()) {
            case "producer":
                producers.put(name(command), new SendingProducer(address, command.get("settings")));
                return null;
            case "produce":
                return producers.get(command.get("producer").asText()).produce(topic, command.get("records"));
            case "stream":
                var producer = producers.get(command.get("producer").asText());
                streams.put(name(command), new Stream(producer, topic, command));
                return null;
            case "progress":
                return streams.get(name(command)).progress();
            case "end":
                return streams.get(name(command)).end();
            case "consumer":
                consumers.put(name(command), new PollingConsumer(address, command.get("settings")));
                return null;
            case "assign":
                consumer(command).assign(command.get("partitions"));
                return null;
            case "seek":
                consumer(command).seek(topic, partition, command.get("at"), command.get("epoch"));
                return null;
            case "position":
                return consumer(command).position(topic, partition);
            case "poll":
                return consumer(command).poll(command.get("count").asInt(), command.get("wait_ms").asLong());
            case "consumer_offsets":
                return consumer(command).offsets(topic, partition, command.get("at"));
            case "close":
                close(name(command));
                return null;
            default:
                if (administrator == null) {
                    administrator = new Administrator(address);
                }
                return administrator.carryOut(command, topic, partition);
        }
    }

    private void close(String name) {
        if (producers.containsKey(name)) {
            producers.remove(name).close();
        }
        if (consumers.containsKey(name)) {
            consumers.remove(name).close();
        }
    }

    private PollingConsumer consumer(JsonNode command) {
        return consumers.get(command.get("consumer").asText());
    }

    private static String name(JsonNode command) {
        return command.get("name").asText();
    }

    /** An error as the tests read it: Kafka's code, or null for one of the client's own. */
    static Map<String, Object> refusal(Throwable failure) {
        while ((failure instanceof ExecutionException || failure instanceof CompletionException)
                && failure.getCause() != null) {
            failure = failure.getCause();
        }
        var answer = new HashMap<String, Object>();
        // The consumer throws a class of its own.
        Errors error = failure instanceof OffsetOutOfRangeException
                ? Errors.OFFSET_OUT_OF_RANGE
                : Errors.forException(failure);
        answer.put("error", error == Errors.UNKNOWN_SERVER_ERROR ? null : (int) error.code());
        answer.put("message", failure.toString());
        return answer;
    }
}
