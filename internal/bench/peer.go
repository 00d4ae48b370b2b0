package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/child"
)

// Peers are other relays to measure beside ours. What is empty is not there.
type Peers struct {
	// Loop is the program of cmd/loop.
	Loop string
	// Java and Debezium are a Java and the folder of a Debezium Server.
	Java, Debezium string
	// WhyNot says why Debezium Server is not there.
	WhyNot string
}

// A peer moves rows of a table of its own to a topic. None of them promises what the relay does: each may send a row twice,
// none keeps the order of a key where it sends several at a time.
type peer struct {
	name  string
	table string
	// insert takes the topic, the filler, the first and the last number.
	insert string
	// single takes the topic and a payload.
	single string
	start  func(ctx context.Context, p *place) (*relay, error)
	// leave removes what it has left in the database.
	leave func(ctx context.Context, p *place) error
}

// PeerCases are the cases of the peers, beside the relay's own under the same load.
func PeerCases() []Case {
	var all []Case
	add := func(name string, rows int, run func(context.Context, *Bench) (Values, error)) {
		all = append(all, Case{Name: "peer " + name, Rows: rows, run: run})
	}
	for _, flush := range []Flush{Async, Sync} {
		part := map[Flush]int{Async: 1, Sync: 4}[flush]
		for _, workers := range []int{1, 4} {
			d := peerDrain{loopPeer(workers), flush, fullRows / 10 / part}
			add(fmt.Sprintf("loop workers=%d 256B %s", workers, flush), d.rows, d.run)
		}
		d := peerDrain{debezium(), flush, fullRows / part}
		add(fmt.Sprintf("debezium 256B %s", flush), d.rows, d.run)
	}
	for _, rate := range []int{500, 2000} {
		add(fmt.Sprintf("debezium steady %d/s", rate), 0, peerSteady{debezium(), rate}.run)
	}
	add("debezium start", 0, peerStart{debezium()}.run)
	return all
}

func loopPeer(workers int) peer {
	return peer{
		name: "loop",
		table: `CREATE TABLE peer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, ordering_key text, payload bytea NOT NULL, sent_at timestamptz);
CREATE INDEX peer_pending ON peer (id) WHERE sent_at IS NULL`,
		insert: `INSERT INTO peer (topic, ordering_key, payload)
SELECT $1, 'key-' || n % 1000, convert_to(lpad(n::text, 16, '0') || $2, 'UTF8') FROM generate_series($3::bigint, $4::bigint) n ORDER BY n`,
		single: `INSERT INTO peer (topic, payload) VALUES ($1, $2)`,
		start: func(_ context.Context, p *place) (*relay, error) {
			w := p.bench
			if w.cfg.Peers.Loop == "" {
				return nil, skip("run with -peers")
			}
			return p.startPeer(exec.Command(w.cfg.Peers.Loop, "-url", w.cfg.Servers.Postgres, "-schema", p.schema, //nolint:noctx // It is killed.
				"-nameserver", w.cfg.Servers.NameServer, "-group", p.topic, "-workers", strconv.Itoa(workers)))
		},
		leave: func(context.Context, *place) error { return nil },
	}
}

// startPeer starts a peer's process, which logs to a file.
func (p *place) startPeer(cmd *exec.Cmd) (*relay, error) {
	r := &relay{log: filepath.Join(p.bench.cfg.Dir, p.schema+"-peer.log"), started: time.Now()}
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the peer's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // The process has its own copy.
	cmd.Stdout, cmd.Stderr = log, log
	r.process, err = child.Start(cmd)
	return r, err
}

// at prepares a place with the peer's table, and starts the peer.
func (d peer) at(ctx context.Context, w *Bench, flush Flush) (p *place, r *relay, leave func() error, err error) {
	brokers, err := w.need(flush, 1)
	if err != nil {
		return nil, nil, nil, err
	}
	k := kinds()["normal"]
	k.keyed = true
	if p, err = w.newPlace(ctx, k, brokers); err != nil {
		return nil, nil, nil, err
	}
	leave = func() error {
		var errs []error
		if r != nil {
			errs = append(errs, r.process.Kill(), os.Remove(r.log))
		}
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyPatience)
		defer cancel()
		return errors.Join(append(errs, d.leave(tidy, p), w.deleteTopic(tidy, warmTopic(p), brokers), p.close())...)
	}
	if err = w.createTopic(ctx, warmTopic(p), k.messageType, brokers); err == nil {
		if _, err = p.db.Exec(ctx, d.table); err == nil {
			r, err = d.start(ctx, p)
		}
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, leave())
	}
	return p, r, leave, nil
}

