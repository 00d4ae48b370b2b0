package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// oneGone is the kind with which a run ends: two brokers, one of which is killed under load and does not come back.
//
// What must be shown: what was in doubt at that broker stays listed as open in the ledger, and nothing else; rows without a
// key go on to the other broker; rows of a key whose queue was there wait; and an operator who knows what became of the listed
// ones frees them. To know it, the harness does what no operator can: it brings the broker back, once no relay runs, and
// reads it.
const oneGone = "broker: two brokers, one gone for good"

// finale is a run of its own, on servers of its own. Its lines go into the report.
func finale(ctx context.Context, cfg Config, report *Report) (err error) {
	if cfg.Dir, err = workDir(cfg.Dir + "/finale"); err != nil {
		return err
	}
	world, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	r := &run{World: world, cfg: cfg, report: report}
	err = world.startSecond(ctx, cfg.Seed)
	if err == nil {
		err = r.loseBroker(ctx)
	}
	return errors.Join(err, world.close())
}

func (r *run) loseBroker(ctx context.Context) error {
	r.enter(nothing)
	if err := r.startWriter(ctx, r.cfg.Seed); err != nil {
		return err
	}
	defer r.writer.finish()
	relays := r.fleet.relays[:2]
	if err := start(relays); err != nil {
		return err
	}
	if flowing, err := r.flows(ctx, patience); err != nil || !flowing {
		return errors.Join(err, errors.New("no row is sent, though nothing is broken yet"))
	}
	if err := errors.Join(pause(ctx, calm), r.recover(ctx, patience)); err != nil {
		return err
	}
	r.enter(oneGone)
	line := r.report.line(oneGone)
	line.Injected++
	if err := r.doubtAt(ctx, relays, r.second.Name); err != nil {
		return err
	}
	if err := errors.Join(r.second.Kill(), kill(relays), start(relays), pause(ctx, settleDown)); err != nil {
		return err
	}
	r.writer.finish()
	if err := r.noWriterLeft(ctx); err != nil {
		return err
	}
	left, took, err := r.stands(ctx)
	if err != nil {
		return err
	}
	line.recovered(took)
	if err := r.alarmed(ctx, relays, left); err != nil {
		return err
	}
	return r.resolveGone(ctx, relays, left)
}

// doubtAt kills the relays half-way through commits until what they leave in doubt is at the broker.
func (r *run) doubtAt(ctx context.Context, relays []*relay, broker string) error {
	for range 20 {
		if err := r.arm(ctx, relays, 1, pointCommitFirst); err != nil && !errors.Is(err, errNotReached) {
			return err
		}
		if err := kill(relays); err != nil {
			return err
		}
		var open int
		if err := r.db.QueryRow(ctx, `SELECT count(*) FROM outbox_attempt WHERE closed_at IS NULL AND broker = $1`, broker).Scan(&open); err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		if open > 0 {
			return nil
		}
		if err := start(relays); err != nil {
			return err
		}
		if _, err := r.flows(ctx, patience); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: nothing was in doubt at %s", errNotReached, broker)
}

// Left is a row that is still in the outbox.
type Left struct {
	Event
	Row int64
	// Listed says that the ledger has it as open at the broker that has gone: its outcome cannot be known.
	Listed bool
}

// stands waits until nothing in the outbox moves any more, and returns what is left and how long that took.
func (r *run) stands(ctx context.Context) (left []Left, took time.Duration, err error) {
	begin := time.Now()
	moved := begin
	for time.Since(moved) < 20*time.Second {
		now, err := r.left(ctx)
		if err != nil {
			return nil, 0, err
		}
		if !slices.Equal(now, left) {
			left, moved = now, time.Now()
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, 0, err
		}
	}
	return left, moved.Sub(begin), nil
}

func (r *run) left(ctx context.Context) (left []Left, err error) {
	err = r.asking(ctx, func(ctx context.Context) error {
		left = nil
		rows, err := r.db.Query(ctx, `SELECT o.id, o.payload, EXISTS (
			SELECT FROM outbox_attempt a, generate_subscripts(a.ids, 1) n
			 WHERE a.closed_at IS NULL AND a.broker = $1 AND a.ids[n] = o.id AND (a.open IS NULL OR n - 1 = ANY (a.open)))
			FROM outbox o ORDER BY o.id`, r.second.Name)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l Left
			var payload []byte
			if err := rows.Scan(&l.Row, &payload, &l.Listed); err != nil {
				return err
			}
			if err := json.Unmarshal(payload, &l.Event); err != nil {
				return err
			}
			left = append(left, l)
		}
		return rows.Err()
	})
	return left, err
}

