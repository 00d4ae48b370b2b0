package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Clocks. A half's window runs from its born time, which the relay chooses, by the broker's clock, which it does not. So the
// relay reads the broker's clock now and then, from the store time of a half that it has just sent, and takes the born time
// from there if this machine's clock differs. Time that has passed is measured monotonically, here and everywhere: a wall
// clock may jump.
//
// No promise rests on it. A born time that is too early has commits refused, and the rows are sent again; one that is too
// late lets a doubt wait longer until the broker refuses. docs/architecture.md goes through every case.

const (
	clockEvery = 10 * time.Second // between readings of a broker's clock
	clockRetry = time.Second      // after one that failed
	clockTries = 3                // readings that fail in a row before somebody is told
)

// clocks knows the brokers' clocks.
type clocks struct {
	cfg     Config
	broker  Broker
	log     *slog.Logger
	metrics *Metrics

	mu    sync.Mutex
	known map[string]*brokerClock
}

// brokerClock is what is known of one broker's clock.
type brokerClock struct {
	turn     chan struct{} // held while it is read, so that batches do not all ask at once
	address  string
	reading  int           // number of the last reading, 0 = never read
	time     time.Time     // what the clock showed ...
	at       time.Time     // ... at this instant, which has a monotonic reading ...
	own      time.Time     // ... when this machine's wall clock showed this
	bound    time.Duration // of the error
	tried    time.Time     // the last attempt to read it
	failures int           // in a row since
	suspect  bool          // a commit was called late that was sent in time
	refusals int           // readings in a row that did not help
	said     clockState
}

// A clockState is what was last said about a clock.
type clockState int

const (
	clockAgrees     clockState = iota // or not read yet
	clockDiffers                      // made up for
	clockFar                          // likewise, and somebody should know: it is more than the window
	clockUnreadable                   // if it differs, nobody would notice before commits are refused
)

// errNoHalf says that a reading had nothing to go by.
var errNoHalf = errors.New("the answers took too long to tell")

func newClocks(cfg Config, b Broker, log *slog.Logger, m *Metrics) *clocks {
	return &clocks{cfg: cfg, broker: b, log: log, metrics: m, known: make(map[string]*brokerClock)}
}

// slack is the difference that needs no making up for.
func (c *clocks) slack() time.Duration { return min(500*time.Millisecond, c.cfg.Window/10) }

// now returns the time by the broker's clock, or by this machine's where that is as good, and which reading says so.
func (c *clocks) now(broker string) (now time.Time, reading int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.cfg.now().Round(0)
	k := c.of(broker)
	if k.reading == 0 {
		return own, 0
	}
	theirs := k.after(time.Since(k.at))
	if differ(theirs, own) <= c.slack()+k.bound {
		return own, k.reading
	}
	return theirs, k.reading
}

// earliest returns the earliest time that any broker has.
func (c *clocks) earliest() time.Time {
	c.mu.Lock()
	names := make([]string, 0, len(c.known))
	for name := range c.known {
		names = append(names, name)
	}
	c.mu.Unlock()
	var first time.Time
	for _, name := range names {
		if now, _ := c.now(name); first.IsZero() || now.Before(first) {
			first = now
		}
	}
	if first.IsZero() {
		return c.cfg.now()
	}
	return first
}

// fits reports whether a born time that was chosen at the instant built is right enough by what is known of the broker's
// clock now. Halves that were born half a window early would hardly be committed in time; halves born in the broker's future
// would keep a doubt open for as long. It returns which reading says so.
func (c *clocks) fits(broker string, born, built time.Time) (reading int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(broker)
	return k.reading, k.reading == 0 || differ(k.after(built.Sub(k.at)), born) <= c.cfg.Window/2+k.bound
}

// read reads the broker's clock, if that is due, from a half that it stored between the instants sent and done.
func (c *clocks) read(ctx context.Context, broker, address string, half StoredHalf, sent, done time.Time) {
	if !c.due(broker, address) {
		return
	}
	turn := c.turnOf(broker)
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return
	}
	if !c.due(broker, address) {
		return // another batch has read it meanwhile
	}
	bound := done.Sub(sent) / 2
	err := errNoHalf
	var stored time.Time
	if bound <= c.cfg.Window/4 {
		stored, err = c.broker.StoredAt(ctx, address, half)
	}
	if ctx.Err() != nil {
		return
	}
	c.note(broker, address, stored, sent.Add(bound), bound, err)
}

// due reports whether a clock is to be read: for the first time, again after a while, at once after a refusal, when the
// broker has moved, and when this machine's wall clock and its monotonic clock have come apart, be it that one was set or
// that the machine was asleep.
func (c *clocks) due(broker, address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(broker)
	switch {
	case k.failures > 0:
		return time.Since(k.tried) >= clockRetry
	case k.reading == 0 || k.suspect || k.address != address:
		return true
	}
	passed := time.Since(k.at)
	return passed >= clockEvery || differ(c.cfg.now().Round(0), k.own.Add(passed)) > c.slack()
}

