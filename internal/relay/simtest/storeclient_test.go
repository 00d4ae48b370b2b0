package simtest

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

var (
	errUnreachable = errors.New("connection refused")
	errLost        = errors.New("connection lost")
)

// storeClient is the store as one process sees it: over a line that loses requests and answers, or keeps them for long.
type storeClient struct {
	db   *memStore
	life *life
}

var _ relay.Store = (*storeClient)(nil)

// How often calls fail. Reads are so many that even a rare failure is frequent.
const (
	seldom = 0.0005
	often  = 0.02
	most   = 0.4 // for calls that are few
)

// A reply is what the server answers.
type reply[T any] struct {
	value T
	err   error
}

// call sends a request. Once it is on its way nobody can take it back: if the caller gives up, or dies, it takes effect late.
func call[T any](ctx context.Context, c *storeClient, name string, rate float64, effect func() (T, error)) (T, error) {
	var none T
	w := c.life.w
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	if !c.life.hold() {
		return none, errKilled
	}
	if w.chance.fault(rate / 2) {
		w.trace.add("%s: %s does not reach the store", c.life.name, name)
		time.Sleep(w.chance.between(0, 10*time.Millisecond))
		return none, errUnreachable
	}
	there, back := w.storeTravel(rate), w.storeTravel(rate)
	var lost <-chan time.Time
	if w.chance.fault(rate) {
		lost = time.After(w.chance.between(0, 20*time.Millisecond))
		if w.chance.hit(0.5) { // it waits in a buffer, or for a lock
			there = w.chance.between(0, []time.Duration{time.Second, 20 * time.Second}[w.chance.below(2)])
		}
	}
	replies := make(chan reply[T], 1)
	w.fly(func() {
		time.Sleep(there)
		v, err := effect()
		time.Sleep(back)
		replies <- reply[T]{v, err}
	})
	var r reply[T]
	select {
	case r = <-replies:
	case <-ctx.Done():
		r.err = ctx.Err()
	case <-lost:
		w.trace.add("%s: the answer to %s is lost, request under way for %s", c.life.name, name, there)
		r.err = errLost
	}
	if !c.life.hold() {
		return none, errKilled
	}
	return r.value, r.err
}

// storeTravel draws how long a request to the store is on its way.
func (w *world) storeTravel(rate float64) time.Duration {
	switch {
	case w.chance.fault(rate / 4):
		return w.chance.between(3*time.Second, 20*time.Second)
	case w.chance.fault(rate):
		return w.chance.between(10*time.Millisecond, 2*time.Second)
	default:
		return w.chance.between(50*time.Microsecond, time.Millisecond)
	}
}

// none is the value of calls that return only an error.
type none = struct{}

func (c *storeClient) OpenSession(ctx context.Context, s relay.Session, lease time.Duration) error {
	c.life.opens(s.ID)
	_, err := call(ctx, c, "OpenSession", often, func() (none, error) {
		c.db.openSession(s, lease)
		return none{}, nil
	})
	return err
}

func (c *storeClient) RenewSession(ctx context.Context, id uuid.UUID, lease time.Duration) error {
	_, err := call(ctx, c, "RenewSession", often, func() (none, error) { return none{}, c.db.renewSession(id, lease) })
	return err
}

func (c *storeClient) Standing(ctx context.Context, id uuid.UUID) (relay.Standing, error) {
	return call(ctx, c, "Standing", seldom, func() (relay.Standing, error) { return c.db.standing(id) })
}

func (c *storeClient) GiveShards(ctx context.Context, id uuid.UUID, shards uint64) error {
	_, err := call(ctx, c, "GiveShards", often, func() (none, error) { return none{}, c.db.giveShards(id, shards) })
	return err
}

func (c *storeClient) TakeShards(ctx context.Context, id uuid.UUID, want uint64) (uint64, error) {
	return call(ctx, c, "TakeShards", often, func() (uint64, error) { return c.db.takeShards(id, want) })
}

