package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"text/tabwriter"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// countAtMost bounds what looking at a very large outbox costs.
const countAtMost = 1_000_000

// Status is what an operator asks first. Ages are in seconds.
type Status struct {
	Schema        string        `json:"schema"`
	Pending       int64         `json:"pending"` // rows, counted up to 1,000,000
	OldestAge     float64       `json:"oldest_age_seconds"`
	PutOff        int64         `json:"put_off"`                  // of the pending: delayed or backing off
	Unbound       int64         `json:"unbound"`                  // of the pending: for topics that no relay has bound
	UnboundTopics []string      `json:"unbound_topics,omitempty"` // some of those topics
	Dead          int64         `json:"dead"`                     // rows in the dead letters
	Open          []OpenEntries `json:"open"`                     // messages whose outcome is not written yet, by age
	OpenAge       float64       `json:"open_age_seconds"`
	Person        int64         `json:"need_person"` // of the open messages: those that only a person can decide about, see resolve list
	Leases        []LeaseStatus `json:"leases"`
}

// OpenEntries counts messages of one class of age. Those of the youngest are normal while rows flow; older ones are in doubt.
type OpenEntries struct {
	Age      string `json:"age"`
	Messages int64  `json:"messages"`
}

// LeaseStatus is one relay.
type LeaseStatus struct {
	Instance    string  `json:"instance"`
	Session     string  `json:"session"`
	ClientID    string  `json:"client_id"`
	Version     string  `json:"version"`
	Shards      int     `json:"shards"` // of 64
	ExpiresIn   float64 `json:"expires_in_seconds"`
	StartedUnix int64   `json:"started_unix"`
}

// ReadStatus looks at the outbox once.
func ReadStatus(ctx context.Context, cfg *config.Config) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	pool, err := openPool(ctx, cfg)
	if err != nil {
		return Status{}, err
	}
	defer pool.Close()
	if err := migrations.Check(ctx, pool, cfg.Database.Schema); err != nil {
		return Status{}, err
	}
	store := postgres.New(pool, cfg.Database.Schema)
	backlog, err := store.Backlog(ctx, countAtMost, nil)
	if err != nil {
		return Status{}, err
	}
	ends, names := relay.DoubtAges()
	open, err := store.OpenByAge(ctx, ends)
	if err != nil {
		return Status{}, err
	}
	leases, err := store.Leases(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Schema: cfg.Database.Schema, Pending: backlog.Rows, OldestAge: backlog.Oldest.Seconds(), PutOff: backlog.PutOff,
		Unbound: backlog.Unbound, UnboundTopics: backlog.UnboundTopics, Dead: backlog.Dead, OpenAge: backlog.OpenAge.Seconds(), Leases: []LeaseStatus{},
	}
	for i, n := range open {
		s.Open = append(s.Open, OpenEntries{Age: names[i], Messages: n})
		s.Person = n // the oldest come last
	}
	for _, l := range leases {
		s.Leases = append(s.Leases, LeaseStatus{
			Instance: l.Instance, Session: l.Session.String(), ClientID: l.ClientID, Version: l.Version,
			Shards: bits.OnesCount64(l.Shards), ExpiresIn: l.Left.Seconds(), StartedUnix: l.Started.Unix(),
		})
	}
	return s, nil
}

// WriteJSON writes the status for programs.
func (s Status) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(s)
}

// WriteTable writes the status for people.
func (s Status) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name string, format string, args ...any) {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) // Flush tells of errors.
	}
	line("schema", "%s", s.Schema)
	line("pending rows", "%d", s.Pending)
	line("oldest", "%s", seconds(s.OldestAge))
	line("put off", "%d", s.PutOff)
	line("unbound", "%d", s.Unbound)
	if len(s.UnboundTopics) > 0 {
		line("unbound topics", "%q", s.UnboundTopics)
	}
	if s.Dead > 0 {
		line("dead", "%d: outbox-relay dead list", s.Dead)
	} else {
		line("dead", "0")
	}
	for _, o := range s.Open {
		line("open, "+o.Age, "%d", o.Messages)
	}
	line("oldest open", "%s", seconds(s.OpenAge))
	if s.Person > 0 {
		line("need a person", "%d: outbox-relay resolve list", s.Person)
	}
	if len(s.Leases) == 0 {
		line("relays", "none: nobody publishes")
	}
	for _, l := range s.Leases {
		state := "lease expires in " + seconds(l.ExpiresIn)
		if l.ExpiresIn < 0 {
			state = "lease expired " + seconds(-l.ExpiresIn) + " ago"
		}
		line("relay "+l.Instance, "%d of 64 shards, %s, version %s, session %s, client %s", l.Shards, state, l.Version, l.Session, l.ClientID)
	}
	return t.Flush()
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}
