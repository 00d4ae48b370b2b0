package bench

import (
	"log/slog"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
)

// Config is one run.
type Config struct {
	Servers Servers
	// Relay is the path of the relay's program.
	Relay string
	// RelaySettings are added to those of the relays, each "key=value" with a key as in the settings file.
	RelaySettings []string
	// Environ is what the relays get beside what the run sets. Nil: this process's, without what would configure a relay.
	Environ []string
	// Cases are those to run, in this order.
	Cases []Case
	// Repeat is how many rounds there are.
	Repeat int
	// Scale multiplies the rows and the times of the cases: 1 is the short form.
	Scale Scale
	// Budget ends the run before a case that would not be done in time, as far as can be told. 0 = none.
	Budget time.Duration
	// Dir takes logs, and profiles if Profile is set.
	Dir     string
	Profile bool
	Peers   Peers
	// State, if not empty, is the file from which the run goes on after it was stopped.
	State string
	Log   *slog.Logger
}

// Scale is how much of each case is run.
type Scale struct {
	// Rows replaces the 200,000 rows of a full drain; the rows of the other drains change in proportion. Where fewer are wanted,
	// so do those of the other cases.
	Rows int
	// Time is what each measured stretch of time is multiplied with.
	Time float64
}

// fullRows are the rows of a full drain in the short form.
const fullRows = 200_000

// rows scales the rows of a case, and leaves enough to measure anything.
func (s Scale) rows(n int) int {
	if s.Rows <= 0 {
		return n
	}
	return max(n*s.Rows/fullRows, 50)
}

// atMost scales the rows of cases that do not become better by more of them: only down.
func (s Scale) atMost(n int) int { return min(n, s.rows(n)) }

func (s Scale) duration(d time.Duration) time.Duration {
	if s.Time <= 0 {
		return d
	}
	return time.Duration(float64(d) * s.Time)
}

// Servers are what everything runs on.
type Servers struct {
	// Postgres is the URL of a role that may create schemas.
	Postgres string
	// PostgresPID is the postmaster, 0 if it does not run on this machine.
	PostgresPID int
	// NameServer is host:port, several separated by semicolons.
	NameServer string
	Brokers    []Broker
	// Access has the credentials and TLS with which name servers and brokers are spoken to. Default: plainly.
	Access rocketmq.Options
	// Settings say how the servers are set up, for the report.
	Settings map[string]string
}

// A Broker is one master.
type Broker struct {
	Name    string
	Address string
	Flush   Flush
	// PID is its process, 0 if it does not run on this machine.
	PID int
	// Pause freezes it and Resume ends that; nil if it cannot be done.
	Pause, Resume func() error
}

// Flush says when a broker acknowledges a message.
type Flush string

// The two settings of flushDiskType.
const (
	Async Flush = "async" // once it is in the page cache
	Sync  Flush = "sync"  // once it is on the disk
)

// brokers returns the masters with a setting, in their order.
func (s *Servers) brokers(flush Flush) []Broker {
	var all []Broker
	for _, b := range s.Brokers {
		if b.Flush == flush {
			all = append(all, b)
		}
	}
	return all
}
