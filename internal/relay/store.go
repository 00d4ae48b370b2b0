package relay

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrSessionOver means that the session's lease row is gone: another relay has declared this one dead, or an operator has.
var ErrSessionOver = errors.New("the session's lease is gone")

// ErrMoved means that the outbox is not in the database that it was made in: it was moved, or is a copy. Waiting does not mend
// it.
var ErrMoved = errors.New("the outbox is not where it was made")

// The interfaces below are what the relay needs of Postgres; package postgres implements them in one Store. All methods may
// be called concurrently. Every error, whatever it is, leaves the outcome of the call unknown and ends the session.

// Leases keeps the session's row in the lease table.
type Leases interface {
	// OpenSession declares dead every earlier session of the same instance and every expired one, and inserts the lease of s
	// with no shards.
	OpenSession(ctx context.Context, s Session, lease time.Duration) error
	// RenewSession extends the lease and deletes the leases of others that have expired. ErrSessionOver if the lease is gone.
	RenewSession(ctx context.Context, id uuid.UUID, lease time.Duration) error
	// Standing says how the shards are divided now. ErrSessionOver if the lease is gone.
	Standing(ctx context.Context, id uuid.UUID) (Standing, error)
	// TakeShards makes those of the wanted shards that no lease holds the session's own, and returns all that it owns now.
	// What it returns is committed: open attempts may be loaded after it, and only after it.
	TakeShards(ctx context.Context, id uuid.UUID, want uint64) (owned uint64, err error)
	// GiveShards makes shards of the session nobody's. ErrSessionOver if the lease is gone.
	GiveShards(ctx context.Context, id uuid.UUID, shards uint64) error
	// CloseSession deletes the lease.
	CloseSession(ctx context.Context, id uuid.UUID) error
}

// A Standing is how the shards are divided at one moment.
type Standing struct {
	Owned   uint64 // this session's
	Free    uint64 // no lease holds them
	Others  []int  // how many each other living session owns
	Expired bool   // there are leases that have expired; they hold their shards until they are deleted
}

// Takeover loads what a session must know about shards it has just taken, before it reads their rows.
type Takeover interface {
	// OpenAttempts returns the attempts that have open entries in shards, with those entries only, whoever decided them: a
	// session that has given shards away lives on, and so does what it left open in them.
	OpenAttempts(ctx context.Context, shards uint64) ([]OpenAttempt, error)
	// BlockedKeys returns the keys of shards of which rows are not readable because they back off, or are dead and their
	// topic's on_dead is block: one BlockedKey for each such row.
	BlockedKeys(ctx context.Context, shards uint64) ([]BlockedKey, error)
	// StillThere returns those of rows that are in the dead letters or in the outbox.
	StillThere(ctx context.Context, rows []int64) ([]int64, error)
}

// An OpenAttempt is an attempt of the ledger with the entries that are still open.
type OpenAttempt struct {
	Attempt
	Positions []int         // Positions[i] is the number of Entries[i] in the ledger row
	Age       time.Duration // since it was decided, by the database's clock
	Refused   time.Duration // since the broker was seen to refuse late commits of it, likewise; valid if RefusedBy is not ""
	RefusedBy string        // address of the master that refused
}

// A BlockedKey is a key and the row that blocks it.
type BlockedKey struct {
	Key   Key
	Shard int16
	Row   int64
	Dead  bool // in the dead letters; otherwise backing off
}

// Reader reads pending rows. Reading takes no lock and writes nothing.
type Reader interface {
	// ReadFresh returns rows that were never put off, in id order. If there are any, complete says whether every transaction of
	// q.Guard was running in the snapshot that they were read in.
	ReadFresh(ctx context.Context, q FreshQuery) (rows []Row, complete bool, err error)
	// ReadDue returns rows whose available_at has passed, oldest first.
	ReadDue(ctx context.Context, q DueQuery) ([]Row, error)
	// Decided samples how far the outbox is decided: see Decided.
	Decided(ctx context.Context) (Decided, error)
}

