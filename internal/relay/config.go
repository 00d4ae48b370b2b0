package relay

import (
	"errors"
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// Config holds the relay's settings. Start from DefaultConfig.
type Config struct {
	Instance string // lease table: a restart under the same name replaces its predecessor at once
	ClientID string // RocketMQ client id of the session, for operators
	Version  string

	Topics []Topic // the closed set of prebound topics, as configured; Queues is filled at start

	BatchRows  int   // rows per read for each broker, 1 … 4,096. Default 512.
	BatchBytes int64 // payload bytes per read. Default 8 MiB.
	InFlight   int   // batches under way at once, 1 … 64. Default 4.
	// SendMessages and SendBytes bound one request to a topic that is not transactional: so many messages of one queue go out
	// as one RocketMQ batch. Defaults 32 and 1 MiB; the bytes of a batch must stay below the broker's maxMessageSize (4 MiB).
	SendMessages int
	SendBytes    int
	PollBusy     time.Duration // pause between reads while rows come. Default 2 ms.
	PollIdle     time.Duration // the pause grows to this while none come. Default 100 ms.

	// Window is how long the broker may accept a direct commit of a half, from its born time on (immunity.go). Whole
	// seconds, at least the broker's transactionTimeOut (6 s by default), below 450 s
	// (15 checks of 30 s). Default 10 s.
	Window time.Duration
	// AppendMargin is how long a broker may stall between accepting a commit and writing it. Default 5 s.
	AppendMargin time.Duration
	// CommitTimeout is how long the answer to a commit counts as certain. It must be below the broker's slaveTimeout (3 s)
	// and syncFlushTimeout (5 s), which the broker does not report on commits. Default 2.5 s.
	CommitTimeout time.Duration

	Lease     time.Duration // how long a silent session keeps its shards. Default 10 s.
	Renew     time.Duration // pause between renewals, at most a third of Lease. Default 3 s.
	Retention time.Duration // how long closed attempts are kept as history. Default 7 days.
	Retry     Backoff       // for row faults and for paused topics

	// LogSends logs a line for each attempt to publish a row.
	LogSends    bool
	Profile     outbox.Profile // of limits. Default apache-5.
	Compression Compression    // default: none

	// At is called at named points of the flow; tests make a relay stop there. Nil in production.
	At func(Point) `json:"-"`
	// Clock tells the time that halves are born at. Nil means time.Now; tests set it wrong.
	Clock func() time.Time `json:"-"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		BatchRows: 512, BatchBytes: 8 << 20, InFlight: 4, SendMessages: 32, SendBytes: 1 << 20,
		PollBusy: 2 * time.Millisecond, PollIdle: 100 * time.Millisecond,
		Window: 10 * time.Second, AppendMargin: 5 * time.Second, CommitTimeout: 2500 * time.Millisecond,
		Lease: 10 * time.Second, Renew: 3 * time.Second, Retention: 7 * 24 * time.Hour,
		Retry: DefaultBackoff(), Profile: outbox.Apache5, Compression: Compression{Level: 5},
	}
}

// Validate reports every mistake at once.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, rule string, value any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s, but it is %v", rule, value))
		}
	}
	check(c.Instance != "", "Instance must not be empty", `""`)
	check(len(c.Topics) > 0, "Topics must name at least one topic", "empty")
	check(c.BatchRows >= 1 && c.BatchRows <= 4096, "BatchRows must be 1 to 4096", c.BatchRows)
	check(c.BatchBytes > 0, "BatchBytes must be positive", c.BatchBytes)
	check(c.InFlight >= 1 && c.InFlight <= 64, "InFlight must be 1 to 64", c.InFlight)
	check(c.SendMessages >= 1 && c.SendMessages <= 4096, "SendMessages must be 1 to 4096", c.SendMessages)
	check(c.SendBytes >= 1 && c.SendBytes <= 4<<20, "SendBytes must be 1 to 4 MiB", c.SendBytes)
	check(c.PollBusy > 0 && c.PollBusy <= c.PollIdle, "PollBusy must be positive and at most PollIdle", c.PollBusy)
	check(c.Window >= time.Second && c.Window < 450*time.Second && c.Window%time.Second == 0,
		"Window must be whole seconds from 1s to 449s", c.Window)
	check(c.AppendMargin >= 0, "AppendMargin must not be negative", c.AppendMargin)
	check(c.CommitTimeout > 0 && c.CommitTimeout < c.Window, "CommitTimeout must be positive and below Window", c.CommitTimeout)
	check(c.Renew > 0 && 3*c.Renew <= c.Lease, "Renew must be positive and at most a third of Lease", c.Renew)
	_, err := c.Profile.Limits()
	check(err == nil, "Profile must be known", c.Profile)
	check(c.Compression.Above == 0 || c.Compression.Level >= 1 && c.Compression.Level <= 9, "Compression.Level must be 1 to 9", c.Compression.Level)
	check(c.Retention > 0, "Retention must be positive", c.Retention)
	for _, t := range c.Topics {
		if err := t.validate(); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(append(faults, c.Retry.Validate())...)
}

// A Point is a named point of the flow at which a test can stop a relay.
type Point string

// The points, in the order of the flow.
const (
	PointRead         Point = "after read"
	PointHalf         Point = "after half"
	PointDecide       Point = "between decide and commit"
	PointCommitFirst  Point = "after the first commit answer"
	PointCommit       Point = "after the commits, before settle"
	PointSend         Point = "after the sends, before settle"
	PointSettling     Point = "inside settle"
	PointSettle       Point = "after settle"
	PointResolve      Point = "resolver, before its reading"
	PointResolveClose Point = "resolver, after its reading"
	PointTake         Point = "hand-over, shards taken, before what is open is loaded"
	PointRelease      Point = "hand-over, before shards are given up"
	PointCheck        Point = "in the checker"
)

// Points lists every point.
func Points() []Point {
	return []Point{
		PointRead, PointHalf, PointDecide, PointCommitFirst, PointCommit, PointSend, PointSettling, PointSettle, PointResolve, PointResolveClose,
		PointTake, PointRelease, PointCheck,
	}
}

func (c Config) now() time.Time {
	if c.Clock != nil {
		return c.Clock()
	}
	return time.Now()
}

func (c Config) at(p Point) {
	if c.At != nil {
		c.At(p)
	}
}
