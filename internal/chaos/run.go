package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
)

// Config is one run.
type Config struct {
	Seed     uint64
	Duration time.Duration // of the faults; what comes before and after them is extra
	// Faults ends the run earlier, after so many; 0 means by Duration alone.
	Faults int
	Kinds  []Kind
	// Dir takes logs and the servers' data. Default: a folder in the system's temporary one. It is removed if all was well.
	Dir string
	Log *slog.Logger
	// Binary is the relay, built with -tags chaos. Default: it is built from this source.
	Binary string
}

// injectPatience bounds one fault: what does not end by then is a mistake of the harness.
const injectPatience = 5 * time.Minute

// calm is how long nothing is broken at the start and at the end, for comparison.
const calm = 3 * time.Second

// run is a run under way.
type run struct {
	*World
	cfg    Config
	report *Report
	spans  []string // what was broken during each span of the run
}

// Run breaks things for a while, and returns what arrived. An error says that the harness itself failed; what the relays did
// wrong is in the report.
func Run(ctx context.Context, cfg Config) (report *Report, err error) {
	begin := time.Now()
	if cfg.Dir, err = workDir(cfg.Dir); err != nil {
		return nil, err
	}
	if cfg.Binary == "" {
		if cfg.Binary, err = buildRelay(ctx, cfg.Dir); err != nil {
			return nil, err
		}
	}
	report = newReport(cfg.Seed, cfg.Dir)
	isFinale := func(k Kind) bool { return k.Finale }
	if usual := slices.DeleteFunc(slices.Clone(cfg.Kinds), isFinale); len(usual) > 0 {
		err = random(ctx, cfg, report)
	}
	if err == nil && slices.ContainsFunc(cfg.Kinds, isFinale) {
		err = finale(ctx, cfg, report)
	}
	report.Took = time.Since(begin).Round(time.Second)
	if err != nil {
		return report, fmt.Errorf("seed %d (logs are in %s): %w", cfg.Seed, cfg.Dir, err)
	}
	if report.OK() {
		return report, os.RemoveAll(cfg.Dir)
	}
	return report, nil
}

// random is everything but the finale.
func random(ctx context.Context, cfg Config, report *Report) error {
	world, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	r := &run{World: world, cfg: cfg, report: report}
	return errors.Join(r.all(ctx), world.close())
}

// all is the run from the first row to the audit.
func (r *run) all(ctx context.Context) error {
	r.enter(nothing)
	if err := r.startWriter(ctx, r.cfg.Seed); err != nil {
		return err
	}
	defer r.writer.finish()
	if err := r.begin(ctx); err != nil {
		return err
	}
	plan := NewPlan(r.cfg.Seed, r.cfg.Kinds)
	end := time.Now().Add(r.cfg.Duration)
	for n := 0; time.Now().Before(end) && (r.cfg.Faults == 0 || n < r.cfg.Faults); n++ {
		if err := r.step(ctx, plan.Next()); err != nil {
			return err
		}
	}
	return r.end(ctx)
}

// begin lets a relay work undisturbed.
func (r *run) begin(ctx context.Context) error {
	if err := start(r.fleet.relays[:1]); err != nil {
		return err
	}
	if flowing, err := r.flows(ctx, patience); err != nil || !flowing {
		return errors.Join(err, errors.New("no row is sent, though nothing is broken yet"))
	}
	if err := pause(ctx, calm); err != nil {
		return err
	}
	return r.recover(ctx, patience)
}

