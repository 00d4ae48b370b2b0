package postgres_test

import (
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// oldQueues and newQueues replace a queue in its place, so that some keys move and others stay.
func oldQueues() []relay.Queue { return []relay.Queue{{Broker: "a", ID: 0}, {Broker: "b", ID: 0}} }
func newQueues() []relay.Queue { return []relay.Queue{{Broker: "a", ID: 0}, {Broker: "a", ID: 0}} }

// keys returns a key that stays and one that moves.
func keys(t *testing.T) (stays, moves string) {
	t.Helper()
	old := relay.Topic{Queues: oldQueues()}
	for i := range 100 {
		if key := "key " + strconv.Itoa(i); old.QueueOf(key).Broker == "a" {
			stays = key
		} else {
			moves = key
		}
	}
	require.NotEmpty(t, stays)
	require.NotEmpty(t, moves)
	return stays, moves
}

func newBound(t *testing.T) *outbox {
	t.Helper()
	o := newOutbox(t)
	_, err := o.BindTopic(t.Context(), relay.Topic{
		Name: "orders", Type: relay.TypeTransaction, Delivery: relay.ExactlyOnce, OnDead: relay.OnDeadBlock, Queues: oldQueues(),
	})
	require.NoError(t, err)
	return o
}

// keyed decides one row of a key.
func (o *outbox) keyed(session uuid.UUID, key string) *relay.Attempt {
	o.t.Helper()
	a := o.attempt(o.insertKeyed(1, key)...)
	a.Entries[0].OrderingKey = key
	return a
}

func (o *outbox) setQueues(waiting bool) (postgres.QueueChange, error) {
	o.t.Helper()
	return o.owner().SetQueues(o.t.Context(), "orders", newQueues(), waiting, false)
}

func (o *outbox) queues() []string {
	o.t.Helper()
	return column[string](o, `SELECT unnest(queues) FROM outbox_topic WHERE topic = 'orders'`)
}

func TestQueuesChangeOnlyWhenNoKeyMovesInFlight(t *testing.T) {
	t.Parallel()
	o := newBound(t)
	stays, moves := keys(t)
	session := o.session("a", all)
	o.write(session, nil, o.keyed(session, stays))
	o.insert(1)
	o.write(session, nil, o.attempt(o.insert(1)...)) // without a key
	moving := o.keyed(session, moves)
	o.write(session, nil, moving)

	change, err := o.setQueues(true)
	require.ErrorIs(t, err, postgres.ErrUndecided)
	require.Equal(t, int64(1), change.Undecided)
	require.Len(t, o.sessions(), 1, "a change that is refused ends no session")
	require.Equal(t, []string{"a:0", "b:0"}, o.queues())

	o.write(session, []relay.Closing{{Attempt: moving.ID, Struck: []int{0}}})
	change, err = o.setQueues(false)
	require.ErrorIs(t, err, postgres.ErrWaiting)
	require.Equal(t, int64(1), change.Waiting)
	_, err = o.SetQueues(t.Context(), "orders", newQueues(), true, false)
	require.ErrorContains(t, err, "run it as the owner", "the relay's role may not")
	dry, err := o.owner().SetQueues(t.Context(), "orders", newQueues(), true, true)
	require.NoError(t, err)
	require.Equal(t, int64(1), dry.Waiting)
	require.Len(t, o.sessions(), 1)

	change, err = o.setQueues(true)
	require.NoError(t, err)
	require.Equal(t, oldQueues(), change.Was)
	require.Equal(t, []string{"a:0", "a:0"}, o.queues())
	require.Empty(t, o.sessions())
	require.Equal(t, []relay.Decision{relay.DecisionNoLease}, o.write(session, nil, o.keyed(session, moves)).Decided,
		"who has read the old list decides nothing")
	next := o.session("a", all)
	topic, err := o.BindTopic(t.Context(), relay.Topic{Name: "orders", Type: "transaction", Delivery: "exactly_once", OnDead: "block", Queues: oldQueues()})
	require.NoError(t, err)
	require.Equal(t, newQueues(), topic.Queues, "who opens a session reads the new one")

	_, err = o.setQueues(false)
	require.NoError(t, err, "nothing changes, so nothing moves")
	require.Equal(t, []uuid.UUID{next}, o.sessions())
	_, err = o.owner().SetQueues(t.Context(), "nobody's", newQueues(), false, false)
	require.ErrorContains(t, err, "no relay has bound it")
}

func TestDeadRowThatBlocksItsKeyIsARowThatWaits(t *testing.T) {
	t.Parallel()
	for onDead, waits := range map[string]bool{"block": true, "skip": false} {
		o := newBound(t)
		_, moves := keys(t)
		session := o.session("a", all)
		o.exec(`UPDATE outbox_topic SET on_dead = $1`, onDead)
		require.NoError(t, o.Bury(t.Context(), session, []relay.Failure{{Row: o.insertKeyed(1, moves)[0], Reason: "body_empty", Error: "x"}}))
		_, err := o.setQueues(false)
		if waits {
			require.ErrorIs(t, err, postgres.ErrWaiting)
		} else {
			require.NoError(t, err)
		}
	}
}

// A decision that is under way when the list is changed is waited for, and seen.
func TestQueuesDoNotChangeUnderADecision(t *testing.T) {
	t.Parallel()
	o := newBound(t)
	_, moves := keys(t)
	session := o.session("a", all)
	a := o.keyed(session, moves)
	hold, err := o.admin.Begin(t.Context())
	require.NoError(t, err)
	defer hold.Rollback(t.Context()) //nolint:errcheck // rolled back below
	// Somebody has inserted the same attempt id: the decision stops at the index, holding its lease's lock.
	_, err = hold.Exec(t.Context(), `INSERT INTO outbox_attempt (id, session, shards, broker, address, born_at, window_s, topics,
		queues, read_from, ids, targets, shard, half_offsets, log_offsets)
		VALUES ($1, gen_random_uuid(), 0, '', '', now(), 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')`, a.ID[:])
	require.NoError(t, err)
	deciding := o.writing(session, nil, a)
	o.waiting(1)
	changing := background(t, func() (error, error) {
		_, err := o.setQueues(true)
		return err, nil
	})
	o.waiting(2)
	require.NoError(t, hold.Rollback(t.Context()))
	require.Equal(t, []relay.Decision{relay.DecisionMade}, deciding().Decided)
	require.ErrorIs(t, changing(), postgres.ErrUndecided)
	require.Equal(t, []string{"a:0", "b:0"}, o.queues())
}

// A session that opens while the list is changed has to wait, and reads the new list.
func TestNoSessionOpensWhileQueuesChange(t *testing.T) {
	t.Parallel()
	o := newBound(t)
	_, moves := keys(t)
	o.insertKeyed(1, moves)
	hold, err := o.admin.Begin(t.Context())
	require.NoError(t, err)
	defer hold.Rollback(t.Context())                                                    //nolint:errcheck // rolled back below
	_, err = hold.Exec(t.Context(), `LOCK TABLE outbox_topic IN ACCESS EXCLUSIVE MODE`) // the change has the leases, and waits here
	require.NoError(t, err)
	changing := background(t, func() (postgres.QueueChange, error) { return o.setQueues(true) })
	o.waiting(1)
	opening := doing(t, func() error {
		return o.OpenSession(t.Context(), relay.Session{ID: uuid.New(), Instance: "b"}, lease)
	})
	o.waiting(2)
	require.NoError(t, hold.Rollback(t.Context()))
	changing()
	opening()
	require.Len(t, o.sessions(), 1, "opened after the change, and not deleted by it")
	require.Equal(t, []string{"a:0", "a:0"}, o.queues())
}