// note takes in what a reading came to.
func (c *clocks) note(broker, address string, shown, at time.Time, bound time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(broker)
	k.tried = time.Now()
	if err != nil {
		if k.failures++; k.failures == clockTries {
			c.say(broker, k, clockUnreadable, slog.String("error", err.Error()))
		}
		return
	}
	own := c.cfg.now().Round(0).Add(-time.Since(at))
	k.address, k.time, k.at, k.own, k.bound = address, shown, at, own, bound
	k.failures, k.suspect = 0, false
	k.reading++
	ahead := shown.Sub(own)
	c.metrics.ClockOffset(broker, ahead)
	state := clockAgrees
	switch {
	case differ(shown, own) >= c.cfg.Window:
		state = clockFar
	case differ(shown, own) > c.slack()+bound:
		state = clockDiffers
	}
	c.say(broker, k, state, slog.Duration("ahead", ahead), slog.Duration("error_at_most", bound))
}

// say logs what is new about a clock, and raises or ends the alert.
func (c *clocks) say(broker string, k *brokerClock, state clockState, detail ...any) {
	if k.said == state {
		return
	}
	k.said = state
	detail = append(detail, slog.String("broker", broker), slog.Bool("alert", state >= clockFar))
	switch state {
	case clockAgrees:
		c.log.Info("the broker's clock agrees with this machine's again", detail...)
	case clockDiffers:
		c.log.Warn("the broker's clock differs from this machine's: halves are born by the broker's", detail...)
	case clockFar:
		c.log.Warn("the broker's clock differs from this machine's by more than the window: halves are born by the broker's", detail...)
	case clockUnreadable:
		c.log.Warn("the broker's clock cannot be read: if it differs from this machine's, commits may be refused", detail...)
	}
	alert := false
	for _, k := range c.known {
		alert = alert || k.said >= clockFar
	}
	c.metrics.Alert(AlertClock, alert)
}

// refused notes that the broker called a commit late that was sent in time, by halves born by the given reading. It reports
// whether reading the clock again is no help: it cannot be read, or the last reading has not helped.
func (c *clocks) refused(broker string, reading int) (helpless bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(broker)
	if reading < k.reading {
		return false // read again since
	}
	if !k.suspect {
		k.suspect = true
		k.refusals++
	}
	return k.refusals > 1 || k.failures > 0
}

// accepted notes that the broker took a commit in time.
func (c *clocks) accepted(broker string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(broker).refusals = 0
}

// of returns a broker's clock. It is called with the lock held.
func (c *clocks) of(broker string) *brokerClock {
	k := c.known[broker]
	if k == nil {
		k = &brokerClock{turn: make(chan struct{}, 1)}
		c.known[broker] = k
	}
	return k
}

func (c *clocks) turnOf(broker string) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of(broker).turn
}

// after returns what the clock shows some time after it was read.
func (k *brokerClock) after(passed time.Duration) time.Time { return k.time.Add(passed).Round(0) }

// differ returns by how much two times differ, by the wall clock.
func differ(a, b time.Time) time.Duration { return a.Round(0).Sub(b.Round(0)).Abs() }

// timely reads the broker's clock where that is due, and gives the batch up if its born time turns out to be wrong: its
// halves are forgotten, and the rows are sent again.
func (b *batch) timely(half StoredHalf, sent, done time.Time) bool {
	if half.UniqKey != "" {
		b.s.clocks.read(b.ctx(), b.broker, b.address, half, sent, done)
	}
	reading, ok := b.s.clocks.fits(b.broker, b.born, b.built)
	if b.reading = reading; ok {
		return true
	}
	b.s.log.Info("the born time of a batch is wrong by the broker's clock: the batch is built again",
		slog.String("broker", b.broker), slog.Int("rows", len(b.items)))
	b.giveUp()
	return false
}

// smallest returns the smallest of the halves that were stored, the cheapest to read back; the zero value if none was.
func (b *batch) smallest(answers []HalfAnswer) (half StoredHalf) {
	size := -1
	for i, it := range b.items {
		if a := answers[i]; a.Stored && (size < 0 || len(it.half.Body) < size) {
			size = len(it.half.Body)
			half = StoredHalf{Topic: it.row.Topic, UniqKey: it.half.UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset}
		}
	}
	return half
}

// describe is for the log of a refusal.
func (c *clocks) describe(broker string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.of(broker)
	if k.reading == 0 {
		return "the broker calls a commit late that was sent in time; its clock could not be read"
	}
	return fmt.Sprintf("the broker calls a commit late that was sent in time; its clock was read %s ago and was ahead by %s",
		time.Since(k.at).Round(time.Millisecond), k.time.Sub(k.own).Round(time.Millisecond))
}
