package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// The fence: what a session may still write while, and after, it is declared dead.

func TestFrozenSessionWritesNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(o *outbox, session uuid.UUID){
		"expired": func(o *outbox, session uuid.UUID) {
			o.exec(`UPDATE outbox_lease SET expires_at = clock_timestamp() - interval '1 ms' WHERE session = $1`, session)
		},
		"deleted": func(o *outbox, session uuid.UUID) {
			require.NoError(o.t, o.CloseSession(o.t.Context(), session))
		},
		"replaced": func(o *outbox, _ uuid.UUID) { o.session("a", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			session := o.session("a", all)
			ids := o.insert(3)
			made := o.decided(session, ids[0])
			end(o, session)

			w := o.write(session, []relay.Closing{{Attempt: made.ID, All: true}}, o.attempt(ids[1]), o.attempt(ids[2]))
			require.Equal(t, []relay.Decision{relay.DecisionNoLease, relay.DecisionNoLease}, w.Decided)
			require.Equal(t, 1, query1[int](o, `SELECT count(*) FROM outbox_attempt`))
			require.Equal(t, ids[1:], o.pending(), "what it saw confirmed it may settle even so")

			failures := []relay.Failure{{Row: ids[1], Reason: relay.ReasonMessageIllegal, Error: "no", Counted: true}}
			require.ErrorIs(t, o.PutOff(t.Context(), session, failures), relay.ErrSessionOver)
			require.ErrorIs(t, o.Bury(t.Context(), session, failures), relay.ErrSessionOver)
			require.Equal(t, ids[1:], o.pending())
			require.Zero(t, query1[int](o, `SELECT count(*) FROM outbox WHERE attempts > 0 OR available_at IS NOT NULL`))
			require.Zero(t, query1[int](o, `SELECT count(*) FROM outbox_dead`))
		})
	}
}

// A decision that meets an uncommitted deletion of its lease waits for it, and does what it turns out to be.
func TestDecisionWaitsForTheDeletionOfItsLease(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end  func(pgx.Tx) error
		want relay.Decision
		rows int
	}{
		"committed":   {func(tx pgx.Tx) error { return tx.Commit(t.Context()) }, relay.DecisionNoLease, 0},
		"rolled back": {func(tx pgx.Tx) error { return tx.Rollback(t.Context()) }, relay.DecisionMade, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			session := o.session("a", all)
			ids := o.insert(1)
			deleting, err := o.admin.Begin(t.Context())
			require.NoError(t, err)
			defer deleting.Rollback(t.Context()) //nolint:errcheck // ended below
			_, err = deleting.Exec(t.Context(), `DELETE FROM outbox_lease WHERE session = $1`, session)
			require.NoError(t, err)

			decided := o.writing(session, nil, o.attempt(ids...))
			o.waiting(1)
			require.NoError(t, test.end(deleting))
			require.Equal(t, []relay.Decision{test.want}, decided().Decided)
			require.Equal(t, test.rows, query1[int](o, `SELECT count(*) FROM outbox_attempt`))
		})
	}
}

// The other order: a decision under way holds up the deletion of its lease, so whoever takes its shards afterwards finds it.
// This is why open attempts are loaded in a statement after the one that waited.
func TestTakeoverFindsTheDecisionItWaitedFor(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	next := o.another()
	session := o.session("a", all)
	ids := o.insert(1)
	a := o.attempt(ids...)

	// Somebody has inserted the same attempt id: the decision stops at the index, holding its lease's lock.
	blocking, err := o.admin.Begin(t.Context())
	require.NoError(t, err)
	defer blocking.Rollback(t.Context()) //nolint:errcheck // rolled back below
	_, err = blocking.Exec(t.Context(), `INSERT INTO outbox_attempt (id, session, shards, broker, address, born_at, window_s, topics,
		queues, read_from, ids, targets, shard, half_offsets, log_offsets)
		VALUES ($1, gen_random_uuid(), 0, '', '', now(), 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')`, a.ID[:])
	require.NoError(t, err)
	decided := o.writing(session, nil, a)
	o.waiting(1)

	// The next relay of the same name declares it dead, and has to wait.
	successor := uuid.New()
	opened := doing(t, func() error {
		return next.OpenSession(t.Context(), relay.Session{ID: successor, Instance: "a"}, lease)
	})
	o.waiting(2)
	require.NoError(t, blocking.Rollback(t.Context()))
	require.Equal(t, []relay.Decision{relay.DecisionMade}, decided().Decided)
	opened()

	owned, err := next.TakeShards(t.Context(), successor, all)
	require.NoError(t, err)
	require.Equal(t, all, owned)
	open, err := next.OpenAttempts(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, a.ID, open[0].ID)
	require.Equal(t, ids[0], open[0].Entries[0].Row)

	w := o.write(session, nil, o.attempt(ids...))
	require.Equal(t, []relay.Decision{relay.DecisionNoLease}, w.Decided, "nothing follows")
}

