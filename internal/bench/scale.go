package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// scaleCases are several relays on one outbox, and several brokers. The rows are committed at once, when the relays have
// divided the shards.
func scaleCases() []Case {
	var all []Case
	for _, n := range [][2]int{{1, 1}, {2, 1}, {3, 1}, {1, 2}, {3, 2}} {
		d := drain{kind: "transaction", size: 256, flush: Async, rows: fullRows / 2, relays: n[0], brokers: n[1], after: true}
		all = append(all, Case{Name: fmt.Sprintf("scale relays=%d brokers=%d", n[0], n[1]), Rows: d.rows, run: d.run})
	}
	return all
}

// shards are divided among the relays.
const shards = 64

// awaitShares waits until every relay has its share of the shards.
func (p *place) awaitShares(ctx context.Context, relays []*relay) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the relays did not divide the shards within a minute"))
	defer cancel()
	for {
		least, sum := shards, 0
		for _, r := range relays {
			n, err := r.shards(ctx)
			if err != nil {
				return err
			}
			least, sum = min(least, n), sum+n
		}
		if sum == shards && least >= shards/len(relays) {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func (r *relay) shards(ctx context.Context) (int, error) {
	body, err := r.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, "outbox_relay_shards"); ok && !strings.HasPrefix(rest, "_") {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
			return int(value), err
		}
	}
	return 0, nil
}