// FreshQuery says which fresh rows to read.
type FreshQuery struct {
	After   int64 // only ids above it
	UpTo    int64 // and up to this one
	Shards  uint64
	Topics  []string
	Exclude []int64 // ids not to return
	Limit   int     // rows
	Bytes   int64   // payload bytes; one row is returned even if it is larger
	Guard   []int64 // XIDs of writers
}

// DueQuery says which due rows to read.
type DueQuery struct {
	Shards  uint64
	Topics  []string
	Exclude []int64
	Limit   int
	Bytes   int64
}

// Decided is a sample of the identity sequence, taken before a sample of the transactions that may still insert. Once none
// of Writers is running any more, every id up to Allocated is committed or will never exist.
type Decided struct {
	Allocated int64
	Writers   []Writer
}

// A Writer is a transaction that may have inserted rows that nobody sees yet.
type Writer struct {
	Name     string // no other transaction has it, but PREPARE TRANSACTION changes it
	XID      int64  // 0 = it has none yet, so it has written no row
	Prepared bool
}

// Ledger writes decisions and their outcome.
type Ledger interface {
	// Write closes and then decides, all in one transaction and one round trip where every closing is for All. A decision
	// is written only if the session's lease stands and every row of the attempt exists; otherwise nothing of that attempt
	// is written and Written.Decided[i] says why.
	Write(ctx context.Context, session uuid.UUID, closings []Closing, decisions []*Attempt) (Written, error)
	// NoteFence dates it now that the broker's master at an address refuses commits of these attempts; "" takes it back.
	NoteFence(ctx context.Context, attempts []AttemptID, address string) error
	// EntryStates returns the states of the entries of attempts that are in the ledger.
	EntryStates(ctx context.Context, attempts []AttemptID) (EntryStates, error)
	// Purge deletes closed attempts older than retention, at most limit of them, and returns how many.
	Purge(ctx context.Context, retention time.Duration, limit int) (int, error)
}

// Written is the outcome of Ledger.Write, in the order of its arguments.
type Written struct {
	Closed  []Closed
	Decided []Decision
}

// A Decision is what became of one attempt that was to be decided.
type Decision int

// The decisions.
const (
	DecisionMade    Decision = iota + 1 // in the ledger: commits may be sent
	DecisionRowGone                     // a row of the attempt no longer exists: build the batch again
	DecisionNoLease                     // the session is over
)

// Failures writes what went wrong with rows. Both methods hold the session's lease while they write and return
// ErrSessionOver if it is gone.
type Failures interface {
	// PutOff sets available_at, last_error and, where counted, attempts.
	PutOff(ctx context.Context, session uuid.UUID, failures []Failure) error
	// Bury moves rows to the dead letters.
	Bury(ctx context.Context, session uuid.UUID, failures []Failure) error
}

// Topics keeps what holds for a topic across relays.
type Topics interface {
	// BindTopic returns the topic's row, having inserted want if there was none.
	BindTopic(ctx context.Context, want Topic) (Topic, error)
	// Origin returns the outbox's own uuid. ErrMoved if the outbox is not in the database that it was made in.
	Origin(ctx context.Context) (uuid.UUID, error)
}

// Gauges reads what operators watch.
type Gauges interface {
	// Backlog counts pending rows, at most limit of them, and returns the age of the oldest. Unbound are those for topics that
	// are not among topics; nil means those that some relay has bound.
	Backlog(ctx context.Context, limit int, topics []string) (Backlog, error)
}

// Backlog is the state of the outbox as an operator sees it.
type Backlog struct {
	Rows    int64         // pending; capped at the limit asked for
	Oldest  time.Duration // age of the oldest pending row, 0 where there is none
	PutOff  int64         // of them, delayed or backing off
	Unbound int64         // of them, for topics that are not bound
	// UnboundTopics are some of the topics of those, cut where they are long.
	UnboundTopics []string
	Dead          int64
	OpenCount     int64         // open entries of the ledger
	OpenAge       time.Duration // age of the oldest attempt with an open entry
}

// Store is all of it.
type Store interface {
	Leases
	Takeover
	Reader
	Ledger
	Failures
	Topics
	Gauges
}
