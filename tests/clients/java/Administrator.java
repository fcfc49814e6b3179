package odradek.tests;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** Kafka's Admin: one command, one call. */
final class Administrator {
    private final Admin admin;

    Administrator(String address) {
        admin = Admin.create(Map.of("bootstrap.servers", address, "default.api.timeout.ms", "60000"));
    }

    Object carryOut(JsonNode command, String topic, int partition) throws Exception {
        switch (command.get("do").asText()) {
            case "create_topic":
                createTopic(topic, command);
                return null;
            case "delete_topic":
                get(admin.deleteTopics(List.of(topic)).all());
                return null;
            case "topics":
                return new TreeSet<>(get(admin.listTopics().names()));
            case "describe_topic":
                return describeTopic(topic);
            case "create_partitions":
                var total = NewPartitions.increaseTo(command.get("total").asInt());
                get(admin.createPartitions(Map.of(topic, total)).all());
                return null;
            case "delete_records":
                var asked = new TopicPartition(topic, partition);
                var before = RecordsToDelete.beforeOffset(command.get("before").asLong());
                return get(admin.deleteRecords(Map.of(asked, before)).lowWatermarks().get(asked)).lowWatermark();
            case "offsets":
                return offsets(new TopicPartition(topic, partition), command.get("at"));
            case "all_offsets":
                return allOffsets(topic, command.get("at"));
            case "describe_configs":
                return describeConfigs(command.get("kind").asText(), command.get("name").asText());
            case "alter_configs":
                alterConfigs(command);
                return null;
            case "describe_cluster":
                return describeCluster();
            default:
                throw new IllegalArgumentException("no command: " + command);
        }
    }

    private static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(2, TimeUnit.MINUTES);
    }

    private void createTopic(String topic, JsonNode command) throws Exception {
        NewTopic asked;
        JsonNode assignment = command.path("assignment");
        if (assignment.isArray()) {
            var replicas = new HashMap<Integer, List<Integer>>();
            for (int i = 0; i < assignment.size(); i++) {
                var brokers = new ArrayList<Integer>();
                assignment.get(i).forEach(broker -> brokers.add(broker.asInt()));
                replicas.put(i, brokers);
            }
            asked = new NewTopic(topic, replicas);
        } else {
            JsonNode partitions = command.path("partitions");
            asked = new NewTopic(
                    topic,
                    partitions.isNumber() ? Optional.of(partitions.asInt()) : Optional.empty(),
                    Optional.of((short) 1));
        }
        var settings = new HashMap<String, String>();
        command.path("settings").properties().forEach(
                setting -> settings.put(setting.getKey(), setting.getValue().asText()));
        boolean validateOnly = command.path("validate_only").asBoolean();
        var options = new CreateTopicsOptions().validateOnly(validateOnly);
        get(admin.createTopics(List.of(asked.configs(settings)), options).all());
    }

    private Object describeTopic(String topic) throws Exception {
        var found = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        var partitions = new ArrayList<Map<String, Object>>();
        for (var partition : found.partitions()) {
            partitions.add(Map.of(
                    "partition", partition.partition(),
                    "leader", partition.leader().id(),
                    "replicas", partition.replicas().stream().map(Node::id).toList(),
                    "isr", partition.isr().stream().map(Node::id).toList()));
        }
        return Map.of("id", found.topicId().toString(), "partitions", partitions);
    }

    private static OffsetSpec place(JsonNode at) {
        if (at.isNumber()) {
            return OffsetSpec.forTimestamp(at.asLong());
        }
        switch (at.asText()) {
            case "earliest":
                return OffsetSpec.earliest();
            case "latest":
                return OffsetSpec.latest();
            case "max_timestamp":
                return OffsetSpec.maxTimestamp();
            case "earliest_local":
                return OffsetSpec.earliestLocal();
            case "latest_tiered":
                return OffsetSpec.latestTiered();
            default:
                throw new IllegalArgumentException("no place: " + at);
        }
    }

    private Object offsets(TopicPartition partition, JsonNode at) throws Exception {
        var found = get(admin.listOffsets(Map.of(partition, place(at))).partitionResult(partition));
        return Map.of(
                "offset", found.offset(),
                "timestamp", found.timestamp(),
                "epoch", found.leaderEpoch().orElse(-1));
    }

    /** The offset of every partition of a topic in one call, in the order of partitions. */
    private Object allOffsets(String topic, JsonNode at) throws Exception {
        var described = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        var asked = described.partitions().stream().collect(
                Collectors.toMap(p -> new TopicPartition(topic, p.partition()), p -> place(at)));
        var found = get(admin.listOffsets(asked).all());
        return described.partitions().stream()
                .map(p -> found.get(new TopicPartition(topic, p.partition())).offset())
                .toList();
    }

    private static ConfigResource resource(String kind, String name) {
        var type = kind.equals("broker") ? ConfigResource.Type.BROKER : ConfigResource.Type.TOPIC;
        return new ConfigResource(type, name);
    }

    private void alterConfigs(JsonNode command) throws Exception {
        var changes = new ArrayList<AlterConfigOp>();
        command.path("set").properties().forEach(setting -> changes.add(new AlterConfigOp(
                new ConfigEntry(setting.getKey(), setting.getValue().asText()), AlterConfigOp.OpType.SET)));
        command.path("unset").forEach(key -> changes.add(
                new AlterConfigOp(new ConfigEntry(key.asText(), ""), AlterConfigOp.OpType.DELETE)));
        var asked = resource(command.get("kind").asText(), command.get("name").asText());
        var options = new AlterConfigsOptions().validateOnly(command.path("validate_only").asBoolean());
        get(admin.incrementalAlterConfigs(Map.of(asked, changes), options).all());
    }

    private Object describeConfigs(String kind, String name) throws Exception {
        var asked = resource(kind, name);
        var entries = new HashMap<String, Object>();
        for (ConfigEntry entry : get(admin.describeConfigs(List.of(asked)).all()).get(asked).entries()) {
            var shown = new HashMap<String, Object>();
            shown.put("value", entry.value());
            shown.put("default", entry.isDefault());
            shown.put("read_only", entry.isReadOnly());
            shown.put("sensitive", entry.isSensitive());
            entries.put(entry.name(), shown);
        }
        return entries;
    }

    private Object describeCluster() throws Exception {
        var found = admin.describeCluster();
        var brokers = new ArrayList<Map<String, Object>>();
        for (Node node : get(found.nodes())) {
            brokers.add(Map.of("id", node.id(), "address", node.host() + ":" + node.port()));
        }
        return Map.of(
                "id", get(found.clusterId()),
                "controller", get(found.controller()).id(),
                "brokers", brokers);
    }
}