func (c *storeClient) CloseSession(ctx context.Context, id uuid.UUID) error {
	_, err := call(ctx, c, "CloseSession", often, func() (none, error) {
		c.db.closeSession(id)
		return none{}, nil
	})
	return err
}

func (c *storeClient) OpenAttempts(ctx context.Context, shards uint64) ([]relay.OpenAttempt, error) {
	return call(ctx, c, "OpenAttempts", often, func() ([]relay.OpenAttempt, error) { return c.db.openAttempts(shards), nil })
}

func (c *storeClient) BlockedKeys(ctx context.Context, shards uint64) ([]relay.BlockedKey, error) {
	return call(ctx, c, "BlockedKeys", often, func() ([]relay.BlockedKey, error) { return c.db.blockedKeys(shards), nil })
}

func (c *storeClient) StillThere(ctx context.Context, rows []int64) ([]int64, error) {
	return call(ctx, c, "StillThere", seldom, func() ([]int64, error) { return c.db.stillThere(rows), nil })
}

func (c *storeClient) ReadFresh(ctx context.Context, q relay.FreshQuery) (rows []relay.Row, complete bool, err error) {
	type reading struct {
		rows     []relay.Row
		complete bool
	}
	r, err := call(ctx, c, "ReadFresh", seldom, func() (reading, error) {
		rows, complete := c.db.readFresh(q)
		return reading{rows, complete}, nil
	})
	return r.rows, r.complete, err
}

func (c *storeClient) ReadDue(ctx context.Context, q relay.DueQuery) ([]relay.Row, error) {
	return call(ctx, c, "ReadDue", seldom, func() ([]relay.Row, error) { return c.db.readDue(q), nil })
}

// Decided takes its two samples one after the other.
func (c *storeClient) Decided(ctx context.Context) (relay.Decided, error) {
	return call(ctx, c, "Decided", seldom, func() (relay.Decided, error) {
		allocated := c.db.allocated()
		time.Sleep(c.life.w.chance.between(0, time.Millisecond))
		return relay.Decided{Allocated: allocated, Writers: c.db.inserting()}, nil
	})
}

func (c *storeClient) NoteFence(ctx context.Context, attempts []relay.AttemptID, address string) error {
	_, err := call(ctx, c, "NoteFence", often, func() (none, error) {
		c.db.noteFence(attempts, address)
		return none{}, nil
	})
	return err
}

func (c *storeClient) EntryStates(ctx context.Context, attempts []relay.AttemptID) (relay.EntryStates, error) {
	return call(ctx, c, "EntryStates", seldom, func() (relay.EntryStates, error) { return c.db.entryStates(attempts), nil })
}

func (c *storeClient) Purge(ctx context.Context, _ time.Duration, limit int) (int, error) {
	return call(ctx, c, "Purge", seldom, func() (int, error) { return c.db.purge(limit), nil })
}

func (c *storeClient) PutOff(ctx context.Context, session uuid.UUID, failures []relay.Failure) error {
	_, err := call(ctx, c, "PutOff", most, func() (none, error) { return none{}, c.db.putOff(session, failures) })
	return err
}

func (c *storeClient) Bury(ctx context.Context, session uuid.UUID, failures []relay.Failure) error {
	_, err := call(ctx, c, "Bury", most, func() (none, error) { return none{}, c.db.bury(session, failures) })
	return err
}

func (c *storeClient) BindTopic(ctx context.Context, want relay.Topic) (relay.Topic, error) {
	return call(ctx, c, "BindTopic", seldom, func() (relay.Topic, error) { return c.db.bindTopic(want), nil })
}

func (c *storeClient) Origin(ctx context.Context) (uuid.UUID, error) {
	return call(ctx, c, "Origin", seldom, func() (uuid.UUID, error) { return c.db.origin, nil })
}

func (c *storeClient) Backlog(ctx context.Context, _ int, _ []string) (relay.Backlog, error) {
	return call(ctx, c, "Backlog", seldom, func() (relay.Backlog, error) { return c.db.backlog(), nil })
}
