package main

import (
	"context"
	"time"
)

// progress prints a line a second, and events between them.
type progress struct {
	play  *play
	begin time.Time
	end   context.CancelFunc
	done  chan struct{}
}

func startProgress(ctx context.Context, p *play) *progress {
	ctx, cancel := context.WithCancel(ctx)
	w := &progress{play: p, begin: time.Now(), end: cancel, done: make(chan struct{})}
	p.out.printf("%8s %10s %12s %10s %8s\n", "", "committed", "rolled back", "delivered", "backlog")
	go w.run(ctx)
	return w
}

func (w *progress) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.line(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (w *progress) line(ctx context.Context) {
	var backlog int
	if err := w.play.db.QueryRow(ctx, `SELECT count(*) FROM outbox`).Scan(&backlog); err != nil {
		return // The demo is ending, or will say itself what is wrong.
	}
	c := w.play.audit.Counts()
	w.play.out.printf("%6.0f s %10d %12d %10d %8d\n", w.seconds(), c.Committed, c.RolledBack, c.Delivered, backlog)
}

// event prints a line of its own.
func (w *progress) event(name, text string) {
	w.play.out.printf("%6.1f s --- %s: %s\n", w.seconds(), name, text)
}

func (w *progress) seconds() float64 { return time.Since(w.begin).Seconds() }

// stop returns when nothing more is printed.
func (w *progress) stop() {
	w.end()
	<-w.done
}
