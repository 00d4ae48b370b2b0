package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// read reads one queue from an offset to its end and notes which of the doubts it sees.
func (d *docket) read(
	ctx context.Context, address string, q TopicQueue, from int64, places []place, found map[string]bool,
) (ReadProof, error) {
	wanted := make(map[string]bool, len(places))
	for _, p := range places {
		wanted[p.doubt.half.UniqKey] = true
	}
	proof, err := d.s.broker.ReadBack(ctx, address, q, from, func(uniqKey string) {
		if wanted[uniqKey] {
			found[uniqKey] = true
		}
	})
	if err != nil {
		return proof, fmt.Errorf("read back %s/%d from %d: %w", q.Topic, q.Queue, from, err)
	}
	return proof, nil
}

// A place is where a message in doubt can be: on its queue, or with those that the broker keeps until they are due.
type place struct {
	doubt *doubt
	from  int64
}

func byQueue(doubts []*doubt) map[TopicQueue][]place {
	queues := make(map[TopicQueue][]place)
	for _, o := range doubts {
		queues[o.queue] = append(queues[o.queue], place{o, o.readFrom})
		for _, t := range o.kept {
			q := TopicQueue{Topic: t.Topic, Queue: t.Queue}
			queues[q] = append(queues[q], place{o, t.ReadFrom})
		}
	}
	return queues
}

// starts returns the offsets that doubts of one queue have to be looked for from, the smallest first.
func starts(places []place) []int64 {
	var from []int64
	for _, p := range places {
		from = append(from, p.from)
	}
	slices.Sort(from)
	return slices.Compact(from)
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
//
// Any topic of the broker will do, so a topic that refuses keeps the others from nothing.
func (d *docket) barrier(ctx context.Context, address string, doubts []*doubt) error {
	ctx, cancel := context.WithTimeout(ctx, barrierPatience)
	defer cancel()
	var errs []error
	refused := make(map[TopicQueue]bool)
	for _, o := range doubts {
		if refused[o.queue] {
			continue
		}
		refused[o.queue] = true
		half, stored, err := d.sendBarrier(ctx, address, o.queue)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		defer d.s.broker.Forget(address, []StoredHalf{half})
		return d.passed(ctx, address, stored)
	}
	return errors.Join(errs...)
}

func (d *docket) sendBarrier(ctx context.Context, address string, q TopicQueue) (StoredHalf, int64, error) {
	now, _ := d.s.clocks.now(d.broker)
	half, err := d.s.barrierHalf(q, now)
	if err != nil {
		return StoredHalf{}, 0, err
	}
	a := d.s.broker.Halves(ctx, address, []Half{half})[0]
	if !a.Stored {
		return StoredHalf{}, 0, fmt.Errorf("send a half to %s as a barrier: %s", q.Topic, a.describe())
	}
	return StoredHalf{Topic: q.Topic, UniqKey: half.UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset}, a.HalfOffset, nil
}

// passed waits until the dispatcher has passed a half.
func (d *docket) passed(ctx context.Context, address string, halfOffset int64) error {
	for {
		passed, err := d.s.broker.Dispatched(ctx, address, halfOffset)
		if err != nil {
			return fmt.Errorf("ask how far the dispatcher is: %w", err)
		}
		if passed {
			return nil
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return fmt.Errorf("the dispatcher did not pass a half within %s", barrierPatience)
		}
	}
}
