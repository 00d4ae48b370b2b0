package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// How the resolver reads what is on the broker.

// lookups is how many index queries are under way at once.
const lookups = 8

// index asks the broker's index for each doubt. Found proves; not found proves nothing, because the index is built after
// the append and is lost in part with a crash.
func (d *docket) index(ctx context.Context, address string, doubts []*doubt) (map[string]bool, error) {
	var mu sync.Mutex
	found := make(map[string]bool)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for _, o := range doubts {
		g.Go(func() error {
			here, err := d.s.broker.Lookup(ctx, address, o.queue.Topic, o.half.UniqKey)
			if err != nil {
				return fmt.Errorf("look up %s on %s: %w", o.half.UniqKey, o.queue.Topic, err)
			}
			if here {
				mu.Lock()
				defer mu.Unlock()
				found[o.half.UniqKey] = true
			}
			return nil
		})
	}
	return found, g.Wait()
}

// read reads one queue to its end and notes every UNIQ_KEY it sees.
func (d *docket) read(ctx context.Context, address string, q TopicQueue, from int64, found map[string]bool) (ReadProof, error) {
	proof, err := d.s.broker.ReadBack(ctx, address, q, from, func(uniqKey string) { found[uniqKey] = true })
	if err != nil {
		return proof, fmt.Errorf("read back %s/%d from %d: %w", q.Topic, q.Queue, from, err)
	}
	return proof, nil
}

// starts returns, for each queue of the doubts, the smallest offset that one of them has to be looked for from.
func starts(doubts []*doubt) map[TopicQueue]int64 {
	from := make(map[TopicQueue]int64)
	for _, o := range doubts {
		if at, ok := from[o.queue]; !ok || o.readFrom < at {
			from[o.queue] = o.readFrom
		}
	}
	return from
}

func countFound(doubts []*doubt, found map[string]bool) (n int) {
	for _, o := range doubts {
		if found[o.half.UniqKey] {
			n++
		}
	}
	return n
}

// barrierPatience is how long the dispatcher may take to pass a half that was sent just now.
const barrierPatience = 10 * time.Second

// barrier sends a half to the broker and waits until its dispatcher has passed it. The dispatcher is sequential, so what was
// stored before that half is readable from then on. (An acknowledged commit alone is not: under load two thirds of them were
// not yet readable when they were answered.)
func (d *docket) barrier(ctx context.Context, address string, q TopicQueue) error {
	ctx, cancel := context.WithTimeout(ctx, barrierPatience)
	defer cancel()
	half, err := d.s.barrierHalf(q)
	if err != nil {
		return err
	}
	answer := d.s.broker.Halves(ctx, address, []Half{half})[0]
	if !answer.Stored {
		return fmt.Errorf("send a half as a barrier: %w", errors.Join(answer.Err, errors.New(answer.describe())))
	}
	defer d.s.broker.Forget(address, []StoredHalf{{
		Topic: q.Topic, UniqKey: half.UniqKey, HalfOffset: answer.HalfOffset, LogOffset: answer.LogOffset,
	}})
	for {
		passed, err := d.s.broker.Dispatched(ctx, address, answer.HalfOffset)
		if err != nil {
			return fmt.Errorf("ask how far the dispatcher is: %w", err)
		}
		if passed {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the dispatcher did not pass a half within %s", barrierPatience)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