// step injects one fault and waits until nothing is left of it.
func (r *run) step(ctx context.Context, s Step) error {
	r.enter(s.Kind.Name)
	d := s.draws()
	line := r.report.line(s.Kind.Name)
	if err := r.fleet.scale(ctx, s.Relays, d); errors.Is(err, errStalled) {
		r.stalled(line, err)
	} else if err != nil {
		return err
	}
	flowing, err := r.flows(ctx, patience)
	if err != nil {
		return err
	}
	if !flowing {
		r.stalled(line, errors.New("nothing was sent before it"))
	}
	within, cancel := context.WithTimeoutCause(ctx, injectPatience, fmt.Errorf("the fault was not over after %s", injectPatience))
	begin := time.Now()
	err = s.Kind.Inject(within, r.World, d)
	cancel()
	switch {
	case errors.Is(err, errNotReached):
		line.NotReached++
	case errors.Is(err, errStalled):
		line.Injected++
		r.stalled(line, err)
	case err != nil:
		return fmt.Errorf("%s: %w", s.Kind.Name, err)
	default:
		line.Injected++
	}
	took := time.Since(begin)
	limit := max(patience, s.Kind.Patience)
	if err := r.recover(ctx, limit); err != nil {
		return fmt.Errorf("%s: %w", s.Kind.Name, err)
	}
	r.log.LogAttrs(ctx, slog.LevelInfo, "fault", slog.String("kind", s.Kind.Name), slog.Int("relays", s.Relays),
		slog.String("took", took.Round(100*time.Millisecond).String()), slog.String("recovered_after", line.last.String()),
		slog.Any("outcome", err))
	return nil
}

// stalled notes that something did not go on that should have.
func (r *run) stalled(line *Line, err error) {
	line.Stuck++
	r.report.find("stuck during %s (span %d): %s", line.Kind, len(r.spans)-1, err)
	r.log.Error("stuck", slog.String("kind", line.Kind), slog.String("error", err.Error()))
}

// enter begins a span of the run.
func (r *run) enter(kind string) {
	r.ledger.enter(len(r.spans))
	r.spans = append(r.spans, kind)
}

// recover waits until all that was committed before now has been sent, and ends the span.
func (r *run) recover(ctx context.Context, limit time.Duration) error {
	before, err := r.remember(ctx)
	if err != nil {
		return err
	}
	took, stuck, err := r.recovered(ctx, before, limit)
	if err != nil {
		return err
	}
	kind := r.spans[len(r.spans)-1]
	line := r.report.line(kind)
	line.recovered(took)
	if stuck != "" {
		line.Stuck++
		r.report.find("stuck after %s (span %d): %s", kind, len(r.spans)-1, stuck)
		r.log.LogAttrs(ctx, slog.LevelError, "stuck", slog.String("kind", kind), slog.String("left", stuck))
	}
	return r.topic.mark(ctx)
}

// end drains the outbox and audits the topic.
func (r *run) end(ctx context.Context) error {
	r.enter(nothing)
	if err := r.fleet.scale(ctx, 1, NewPlan(r.cfg.Seed, r.cfg.Kinds).Next().draws()); err != nil {
		return err
	}
	if err := pause(ctx, calm); err != nil {
		return err
	}
	r.writer.finish()
	if err := r.noWriterLeft(ctx); err != nil {
		return err
	}
	if err := r.recover(ctx, clockPatience); err != nil {
		return err
	}
	if err := r.fleet.close(); err != nil {
		return err
	}
	return r.audit(ctx)
}

// noWriterLeft waits until no backend of the writer is left: one whose client has gone may still commit.
func (r *run) noWriterLeft(ctx context.Context) error {
	left := 1
	for left > 0 {
		err := r.asking(ctx, func(ctx context.Context) error {
			return r.db.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE usename = '`+appRole+`'`).Scan(&left)
		})
		if err == nil {
			err = pause(ctx, 20*time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *run) audit(ctx context.Context) error {
	book, err := readBook(ctx, r.db)
	if err != nil {
		return err
	}
	deliveries, err := r.topic.read(ctx)
	if err != nil {
		return err
	}
	r.report.judge(Judge(book, r.ledger.uncertain(), deliveries), r.spans)
	r.report.account(r.writer, len(deliveries))
	r.report.Exits = r.fleet.exits()
	r.report.Broken, err = brokenPromises(r.fleet)
	return errors.Join(err, r.deadRows(ctx))
}

// deadRows notes rows that the relays gave up: the writer makes none that they may.
func (r *run) deadRows(ctx context.Context) error {
	var dead int
	var example string
	err := r.db.QueryRow(ctx, `SELECT count(*), coalesce(min('row ' || id || ': ' || reason || ': ' || error), '') FROM outbox_dead`).Scan(&dead, &example)
	if err != nil {
		return fmt.Errorf("read the dead letters: %w", err)
	}
	if dead > 0 {
		r.report.find("%d rows are dead, such as %s", dead, example)
	}
	return nil
}
