package rocketmq

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// A BrokerConfig is what a broker is set to, as far as the relay's promise depends on it. The names in comments are those of
// RocketMQ's broker.conf, with the defaults of 5.3.
type BrokerConfig struct {
	Broker  string // name
	Address string
	// Readable is false if the broker does not let us ask. Then only Broker and Address are set, and Version perhaps.
	Readable bool
	Version  string // such as V5_3_3; "" if unknown
	// Proxy is true if it does not know requests that every broker knows. A proxy answers 0 to a commit and forgets it.
	Proxy bool

	TransactionTimeout time.Duration // transactionTimeOut, 6 s: a shorter window has no effect on the broker's fence
	SlaveTimeout       time.Duration // slaveTimeout, 3 s: a commit answered 0 after it may hide a slave that did not answer
	SyncFlushTimeout   time.Duration // syncFlushTimeout, 5 s: likewise for the disk
	FlushDiskType      string        // flushDiskType: ASYNC_FLUSH (default) loses acknowledged messages in a power cut
	BrokerRole         string        // brokerRole: ASYNC_MASTER (default), SYNC_MASTER or SLAVE
	FileReservedTime   time.Duration // fileReservedTime, 72 h: how long a doubtful commit can be decided
	MaxMessageSize     int           // maxMessageSize, 4 MiB
	AutoCreateTopic    bool          // autoCreateTopicEnable, true
	InSyncReplicas     int           // inSyncReplicas, 1
	AllAckInSync       bool          // allAckInSyncStateSet, false
}

// BrokerConfigs asks every master of the bound topics what it is set to. A broker that does not let us ask is not an error;
// an error means that one did not answer.
func (c *Client) BrokerConfigs(ctx context.Context) ([]BrokerConfig, error) {
	names, masters := c.masterNames()
	configs := make([]BrokerConfig, 0, len(names))
	for _, name := range names {
		config, err := c.brokerConfig(ctx, name, masters[name])
		if err != nil {
			return nil, fmt.Errorf("configuration of broker %s: %w", name, err)
		}
		configs = append(configs, config)
	}
	return configs, nil
}

func (c *Client) brokerConfig(ctx context.Context, name, address string) (BrokerConfig, error) {
	b := BrokerConfig{Broker: name, Address: address}
	var code *CodeError
	runtime, err := c.askRuntime(ctx, address)
	switch {
	case err == nil:
		if root, err := parseFastjson(runtime); err == nil {
			b.Version = root.Get("table.brokerVersionDesc").String()
		}
	case !errors.As(err, &code):
		return b, err
	default:
		b.Proxy = code.Code == codeNotSupported
	}
	text, err := c.askBroker(ctx, address, reqBrokerConfig)
	switch {
	case err == nil:
		b.Readable = true
		b.read(text)
		return b, nil
	case errors.As(err, &code):
		return b, nil
	default:
		return b, err
	}
}

// askRuntime asks for what a broker says of itself. One that has just started may answer with an exception, because it has no
// statistics yet (seen with 4.9.7).
func (c *Client) askRuntime(ctx context.Context, address string) ([]byte, error) {
	const tries, pause = 6, 500 * time.Millisecond
	for try := 1; ; try++ {
		runtime, err := c.askBroker(ctx, address, reqBrokerRuntime)
		var code *CodeError
		if try == tries || !errors.As(err, &code) || code.Code != codeSystemError {
			return runtime, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

func (c *Client) askBroker(ctx context.Context, address string, code int) ([]byte, error) {
	cmd, err := success(c.brokers.Call(ctx, address, c.options.RequestTimeout, func(b *remoting.Batch) error {
		b.Begin(code)
		return b.End(nil)
	}))
	if err != nil {
		return nil, err
	}
	return cmd.Body, nil
}

// brokerSettings reads lines of name=value.
func brokerSettings(text []byte) map[string]string {
	settings := make(map[string]string)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			settings[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return settings
}

// read takes what it knows from a broker's settings.
func (b *BrokerConfig) read(text []byte) {
	settings := brokerSettings(text)
	number := func(name string) int {
		n, _ := strconv.Atoi(settings[name]) // 0 where it is no number
		return max(n, 0)
	}
	b.TransactionTimeout = times(number("transactionTimeOut"), time.Millisecond)
	b.SlaveTimeout = times(number("slaveTimeout"), time.Millisecond)
	b.SyncFlushTimeout = times(number("syncFlushTimeout"), time.Millisecond)
	b.FlushDiskType = settings["flushDiskType"]
	b.BrokerRole = settings["brokerRole"]
	b.FileReservedTime = times(number("fileReservedTime"), time.Hour)
	b.MaxMessageSize = number("maxMessageSize")
	b.AutoCreateTopic = settings["autoCreateTopicEnable"] == "true"
	b.InSyncReplicas = number("inSyncReplicas")
	b.AllAckInSync = settings["allAckInSyncStateSet"] == "true"
}

// times returns n units, or the longest time there is.
func times(n int, unit time.Duration) time.Duration {
	return unit * min(time.Duration(n), math.MaxInt64/unit)
}

// HasFence reports whether the broker refuses commits after the window with 604: 5.1.4 and newer do (5.1.0 does not). False
// if the version is unknown.
func (b *BrokerConfig) HasFence() bool {
	var major, minor, patch int
	if n, _ := fmt.Sscanf(b.Version, "V%d_%d_%d", &major, &minor, &patch); n != 3 {
		return false
	}
	return major > 5 || major == 5 && (minor > 1 || minor == 1 && patch >= 4)
}
