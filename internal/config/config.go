package config

import (
	"log/slog"
	"time"

	"github.com/outbox-relay/outbox-relay/outbox"
)

// Config is the settings after every rule was checked. settings.go documents units, limits and defaults.
type Config struct {
	Database      Database
	NameServers   []string // host:port each
	Topics        []Topic
	Group         string
	Instance      string
	Connections   int
	Namespace     string // of topics and group, "" = none
	Producers     int
	AccessChannel string // ChannelLocal or ChannelCloud
	Trace         Trace
	Batch         Batch
	Send          Send
	Poll          Poll
	Window        time.Duration
	AppendMargin  time.Duration
	SendTimeout   time.Duration
	CommitTimeout time.Duration
	Lease         Lease
	Retention     time.Duration
	Retry         Retry
	HTTP          HTTP
	Log           Log
	Shutdown      Shutdown
	Profile       outbox.Profile // of limits
	Compression   Compression

	Credentials Credentials
	TLS         TLS

	warnings []string
	origins  []Origin
}

// Database says where the outbox is.
type Database struct {
	URL     DatabaseURL
	URLFile string // where URL was read from, "" if it was given directly
	Schema  string
}

// A Topic is one topic to bind.
type Topic struct {
	Name     string
	Type     string // transaction, normal, fifo or delay
	Mode     string // sync, async or oneway for type normal, else ""
	OnDead   string // block or skip
	Delivery string // exactly_once or at_least_once
}

// Send limits one request to a topic that is not transactional.
type Send struct {
	Messages int
	Bytes    int64
}

// Batch limits what is read and sent at once.
type Batch struct {
	Rows     int
	Bytes    int64
	InFlight int
}

// Poll bounds the pause between two reads.
type Poll struct{ Busy, Idle time.Duration }

// Lease times the session's lease.
type Lease struct{ Duration, Renew time.Duration }

// Retry is the backoff of rows that failed for a fault of their own, and of paused topics.
type Retry struct {
	Initial time.Duration
	Factor  float64
	Jitter  float64
	Max     time.Duration
}

// HTTP is where metrics and health are served.
type HTTP struct {
	Listen string // "" = nowhere
	Pprof  bool   // profiles, too
}

// Log says what is logged.
type Log struct {
	Level  slog.Level
	Format string // json or text
	Sends  bool   // a line for each attempt to publish a row
}

// Shutdown times the graceful stop.
type Shutdown struct{ Grace time.Duration }

// Warnings returns what is allowed but probably not meant, to be logged once at start.
func (c *Config) Warnings() []string { return c.warnings }

// Origins returns every setting with its value and where it comes from, in the order of the documentation. Secrets are
// redacted.
func (c *Config) Origins() []Origin { return c.origins }

// An Origin says where the value of one setting comes from.
type Origin struct {
	Key    string
	Value  string
	Source string // default, file:line, env NAME or flag --name
}