// alarmed checks that the relays tell of what they cannot know. Their alert comes after ten minutes; the number comes at once.
func (r *run) alarmed(ctx context.Context, relays []*relay, left []Left) error {
	listed := 0
	for _, l := range left {
		if l.Listed {
			listed++
		}
	}
	told := 0.0
	for _, relay := range relays {
		n, err := relay.metric(ctx, metricDoubt)
		if err != nil {
			return err
		}
		told += n
	}
	if int(told) != listed {
		r.report.find("%s: %d rows are listed, but the relays tell of %v in doubt", oneGone, listed, told)
	}
	return nil
}

// truth brings the broker back for as long as it takes to read both.
func (r *run) truth(ctx context.Context) ([]Delivery, error) {
	if err := r.second.Start(ctx); err != nil {
		return nil, err
	}
	deliveries, err := r.topic.read(ctx)
	return deliveries, errors.Join(err, r.second.Kill())
}

// resolveGone is the audit, then the operator who says what became of what is listed, then the audit again: nothing is listed
// any more, what was not on the topic has gone to the other broker unless its key belongs to the lost one, and nothing is there
// twice.
func (r *run) resolveGone(ctx context.Context, relays []*relay, left []Left) error {
	if err := kill(relays); err != nil {
		return err
	}
	deliveries, err := r.truth(ctx)
	if err != nil {
		return err
	}
	book, err := readBook(ctx, r.db)
	if err != nil {
		return err
	}
	before := JudgeGone(book, r.ledger.uncertain(), deliveries, left, r.second.Name)
	r.report.Findings = append(r.report.Findings, before.Findings...)
	if err := errors.Join(r.decide(ctx, relays[0], deliveries, left), start(relays)); err != nil {
		return err
	}
	after, _, err := r.stands(ctx)
	if err != nil {
		return err
	}
	for _, l := range left {
		if l.Listed {
			r.report.line(oneGone).Listed++
		}
	}
	for _, l := range after {
		if l.Listed {
			r.report.find("%s: row %d is still listed after an operator has decided about it", oneGone, l.Row)
		}
	}
	return r.auditGone(ctx, book, after)
}

// decide does what an operator does who knows what is on the lost broker: one command for each row that is on its topic, and
// one for all others.
func (r *run) decide(ctx context.Context, relay *relay, deliveries []Delivery, left []Left) error {
	there := make(map[int64]bool)
	for _, d := range deliveries {
		there[d.ID] = true
	}
	for _, l := range left {
		if !l.Listed || !there[l.ID] {
			continue
		}
		if err := relay.command(ctx, "resolve", "settle", "--broker", r.second.Name, "--broker-gone", "--row", strconv.FormatInt(l.Row, 10)); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(left, func(l Left) bool { return l.Listed && !there[l.ID] }) {
		return nil
	}
	return relay.command(ctx, "resolve", "strike", "--broker", r.second.Name, "--broker-gone")
}

// auditGone reads both brokers once more.
func (r *run) auditGone(ctx context.Context, book []Entry, left []Left) error {
	if err := r.fleet.close(); err != nil {
		return err
	}
	deliveries, err := r.truth(ctx)
	if err != nil {
		return err
	}
	r.report.account(r.writer, len(deliveries))
	r.report.judge(JudgeGone(book, r.ledger.uncertain(), deliveries, left, r.second.Name), r.spans)
	broken, err := brokenPromises(r.fleet)
	r.report.Broken = append(r.report.Broken, broken...)
	return err
}
