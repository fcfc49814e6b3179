package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Times that are none, by which ListOffsets asks for places in the log.
var namedTimes = map[string]int64{
	"latest": -1, "earliest": -2, "max_timestamp": -3, "earliest_local": -4, "latest_tiered": -5,
}

func (r *rig) administer(ctx context.Context, c command) (any, error) {
	admin := kadm.NewClient(r.admin)
	switch c.Do {
	case "create_topic":
		return nil, r.createTopic(ctx, c)
	case "delete_topic":
		answer, err := admin.DeleteTopic(ctx, c.Topic)
		if err == nil {
			err = answer.Err
		}
		return nil, err
	case "topics":
		topics, err := admin.ListTopics(ctx)
		return topics.Names(), err
	case "describe_topic":
		return describeTopic(ctx, admin, c.Topic)
	case "create_partitions":
		answers, err := admin.UpdatePartitions(ctx, int(c.Total), c.Topic)
		if err == nil {
			err = answers.Error()
		}
		return nil, err
	case "delete_records":
		before := kadm.Offsets{}
		before.Add(kadm.Offset{Topic: c.Topic, Partition: c.Partition, At: c.Before, LeaderEpoch: -1})
		answers, err := admin.DeleteRecords(ctx, before)
		if err != nil {
			return nil, err
		}
		deleted, _ := answers.Lookup(c.Topic, c.Partition)
		return deleted.LowWatermark, deleted.Err
	case "offsets":
		return r.offsets(ctx, c)
	case "describe_configs":
		return r.describeConfigs(ctx, c)
	case "alter_configs":
		return nil, r.alterConfigs(ctx, c)
	case "describe_cluster":
		return r.describeCluster(ctx)
	}
	panic("no command: " + c.Do)
}

func (r *rig) createTopic(ctx context.Context, c command) error {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = c.Topic, -1, 1
	if c.Partitions != nil {
		if err := json.Unmarshal(c.Partitions, &topic.NumPartitions); err != nil {
			return err
		}
	}
	if c.Assignment != nil {
		topic.NumPartitions, topic.ReplicationFactor = -1, -1
	}
	for partition, replicas := range c.Assignment {
		assigned := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		assigned.Partition, assigned.Replicas = int32(partition), replicas
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, assigned)
	}
	for name, value := range c.Settings {
		setting := kmsg.NewCreateTopicsRequestTopicConfig()
		setting.Name, setting.Value = name, kmsg.StringPtr(fmt.Sprint(value))
		topic.Configs = append(topic.Configs, setting)
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics, request.TimeoutMillis = append(request.Topics, topic), int32(patience.Milliseconds())
	request.ValidateOnly = c.ValidateOnly
	answer, err := request.RequestWith(ctx, r.admin)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.Topics[0].ErrorCode)
}

func describeTopic(ctx context.Context, admin *kadm.Client, topic string) (any, error) {
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return nil, err
	}
	found := topics[topic]
	if found.Err != nil {
		return nil, found.Err
	}
	partitions := []map[string]any{}
	for _, partition := range found.Partitions.Sorted() {
		partitions = append(partitions, map[string]any{
			"partition": partition.Partition, "leader": partition.Leader,
			"replicas": partition.Replicas, "isr": partition.ISR,
		})
	}
	return map[string]any{"id": found.ID.String(), "partitions": partitions}, nil
}

func (r *rig) offsets(ctx context.Context, c command) (any, error) {
	partition := kmsg.NewListOffsetsRequestTopicPartition()
	partition.Partition, partition.CurrentLeaderEpoch = c.Partition, -1
	switch at := c.At.(type) {
	case string:
		partition.Timestamp = namedTimes[at]
	case float64:
		partition.Timestamp = int64(at)
	}
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic, topic.Partitions = c.Topic, append(topic.Partitions, partition)
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID, request.Topics = -1, append(request.Topics, topic)
	answer, err := request.RequestWith(ctx, r.admin)
	if err != nil {
		return nil, err
	}
	found := answer.Topics[0].Partitions[0]
	return map[string]any{
		"offset": found.Offset, "timestamp": found.Timestamp, "epoch": found.LeaderEpoch,
	}, kerr.ErrorForCode(found.ErrorCode)
}

func (r *rig) describeConfigs(ctx context.Context, c command) (any, error) {
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceName, resource.ResourceType = c.Name, kmsg.ConfigResourceTypeTopic
	if c.Kind == "broker" {
		resource.ResourceType = kmsg.ConfigResourceTypeBroker
		if _, err := strconv.Atoi(c.Name); err != nil {
			return nil, err
		}
	}
	request := kmsg.NewPtrDescribeConfigsRequest()
	request.Resources, request.IncludeSynonyms = append(request.Resources, resource), true
	answer, err := request.RequestWith(ctx, r.admin)
	if err != nil {
		return nil, err
	}
	entries := map[string]any{}
	for _, entry := range answer.Resources[0].Configs {
		entries[entry.Name] = map[string]any{
			"value": entry.Value, "default": entry.Source == kmsg.ConfigSourceDefaultConfig,
			"read_only": entry.ReadOnly, "sensitive": entry.IsSensitive,
		}
	}
	return entries, kerr.ErrorForCode(answer.Resources[0].ErrorCode)
}

func (r *rig) alterConfigs(ctx context.Context, c command) error {
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceName, resource.ResourceType = c.Name, kmsg.ConfigResourceTypeTopic
	if c.Kind == "broker" {
		resource.ResourceType = kmsg.ConfigResourceTypeBroker
	}
	for key, value := range c.Set {
		change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		change.Name, change.Op, change.Value = key, kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(value)
		resource.Configs = append(resource.Configs, change)
	}
	for _, key := range c.Unset {
		change := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		change.Name, change.Op = key, kmsg.IncrementalAlterConfigOpDelete
		resource.Configs = append(resource.Configs, change)
	}
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources, request.ValidateOnly = append(request.Resources, resource), c.ValidateOnly
	answer, err := request.RequestWith(ctx, r.admin)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.Resources[0].ErrorCode)
}

func (r *rig) describeCluster(ctx context.Context) (any, error) {
	answer, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(ctx, r.admin)
	if err != nil {
		return nil, err
	}
	brokers := []map[string]any{}
	for _, broker := range answer.Brokers {
		address := fmt.Sprintf("%s:%d", broker.Host, broker.Port)
		brokers = append(brokers, map[string]any{"id": broker.NodeID, "address": address})
	}
	sort.Slice(brokers, func(i, j int) bool { return brokers[i]["id"].(int32) < brokers[j]["id"].(int32) })
	return map[string]any{
		"id": answer.ClusterID, "controller": answer.ControllerID, "brokers": brokers,
	}, kerr.ErrorForCode(answer.ErrorCode)
}
