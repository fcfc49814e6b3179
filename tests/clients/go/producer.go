package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// unplaced is the partition of a record whose key decides.
const unplaced = -1

func (r *rig) openProducer(c command) error {
	opts := []kgo.Opt{
		kgo.AllowAutoTopicCreation(),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
			return func(record *kgo.Record, partitions int) int {
				if record.Partition != unplaced {
					return int(record.Partition)
				}
				hash := fnv.New32a()
				hash.Write(record.Key)
				return int(hash.Sum32() % uint32(partitions))
			}
		})),
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	acks := map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
	for name, value := range c.Settings {
		number, _ := value.(float64)
		switch name {
		case "acks":
			opts = append(opts, kgo.RequiredAcks(acks[value.(string)]))
		case "compression":
			opts = append(opts, kgo.ProducerBatchCompression(codecs[value.(string)]))
		case "idempotent":
			if value == false {
				opts = append(opts, kgo.DisableIdempotentWrite())
			}
		case "linger_ms":
			opts = append(opts, kgo.ProducerLinger(time.Duration(number)*time.Millisecond))
		case "batch_bytes", "request_bytes_max":
			opts = append(opts, kgo.ProducerBatchMaxBytes(int32(number)))
		case "metadata_age_ms":
			opts = append(opts, kgo.MetadataMaxAge(time.Duration(number)*time.Millisecond))
		default:
			panic("no setting of a producer: " + name)
		}
	}
	producer, err := kgo.NewClient(options(r.address, opts...)...)
	r.producers[c.Name] = producer
	return err
}

func toSend(topic string, record record) *kgo.Record {
	sent := &kgo.Record{Topic: topic, Partition: unplaced, Key: raw(record.Key), Value: raw(record.Value)}
	if record.Partition != nil {
		sent.Partition = *record.Partition
	}
	if record.Timestamp != nil {
		sent.Timestamp = time.UnixMilli(*record.Timestamp)
	}
	for _, header := range record.Headers {
		sent.Headers = append(sent.Headers, kgo.RecordHeader{Key: *header[0], Value: raw(header[1])})
	}
	return sent
}

func (r *rig) produce(c command) (any, error) {
	producer := r.producers[c.Producer]
	answers := make([]map[string]any, len(c.Records))
	for i, record := range c.Records {
		producer.Produce(context.Background(), toSend(c.Topic, record), func(sent *kgo.Record, err error) {
			if err != nil {
				answers[i] = refusal(err)
			} else {
				answers[i] = map[string]any{"partition": sent.Partition, "offset": sent.Offset}
			}
		})
	}
	return answers, producer.Flush(context.Background())
}

// stream is numbered records, sent by a goroutine of their own until told to end.
type stream struct {
	producer  *kgo.Client
	ending    chan struct{}
	ended     chan struct{}
	lock      sync.Mutex
	delivered [][]any
	failed    [][]any
}

func (r *rig) startStream(c command) error {
	var partitions *int32
	if c.Partitions != nil {
		if err := json.Unmarshal(c.Partitions, &partitions); err != nil {
			return err
		}
	}
	s := &stream{producer: r.producers[c.Producer], ending: make(chan struct{}), ended: make(chan struct{})}
	r.streams[c.Name] = s
	go s.run(c.Topic, partitions, time.Duration(c.PauseUS)*time.Microsecond)
	return nil
}

func (s *stream) run(topic string, partitions *int32, pause time.Duration) {
	defer close(s.ended)
	for number := 0; ; number++ {
		record := &kgo.Record{Topic: topic, Partition: unplaced}
		where := "any"
		if partitions != nil {
			record.Partition = int32(number) % *partitions
			where = strconv.Itoa(int(record.Partition))
		} else {
			record.Key = []byte(strconv.Itoa(number))
		}
		record.Value = append([]byte(fmt.Sprintf("%s %d ", where, number)),
			bytes.Repeat([]byte{byte(number % 251)}, number*7919%2000)...)
		s.producer.Produce(context.Background(), record, func(sent *kgo.Record, err error) {
			s.lock.Lock()
			defer s.lock.Unlock()
			if err != nil {
				if errors.Is(err, kerr.UnknownTopicID) {
					// A topic of another id has this name now: franz-go wants to be told to forget the old one.
					go s.producer.PurgeTopicsFromProducing(topic)
				}
				told := refusal(err)
				s.failed = append(s.failed, []any{number, told["error"], told["message"]})
			} else {
				s.delivered = append(s.delivered, []any{number, sent.Partition, sent.Offset})
			}
		})
		select {
		case <-s.ending:
			return
		case <-time.After(pause):
		}
	}
}

func (s *stream) progress() any {
	s.lock.Lock()
	defer s.lock.Unlock()
	return map[string]any{"delivered": len(s.delivered), "failed": append([][]any{}, s.failed[:min(10, len(s.failed))]...)}
}

func (s *stream) end() any {
	close(s.ending)
	<-s.ended
	if err := s.producer.Flush(context.Background()); err != nil {
		panic(err)
	}
	for _, list := range [][][]any{s.delivered, s.failed} {
		sort.Slice(list, func(i, j int) bool { return list[i][0].(int) < list[j][0].(int) })
	}
	return map[string]any{"delivered": append([][]any{}, s.delivered...), "failed": append([][]any{}, s.failed...)}
}