// Failures hold the lease like decisions: a takeover waits until they are written.
func TestFailuresHoldTheLease(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(o *outbox, session uuid.UUID, f []relay.Failure) error{
		"put off": func(o *outbox, session uuid.UUID, f []relay.Failure) error {
			return o.PutOff(o.t.Context(), session, f)
		},
		"bury": func(o *outbox, session uuid.UUID, f []relay.Failure) error { return o.Bury(o.t.Context(), session, f) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			session := o.session("a", all)
			ids := o.insert(1)
			holding, err := o.admin.Begin(t.Context())
			require.NoError(t, err)
			defer holding.Rollback(t.Context()) //nolint:errcheck // rolled back below
			_, err = holding.Exec(t.Context(), `SELECT FROM outbox WHERE id = $1 FOR UPDATE`, ids[0])
			require.NoError(t, err)

			written := doing(t, func() error {
				return write(o, session, []relay.Failure{{Row: ids[0], Reason: relay.ReasonBodyEmpty, Error: "empty"}})
			})
			o.waiting(1)
			closed := doing(t, func() error { return o.CloseSession(t.Context(), session) })
			o.waiting(2)
			require.NoError(t, holding.Rollback(t.Context()))
			written()
			closed()
			require.Equal(t, 1, query1[int](o, `SELECT (SELECT count(*) FROM outbox_dead) +
				(SELECT count(*) FROM outbox WHERE available_at IS NOT NULL)`))
		})
	}
}

// Renewing and taking shards do not disturb decisions, nor wait for them.
func TestRenewalDoesNotWaitForDecisions(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", 1)
	deciding, err := o.admin.Begin(t.Context())
	require.NoError(t, err)
	defer deciding.Rollback(t.Context()) //nolint:errcheck // rolled back below
	_, err = deciding.Exec(t.Context(), `SELECT FROM outbox_lease WHERE session = $1 FOR KEY SHARE`, session)
	require.NoError(t, err)

	err = o.RenewSession(t.Context(), session, lease)
	require.NoError(t, err)
	owned, err := o.TakeShards(t.Context(), session, 2)
	require.NoError(t, err)
	require.Equal(t, uint64(3), owned)
	require.NoError(t, deciding.Rollback(t.Context()))
}

func TestDecisionDoesNotWaitForTheLockOfTheLeaseTable(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(1)
	taking, err := o.admin.Begin(t.Context())
	require.NoError(t, err)
	defer taking.Rollback(t.Context()) //nolint:errcheck // rolled back below
	_, err = taking.Exec(t.Context(), `LOCK TABLE outbox_lease IN SHARE ROW EXCLUSIVE MODE`)
	require.NoError(t, err)
	o.decided(session, ids...)
	require.NoError(t, taking.Rollback(t.Context()))
}

// A relay frozen inside a transaction keeps its lease locked for 5 s at most.
func TestFrozenTransactionLosesItsLocks(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	frozen, err := o.pool.Begin(t.Context())
	require.NoError(t, err)
	defer frozen.Rollback(t.Context()) //nolint:errcheck // Postgres has ended it
	_, err = frozen.Exec(t.Context(), `SELECT FROM `+quote(schema)+`.outbox_lease WHERE session = $1 FOR KEY SHARE`, session)
	require.NoError(t, err)
	started := time.Now()
	require.NoError(t, o.another().CloseSession(t.Context(), session))
	require.Greater(t, time.Since(started), 3*time.Second, "the deletion did not wait for the lock")
}

// A relay frozen while it sends a pipeline keeps the lease locked too, and there no timeout of Postgres applies before
// version 17: the backend is neither idle nor running a statement. The others end it.
func TestFrozenPipelineLosesItsLocks(t *testing.T) {
	t.Parallel()
	for name, recover := range map[string]func(o *outbox, session uuid.UUID) error{
		"at renewal": func(o *outbox, session uuid.UUID) error {
			return o.RenewSession(o.t.Context(), session, lease)
		},
		"at start": func(o *outbox, _ uuid.UUID) error {
			return o.OpenSession(o.t.Context(), relay.Session{ID: uuid.New(), Instance: "third"}, lease)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			session, frozen := o.session("other", 0), o.session("frozen", all)
			conn, err := o.pool.Acquire(t.Context())
			require.NoError(t, err)
			defer conn.Release()
			half := conn.Conn().PgConn().Frontend()
			half.SendParse(&pgproto3.Parse{Query: `SELECT session FROM ` + quote(schema) + `.outbox_lease WHERE session = '` + frozen.String() + `' FOR KEY SHARE`})
			half.SendBind(&pgproto3.Bind{})
			half.SendExecute(&pgproto3.Execute{})
			half.Send(&pgproto3.Flush{}) // and no Sync
			require.NoError(t, half.Flush())
			for complete := false; !complete; {
				message, err := half.Receive()
				require.NoError(t, err)
				_, complete = message.(*pgproto3.CommandComplete)
			}
			o.expire(frozen)
			require.Eventually(t, func() bool {
				if recover(o, session) != nil { // it has waited for the lock until its statement_timeout
					return false
				}
				var left int
				err := o.admin.QueryRow(context.Background(), `SELECT count(*) FROM outbox_lease WHERE session = $1`, frozen).Scan(&left)
				return err == nil && left == 0
			}, 40*time.Second, 100*time.Millisecond)
		})
	}
}
