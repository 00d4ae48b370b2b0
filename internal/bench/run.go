package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Bench is one run under way.
type Bench struct {
	cfg     Config
	log     *slog.Logger
	pool    *remoting.Pool // to brokers, for everything but a pump's own messages
	servers *remoting.Pool // to name servers
	running string         // the case and its round
	begin   time.Time
	took    map[string]time.Duration // how long each case took last
}

// Run runs the cases and returns what they measured. It returns a report also with an error, of what was done until then. A
// failed audit is an error, and ends the run.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	pool, err := newPool(cfg.Servers.Access.Remoting(true))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	servers, err := newPool(cfg.Servers.Access.Remoting(false))
	if err != nil {
		return nil, err
	}
	defer servers.Close()
	w := &Bench{cfg: cfg, log: cfg.Log, pool: pool, servers: servers, begin: time.Now(), took: map[string]time.Duration{}}
	report, err := w.report(ctx)
	if err != nil {
		return nil, err
	}
	if len(report.Results) == 0 {
		if err := w.warmUp(ctx); err != nil {
			return report, fmt.Errorf("warm up: %w", err)
		}
	}
	for round := 1; round <= cfg.Repeat; round++ {
		for _, c := range cfg.Cases {
			if report.has(c.Name, round) || report.skipped(c.Name) {
				continue
			}
			if cfg.Budget > 0 && time.Since(w.begin)+w.took[c.Name] > cfg.Budget {
				report.Cut = true
				continue
			}
			result, err := w.one(ctx, c, round)
			if err != nil {
				return report, fmt.Errorf("%s: %w", c.Name, err)
			}
			report.Results = append(report.Results, result)
			if err := report.save(cfg.State); err != nil {
				return report, err
			}
		}
	}
	return report, nil
}

// one runs a case once.
func (w *Bench) one(ctx context.Context, c Case, round int) (Result, error) {
	w.running = fmt.Sprintf("%s %d", c.Name, round)
	begin := time.Now()
	values, err := c.run(ctx, w)
	took := time.Since(begin)
	w.took[c.Name] = took
	result := Result{Case: c.Name, Round: round, Values: values, Took: took.Seconds()}
	if c.Rows > 0 {
		result.Rows = w.cfg.Scale.atMost(c.Rows)
		if strings.HasPrefix(c.Name, "drain ") {
			result.Rows = w.cfg.Scale.rows(c.Rows)
		}
	}
	var skipped *SkipError
	if errors.As(err, &skipped) {
		result.Skipped, err = skipped.Why, nil
	}
	if err != nil {
		return result, err
	}
	maps.DeleteFunc(values, func(_ Measure, x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }) // of too few rows
	attrs := []slog.Attr{slog.String("case", c.Name), slog.Int("round", round), slog.String("took", took.Round(100*time.Millisecond).String())}
	if result.Skipped != "" {
		attrs = append(attrs, slog.String("skipped", result.Skipped))
	}
	for _, m := range Measures() {
		if value, ok := values[m]; ok {
			attrs = append(attrs, slog.String(string(m), figure(value)))
		}
	}
	w.log.LogAttrs(ctx, slog.LevelInfo, "case", attrs...)
	return result, nil
}

// warmingUp is what runs before the first case.
const warmingUp = "warm-up"

// warmUp lets Java compile what the cases use, and PostgreSQL's buffers fill. A broker's own time for a message falls by a third
// over its first 300,000, so each has as many before anything is measured.
func (w *Bench) warmUp(ctx context.Context) error {
	w.running = warmingUp
	for flush, rows := range map[Flush]int{Async: 200_000, Sync: 40_000} {
		brokers := len(w.cfg.Servers.brokers(flush))
		if w.cfg.Scale.Rows < 10_000 { // nothing is compiled by so few
			rows = w.cfg.Scale.atMost(rows)
		}
		for broker := range brokers {
			for _, kind := range []string{"transaction", "normal"} {
				p := newPump(kind, 256, flush, rows, false)
				p.broker = broker
				if _, err := p.run(ctx, w); err != nil {
					return err
				}
			}
		}
		if brokers == 0 {
			continue
		}
		d := drain{kind: "transaction", size: 256, flush: flush, rows: brokers * rows / 2, relays: 1, brokers: brokers}
		if _, err := d.run(ctx, w); err != nil {
			return err
		}
	}
	w.log.LogAttrs(ctx, slog.LevelInfo, "warm", slog.String("took", time.Since(w.begin).Round(time.Second).String()))
	return nil
}
