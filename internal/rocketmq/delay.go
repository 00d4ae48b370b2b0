package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// delaysFor is how long an answer to Delays holds: a broker can be replaced by one of another version at the same address.
const delaysFor = time.Minute

// mostUnasked is how far ahead a timer may be where the broker does not say: the limit in RocketMQ's documentation (the broker's
// own default, timerMaxDelaySec, is three days).
const mostUnasked = 24 * time.Hour

// delays remembers how brokers delay messages.
type delays struct {
	mu    sync.Mutex
	known map[string]knownDelays
}

type knownDelays struct {
	relay.Delays
	at time.Time
}

// Delays says how one master delays messages: by timers from RocketMQ 5.0 on, where they are not switched off, else by levels.
func (c *Client) Delays(ctx context.Context, address string) (relay.Delays, error) {
	c.delays.mu.Lock()
	known, ok := c.delays.known[address]
	c.delays.mu.Unlock()
	if ok && time.Since(known.at) < delaysFor {
		return known.Delays, nil
	}
	text, err := c.askBroker(ctx, address, reqBrokerConfig)
	var code *CodeError
	d := relay.Delays{Timer: true, Most: mostUnasked} // as far as one can tell without being told
	switch {
	case err == nil:
		d = readDelays(text)
	case !errors.As(err, &code):
		return d, fmt.Errorf("ask %s how it delays messages: %w", address, err)
	}
	c.delays.mu.Lock()
	defer c.delays.mu.Unlock()
	c.delays.known[address] = knownDelays{d, time.Now()}
	return d, nil
}

// readDelays reads them from a broker's configuration. Before 5.0 there is no timerWheelEnable.
func readDelays(text []byte) relay.Delays {
	settings := brokerSettings(text)
	if settings["timerWheelEnable"] == "true" {
		most := mostUnasked
		if n, err := strconv.Atoi(settings["timerMaxDelaySec"]); err == nil && n > 0 {
			most = times(n, time.Second)
		}
		return relay.Delays{Timer: true, Most: most}
	}
	var levels []time.Duration
	for _, level := range strings.Fields(settings["messageDelayLevel"]) {
		delay, err := delayLevel(level)
		if err != nil || len(levels) > 0 && delay <= levels[len(levels)-1] {
			break // levels that do not ascend are of no use from here on
		}
		levels = append(levels, delay)
	}
	return relay.Delays{Levels: levels}
}

// delayLevel reads a number with one of the units s, m, h and d (ScheduleMessageService.parseDelayLevel).
func delayLevel(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	unit, known := units[text[len(text)-1]]
	n, err := strconv.Atoi(text[:len(text)-1])
	if !known || err != nil || n <= 0 {
		return 0, fmt.Errorf("delay level %q is no number with s, m, h or d", text)
	}
	return times(n, unit), nil
}