// warmRows let Java compile a peer's code: what is measured after them is a peer that has run for a while.
const warmRows = 60_000

// warm sends rows through the peer to another topic.
func (d peer) warm(ctx context.Context, p *place, size int) error {
	if err := d.awaitStream(ctx, p); err != nil {
		return err
	}
	other := *p
	other.topic = warmTopic(p)
	n := p.bench.cfg.Scale.atMost(warmRows)
	if d.name == "loop" {
		n = max(n/20, 1) // it is compiled already
	}
	if err := other.fillBy(ctx, d.insert, 1, n, size, chunk); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, drainPatience, errors.New("the warm-up did not end"))
	defer cancel()
	_, err := other.awaitCount(ctx, n, look)
	return err
}

func warmTopic(p *place) string { return p.topic + "_warm" }

// standstill turns what goes wrong with a peer into a remark: it is no failure of the benchmark.
func standstill(err error) error {
	var skipped *SkipError
	if err == nil || errors.As(err, &skipped) || errors.Is(err, context.Canceled) {
		return err
	}
	return skip("came to a standstill: %v", err)
}

// peerDrain is a backlog that is committed at once while the peer waits.
type peerDrain struct {
	peer
	flush Flush
	rows  int
}

func (d peerDrain) run(ctx context.Context, w *Bench) (v Values, err error) {
	const size = 256
	p, r, leave, err := d.at(ctx, w, d.flush)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(standstill(err), leave()) }()
	if err := d.warm(ctx, p, size); err != nil {
		return nil, err
	}
	rows := w.cfg.Scale.atMost(d.rows)
	if err := p.fillBy(ctx, d.insert, 1, rows, size, rows); err != nil {
		return nil, err
	}
	if v, err = p.measureDrain(ctx, []*relay{r}, rows); err != nil {
		return nil, err
	}
	delete(v, Tail)
	delete(v, TableSize)
	delete(v, LedgerSize)
	a, err := p.audit(ctx, rows, size)
	if err != nil {
		return nil, err
	}
	v[Reordered], v[Duplicates] = float64(a.reordered), float64(a.duplicated)
	if a.arrived != rows || a.foreign > 0 {
		return nil, a.verdict()
	}
	return v, nil
}

// peerSteady is a steady load on a peer.
type peerSteady struct {
	peer
	rate int
}

func (d peerSteady) run(ctx context.Context, w *Bench) (v Values, err error) {
	p, r, leave, err := d.at(ctx, w, Async)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(standstill(err), leave()) }()
	const size = 256
	p.kind.keyed = false
	if err := d.warm(ctx, p, size); err != nil {
		return nil, err
	}
	m := meter{relays: []*relay{r}, postgres: w.cfg.Servers.PostgresPID, brokers: p.brokers}
	if v, err = p.measureSteady(ctx, steady{rate: d.rate, size: size}, p.schema, d.single, m); err != nil {
		return nil, err
	}
	peakMemory([]*relay{r}, v)
	return v, nil
}

// peerStart is the time from the start of the peer's process to its first message.
type peerStart struct{ peer }

func (d peerStart) run(ctx context.Context, w *Bench) (v Values, err error) {
	p, r, leave, err := d.at(ctx, w, Async)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(standstill(err), leave()) }()
	if err := d.awaitStream(ctx, p); err != nil { // what is inserted before is not sent
		return nil, err
	}
	if err := p.fillBy(ctx, d.insert, 1, 1, 256, 1); err != nil {
		return nil, err
	}
	first, err := p.awaitFirst(ctx, []*relay{r})
	if err != nil {
		return nil, err
	}
	return Values{FirstMessage: first.at.Sub(r.started).Seconds() * 1000}, nil
}
