package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/outbox-relay/outbox-relay/examples/orders"
	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

// demo runs everything and returns what the audit found. Whatever it started is stopped and removed when it returns.
func demo(ctx context.Context, s settings, out *console) (verdict audit.Verdict, err error) {
	dir, err := os.MkdirTemp("", "outbox-relay-demo-")
	if err != nil {
		return audit.Verdict{}, fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // A folder in /tmp more or less.

	out.printf("building the relay; starting PostgreSQL and RocketMQ " +
		"(the first time their files are fetched, which takes half a minute) …\n")
	binary, example, servers, err := prepare(ctx, s, dir, out)
	if err != nil {
		return audit.Verdict{}, err
	}
	defer func() { err = errors.Join(err, servers.close()) }()

	r, err := newRelay(ctx, binary, dir, servers)
	if err != nil {
		return audit.Verdict{}, err
	}
	defer func() {
		err = errors.Join(err, r.kill())
		if (err != nil || !verdict.OK()) && ctx.Err() == nil {
			r.printLog(out)
		}
	}()
	return perform(ctx, s, servers, r, example, out)
}

// prepare builds the relay, and the consumer if it is one of the examples, while the servers start.
func prepare(ctx context.Context, s settings, dir string, out *console) (binary string, example []string, started *servers, err error) {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if binary = s.relay; binary == "" {
			binary, err = buildRelay(groupCtx, dir)
		}
		return err
	})
	group.Go(func() (err error) {
		example, err = buildConsumer(groupCtx, s.consumer, dir)
		return err
	})
	group.Go(func() (err error) {
		started, err = startServers(groupCtx, out)
		return err
	})
	if err := group.Wait(); err != nil {
		if started != nil {
			err = errors.Join(err, started.close())
		}
		return "", nil, nil, err
	}
	return binary, example, started, nil
}

// perform is the play itself.
func perform(ctx context.Context, s settings, servers *servers, r *relay, example []string, out *console) (audit.Verdict, error) {
	if err := r.migrate(ctx); err != nil {
		return audit.Verdict{}, err
	}
	db, err := servers.connect(ctx)
	if err != nil {
		return audit.Verdict{}, err
	}
	defer db.Close()
	customers := customerNames(s.customers)
	if err := orders.Install(ctx, db, customers, stock()); err != nil {
		return audit.Verdict{}, err
	}
	notes := audit.New()
	stopConsumer, err := receive(servers, example, notes)
	if err != nil {
		return audit.Verdict{}, err
	}
	defer stopConsumer()
	if err := r.start(); err != nil {
		return audit.Verdict{}, err
	}
	if err := r.awaitReady(ctx); err != nil {
		return audit.Verdict{}, err
	}

	play := &play{
		settings: s, db: db, relay: r, audit: notes, out: out,
		shop: &shop{
			service: &orders.Service{DB: db, Topic: servers.topic}, audit: notes, customers: customers, rollback: s.rollback,
		},
	}
	return play.run(ctx)
}

// play is one performance.
type play struct {
	settings settings
	db       *pgxpool.Pool
	relay    *relay
	shop     *shop
	audit    *audit.Audit
	out      *console
	warmUp   audit.Window // the first orders, for which the consumer was not ready
	outage   audit.Window // from the kill until what had piled up by the restart was sent
}

func (p *play) run(ctx context.Context) (audit.Verdict, error) {
	if err := p.firstOrders(ctx); err != nil {
		return audit.Verdict{}, err
	}
	watch := startProgress(ctx, p)
	err := p.acts(ctx, watch)
	watch.stop()
	if err != nil {
		return audit.Verdict{}, err
	}
	verdict := p.audit.Verdict()
	p.report(verdict)
	if p.settings.consumer != consumerDemo {
		if err := p.reportEffect(ctx, verdict); err != nil {
			return audit.Verdict{}, err
		}
	}
	return verdict, p.relay.stop(ctx)
}

// firstOrders shows that everything is connected: it takes a consumer seconds to be given all its queues, and between them
// the customers use all.
func (p *play) firstOrders(ctx context.Context) error {
	p.warmUp.From = time.Now()
	if err := p.shop.first(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the first orders did not arrive within two minutes"))
	defer cancel()
	if err := p.awaitComplete(ctx); err != nil {
		return err
	}
	p.warmUp.To = time.Now()
	p.out.printf("the relay is ready, and the first order of each customer has arrived (after %.1f s)\n\n",
		p.warmUp.To.Sub(p.warmUp.From).Seconds())
	return nil
}

// acts are the orders, the crash beside them, and the wait for the last message.
func (p *play) acts(ctx context.Context, watch *progress) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.shop.run(groupCtx, p.settings.rate, p.settings.duration) })
	if p.settings.killAfter > 0 {
		group.Go(func() error { return p.crash(groupCtx, watch) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	watch.event("ORDERS END", "waiting for the last messages")
	drain, cancel := context.WithTimeout(ctx, p.settings.drain)
	defer cancel()
	if err := p.awaitComplete(drain); err != nil && ctx.Err() != nil {
		return err // Interrupted. If only the time is over, the table says what is lost.
	}
	watch.event("LISTEN", fmt.Sprintf("%s more, for messages that should not come", p.settings.linger))
	return sleep(ctx, p.settings.linger)
}

// crash kills the relay and starts it again.
func (p *play) crash(ctx context.Context, watch *progress) error {
	if err := sleep(ctx, p.settings.killAfter); err != nil {
		return err
	}
	p.outage.From = time.Now()
	if err := p.relay.kill(); err != nil {
		return err
	}
	watch.event("KILL", "the relay is dead (SIGKILL)")
	if err := sleep(ctx, p.settings.down); err != nil {
		return err
	}
	var last int64
	if err := p.db.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM outbox`).Scan(&last); err != nil {
		return fmt.Errorf("look at the backlog: %w", err)
	}
	if err := p.relay.start(); err != nil {
		return err
	}
	watch.event("RESTART", "the relay is started again")
	if err := p.relay.awaitReady(ctx); err != nil {
		return err
	}
	if err := p.awaitSent(ctx, last); err != nil {
		return err
	}
	p.outage.To = time.Now()
	watch.event("CAUGHT UP", "what had piled up until the restart is sent")
	return nil
}

// awaitSent waits until no row up to id is left.
func (p *play) awaitSent(ctx context.Context, id int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.settings.drain,
		fmt.Errorf("the backlog of the restart was not sent after %s", p.settings.drain))
	defer cancel()
	return poll(ctx, func() (bool, error) {
		var left bool
		if err := p.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox WHERE id <= $1)`, id).Scan(&left); err != nil {
			return false, fmt.Errorf("look at the backlog: %w", err)
		}
		return !left, nil
	})
}

// awaitComplete waits until everything that was committed has been delivered.
func (p *play) awaitComplete(ctx context.Context) error {
	return poll(ctx, func() (bool, error) { return p.audit.Complete(), nil })
}

// poll asks until the answer is yes or ctx ends, and then returns why it did.
func poll(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case ok || err != nil:
			return err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
