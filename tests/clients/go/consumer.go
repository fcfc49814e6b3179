package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type place struct {
	topic     string
	partition int32
}

// consumer is given its partitions; it belongs to no group.
type consumer struct {
	client    *kgo.Client
	positions map[place]int64
}

func (r *rig) openConsumer(c command) error {
	// As Kafka's own consumers: what has gone is skipped unless told otherwise.
	reset := kgo.NewOffset().AtEnd()
	opts := []kgo.Opt{kgo.MetadataMaxAge(time.Second), kgo.KeepRetryableFetchErrors()}
	for name, value := range c.Settings {
		number, _ := value.(float64)
		switch name {
		case "fetch_wait_ms":
			opts = append(opts, kgo.FetchMaxWait(time.Duration(number)*time.Millisecond))
		case "fetch_bytes_max":
			opts = append(opts, kgo.FetchMaxBytes(int32(number)))
		case "partition_bytes_max":
			opts = append(opts, kgo.FetchMaxPartitionBytes(int32(number)))
		case "isolation":
			if value == "read_committed" {
				opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
			}
		case "reset":
			switch value {
			case "earliest":
				reset = kgo.NewOffset().AtStart()
			case "none":
				reset = kgo.NoResetOffset()
			}
		default:
			panic("no setting of a consumer: " + name)
		}
	}
	client, err := kgo.NewClient(options(r.address, append(opts, kgo.ConsumeResetOffset(reset))...)...)
	r.consumers[c.Name] = &consumer{client, map[place]int64{}}
	return err
}

func offset(at any) kgo.Offset {
	switch at := at.(type) {
	case string:
		if at == "beginning" {
			return kgo.NewOffset().AtStart()
		}
		return kgo.NewOffset().AtEnd()
	case float64:
		return kgo.NewOffset().At(int64(at))
	}
	panic("no place")
}

func (c *consumer) assign(partitions json.RawMessage) error {
	var asked []struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		At        any    `json:"at"`
	}
	if err := json.Unmarshal(partitions, &asked); err != nil {
		return err
	}
	for held := range c.positions {
		c.client.RemoveConsumePartitions(map[string][]int32{held.topic: {held.partition}})
	}
	c.positions = map[place]int64{}
	for _, p := range asked {
		c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{p.Topic: {p.Partition: offset(p.At)}})
		c.positions[place{p.Topic, p.Partition}] = -1
	}
	return nil
}

func (c *consumer) seek(topic string, partition int32, at any) {
	c.client.RemoveConsumePartitions(map[string][]int32{topic: {partition}})
	c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: offset(at)}})
}

func (c *consumer) poll(count int, wait time.Duration) any {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	records, refusals := []record{}, []map[string]any{}
	for len(records) < count && ctx.Err() == nil {
		fetches := c.client.PollRecords(ctx, count-len(records))
		for _, failure := range fetches.Errors() {
			if errors.Is(failure.Err, context.DeadlineExceeded) {
				continue
			}
			refusals = append(refusals, refusal(failure.Err))
			if errors.Is(failure.Err, kerr.UnknownTopicID) {
				// A topic of another id has this name now: franz-go wants to be told to forget the old one.
				c.client.PurgeTopicsFromConsuming(failure.Topic)
				c.seek(failure.Topic, failure.Partition, "beginning")
			}
		}
		fetches.EachRecord(func(seen *kgo.Record) {
			c.positions[place{seen.Topic, seen.Partition}] = seen.Offset + 1
			timestamp := seen.Timestamp.UnixMilli()
			shownRecord := record{
				Topic: seen.Topic, Partition: &seen.Partition, Offset: seen.Offset, Timestamp: &timestamp,
				Key: shown(seen.Key), Value: shown(seen.Value), Headers: [][]*string{},
			}
			for _, header := range seen.Headers {
				shownRecord.Headers = append(shownRecord.Headers, []*string{&header.Key, shown(header.Value)})
			}
			records = append(records, shownRecord)
		})
	}
	return map[string]any{"records": records, "errors": refusals[:min(20, len(refusals))]}
}
