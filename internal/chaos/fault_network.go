package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
)

// lossy is a network that does something to some requests or answers for a while.
type lossy struct {
	name string
	// database says that it is the connection to PostgreSQL.
	database bool
	act      proxy.Act
	kinds    []proxy.Kind
	then     []proxy.Then // one of them
	// delays are the shortest and the longest.
	delays [2]time.Duration
	// rare says that little of it passes, so that the chance must not be small.
	rare bool
	// before is a point at which the relays are killed first.
	before string
}

func lossyNetworks() []lossy {
	anyEnd := []proxy.Then{proxy.Keep, proxy.Cut, proxy.HalfOpen}
	lost := []proxy.Then{proxy.Cut, proxy.HalfOpen}
	longer := [2]time.Duration{1200 * time.Millisecond, 4 * time.Second}     // than commit_timeout and send_timeout
	pastWindow := [2]time.Duration{2500 * time.Millisecond, 5 * time.Second} // at its end, and after it
	half, commit := []proxy.Kind{proxy.Half}, []proxy.Kind{proxy.Commit}
	readBack := []proxy.Kind{proxy.Commit, proxy.Rollback, proxy.Pull, proxy.Query, proxy.Offset}
	return []lossy{
		{name: "answers to half messages lost", act: proxy.LoseAnswer, kinds: half, then: anyEnd},
		{name: "half messages lost", act: proxy.LoseRequest, kinds: half, then: anyEnd},
		{name: "answers to commits lost", act: proxy.LoseAnswer, kinds: commit, then: anyEnd},
		{name: "commits lost", act: proxy.LoseRequest, kinds: commit, then: anyEnd},
		{name: "answers to commits late", act: proxy.DelayAnswer, kinds: commit, delays: longer},
		{name: "commits late, past their window", act: proxy.DelayRequest, kinds: commit, delays: pastWindow},
		{name: "half messages late", act: proxy.DelayRequest, kinds: half, delays: longer},
		{name: "cut after commits", act: proxy.CutAfter, kinds: commit},
		{name: "commits and reading back unanswered", act: proxy.LoseAnswer, kinds: readBack, then: anyEnd},
		{name: "check-backs lost", act: proxy.LoseRequest, kinds: []proxy.Kind{proxy.CheckBack, proxy.Check}, then: anyEnd, rare: true, before: pointHalf},
		{name: "answer to decide lost", database: true, rare: true, act: proxy.LoseAnswer, kinds: []proxy.Kind{proxy.Decide}, then: lost},
		{name: "answer to settle lost", database: true, rare: true, act: proxy.LoseAnswer, kinds: []proxy.Kind{proxy.Settle}, then: lost},
		{name: "decide lost", database: true, rare: true, act: proxy.LoseRequest, kinds: []proxy.Kind{proxy.Decide}, then: lost},
		{name: "settle lost", database: true, rare: true, act: proxy.LoseRequest, kinds: []proxy.Kind{proxy.Settle}, then: lost},
		{name: "answers to decide and settle late", database: true, act: proxy.DelayAnswer, kinds: []proxy.Kind{proxy.Decide, proxy.Settle}, delays: longer},
		{name: "answers about leases lost", database: true, act: proxy.LoseAnswer, kinds: []proxy.Kind{proxy.Lease}, then: lost, rare: true},
	}
}

func networkKinds() []Kind {
	var kinds []Kind
	for _, n := range lossyNetworks() {
		kinds = append(kinds, Kind{Name: "network: " + n.name, Short: n.before == "", Inject: n.inject})
	}
	return append(kinds,
		Kind{Name: "network: broker connections cut", Short: true, Inject: func(ctx context.Context, w *World, d *Draw) error {
			return w.cut(ctx, d, w.brokerLine)
		}},
		Kind{Name: "network: broker half-open", Inject: func(ctx context.Context, w *World, d *Draw) error {
			return w.halfOpen(ctx, d, w.brokerLine)
		}},
		Kind{Name: "network: broker unreachable", Inject: func(ctx context.Context, w *World, d *Draw) error {
			return w.unreachable(ctx, d, w.brokerLine)
		}},
		Kind{Name: "network: postgres connections cut", Short: true, Inject: func(ctx context.Context, w *World, d *Draw) error {
			return w.cut(ctx, d, w.databaseLine)
		}},
		Kind{Name: "network: postgres half-open", Inject: func(ctx context.Context, w *World, d *Draw) error {
			return w.halfOpen(ctx, d, w.databaseLine)
		}},
		Kind{Name: "network: postgres unreachable", Inject: func(ctx context.Context, w *World, d *Draw) error {
			return w.unreachable(ctx, d, w.databaseLine)
		}},
	)
}

// inject lets the network fail for a while: each request or answer of the kinds with a chance.
func (n lossy) inject(ctx context.Context, w *World, d *Draw) error {
	line, chance := w.brokerLine, []float64{0.02, 0.2, 0.7}[d.IntN(3)]
	if n.rare {
		chance = max(chance, 0.2)
	}
	if n.database {
		line = w.databaseLine
	}
	rule := proxy.Rule{Act: n.act, Kinds: n.kinds, Chance: chance}
	if len(n.then) > 0 {
		rule.Then = n.then[d.IntN(len(n.then))]
	}
	if n.delays[1] > 0 {
		rule.Delay = d.between(n.delays[0], n.delays[1])
	}
	long := d.between(4*time.Second, 9*time.Second)
	if n.before != "" {
		relays := w.fleet.running()
		err := w.arm(ctx, relays, 1, n.before)
		if err := errors.Join(kill(relays), start(relays)); err != nil {
			return err
		}
		if err != nil && !errors.Is(err, errNotReached) {
			return err
		}
	}
	before := line.Counts()
	if _, err := line.Add(rule); err != nil {
		return err
	}
	if err := errors.Join(pause(ctx, long), line.Heal()); err != nil {
		return err
	}
	for count, n := range line.Counts() {
		if count.Act == rule.Act && n > before[count] {
			return nil
		}
	}
	return fmt.Errorf("%w: nothing passed that it concerns", errNotReached)
}

// cut resets every connection, a few times.
func (w *World) cut(ctx context.Context, d *Draw, line *proxy.Proxy) error {
	for range 1 + d.IntN(6) {
		if err := pause(ctx, d.between(50*time.Millisecond, 1500*time.Millisecond)); err != nil {
			return err
		}
		line.CutAll()
	}
	return nil
}

// halfOpen leaves the connections open and silent: nobody is told.
func (w *World) halfOpen(ctx context.Context, d *Draw, line *proxy.Proxy) error {
	line.HalfOpenAll()
	return errors.Join(pause(ctx, d.between(time.Second, 10*time.Second)), line.Heal())
}

// unreachable resets every connection and refuses new ones.
func (w *World) unreachable(ctx context.Context, d *Draw, line *proxy.Proxy) error {
	if err := line.Refuse(); err != nil {
		return err
	}
	line.CutAll()
	return errors.Join(pause(ctx, d.between(time.Second, 12*time.Second)), line.Heal())
}
