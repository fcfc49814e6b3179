// The franz-go client, driven by the commands that the tests write to standard input.
//
// What it understands is described in ../COMMANDS.md. Here is the dispatch; producers, consumers and the
// admin client have files of their own.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// patience is how long one request of the admin client may take.
const patience = time.Minute

// record is one record as the commands spell it.
type record struct {
	Topic     string      `json:"topic,omitempty"`
	Partition *int32      `json:"partition"`
	Offset    int64       `json:"offset"`
	Timestamp *int64      `json:"timestamp"`
	Key       *string     `json:"key"`
	Value     *string     `json:"value"`
	Headers   [][]*string `json:"headers"`
}

// command holds the fields of every command; each uses its own.
type command struct {
	Do           string          `json:"do"`
	Name         string          `json:"name"`
	Settings     map[string]any  `json:"settings"`
	Producer     string          `json:"producer"`
	Consumer     string          `json:"consumer"`
	Topic        string          `json:"topic"`
	Partition    int32           `json:"partition"`
	Partitions   json.RawMessage `json:"partitions"`
	Records      []record        `json:"records"`
	At           any             `json:"at"`
	Count        int             `json:"count"`
	WaitMS       int64           `json:"wait_ms"`
	PauseUS      int64           `json:"pause_us"`
	ValidateOnly bool            `json:"validate_only"`
	Assignment   [][]int32       `json:"assignment"`
	Total        int32           `json:"total"`
	Before       int64           `json:"before"`
	Kind         string          `json:"kind"`
	// Of alter_configs.
	Set   map[string]string `json:"set"`
	Unset []string          `json:"unset"`
}

// rig is what the commands act on.
type rig struct {
	address   string
	admin     *kgo.Client
	producers map[string]*kgo.Client
	streams   map[string]*stream
	consumers map[string]*consumer
}

func options(address string, more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(address),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.BrokerMaxReadBytes(400_000_000),
		kgo.BrokerMaxWriteBytes(400_000_000),
	}, more...)
}

func main() {
	admin, err := kgo.NewClient(options(os.Args[1])...)
	if err != nil {
		panic(err)
	}
	r := &rig{os.Args[1], admin, map[string]*kgo.Client{}, map[string]*stream{}, map[string]*consumer{}}
	input, output := bufio.NewReaderSize(os.Stdin, 1<<20), json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return
		}
		var c command
		if err := json.Unmarshal(line, &c); err != nil {
			panic(err)
		}
		answer, err := r.carryOut(c)
		if err != nil {
			err = output.Encode(refusal(err))
		} else {
			err = output.Encode(map[string]any{"ok": answer})
		}
		if err != nil {
			panic(err)
		}
	}
}

func (r *rig) carryOut(c command) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch c.Do {
	case "producer":
		return nil, r.openProducer(c)
	case "produce":
		return r.produce(c)
	case "stream":
		return nil, r.startStream(c)
	case "progress":
		return r.streams[c.Name].progress(), nil
	case "end":
		return r.streams[c.Name].end(), nil
	case "consumer":
		return nil, r.openConsumer(c)
	case "assign":
		return nil, r.consumers[c.Consumer].assign(c.Partitions)
	case "seek":
		r.consumers[c.Consumer].seek(c.Topic, c.Partition, c.At)
		return nil, nil
	case "position":
		return r.consumers[c.Consumer].positions[place{c.Topic, c.Partition}], nil
	case "poll":
		return r.consumers[c.Consumer].poll(c.Count, time.Duration(c.WaitMS)*time.Millisecond), nil
	case "close":
		r.close(c.Name)
		return nil, nil
	}
	return r.administer(ctx, c)
}

func (r *rig) close(name string) {
	if producer, ok := r.producers[name]; ok {
		producer.Close()
		delete(r.producers, name)
	}
	if consumer, ok := r.consumers[name]; ok {
		consumer.client.Close()
		delete(r.consumers, name)
	}
}

// refusal is an error as the tests read it: Kafka's code, or null for one of the client's own.
func refusal(err error) map[string]any {
	answer := map[string]any{"error": nil, "message": err.Error()}
	var kafka *kerr.Error
	if errors.As(err, &kafka) {
		answer["error"] = kafka.Code
	}
	return answer
}

func raw(text *string) []byte {
	if text == nil {
		return nil
	}
	bytes, err := hex.DecodeString(*text)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", *text, err))
	}
	return bytes
}

func shown(bytes []byte) *string {
	if bytes == nil {
		return nil
	}
	text := hex.EncodeToString(bytes)
	return &text
}
