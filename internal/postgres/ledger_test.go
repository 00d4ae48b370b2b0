package postgres_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestDecideThenSettle(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(3)
	a := o.decided(session, ids...)
	require.Equal(t, ids, o.pending(), "rows stay until the broker has confirmed them")
	require.Empty(t, o.sent())

	w := o.write(session, []relay.Closing{{Attempt: a.ID, All: true}})
	require.Equal(t, []relay.Closed{{}}, w.Closed)
	require.Empty(t, o.pending())
	require.Equal(t, ids, o.sent())
	require.Equal(t, session, query1[uuid.UUID](o, `SELECT closed_by FROM outbox_attempt`))
	require.WithinDuration(t, time.Now(), query1[time.Time](o, `SELECT closed_at FROM outbox_attempt`), time.Minute)
}

func TestWriteSettlesAndDecidesTogether(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(9)
	first, second := o.decided(session, ids[0:2]...), o.decided(session, ids[2:4]...)
	third, fourth := o.attempt(ids[4:7]...), o.attempt(ids[7:9]...)
	w := o.write(session, []relay.Closing{
		{Attempt: first.ID, All: true},
		{Attempt: second.ID, Settled: []int{1}},
	}, third, fourth)
	require.Equal(t, []relay.Decision{relay.DecisionMade, relay.DecisionMade}, w.Decided)
	require.Equal(t, slices.Concat(ids[2:3], ids[4:]), o.pending())
	require.Equal(t, []int64{ids[0], ids[1], ids[3]}, o.sent())
	require.Len(t, column[[]byte](o, `SELECT id FROM outbox_attempt WHERE closed_at IS NULL`), 3)
}

func TestWriteOfNothing(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	require.Equal(t, relay.Written{Closed: []relay.Closed{}, Decided: []relay.Decision{}}, o.write(uuid.New(), nil))
}

func TestLedgerRowHoldsTheAttempt(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(4)
	a := o.attempt(ids...)
	a.Targets = append(a.Targets, relay.Target{Topic: "bills", Queue: 0, ReadFrom: 1 << 40})
	a.Entries[1].Index, a.Entries[2].Index, a.Entries[3].Index = 4, 5, 32767
	a.Entries[2].Target = 1
	a.Entries[1].OrderingKey, a.Entries[3].DedupKey = "customer 7", "order-9-paid"
	a.Entries[0].Shard, a.Entries[3].Shard = 63, 0
	o.write(session, nil, a)

	open, err := o.OpenAttempts(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, *a, withBorn(open[0].Attempt, a.Born))
	require.True(t, a.Born.Equal(open[0].Born), "born to the millisecond")
	require.Equal(t, []int{0, 1, 2, 3}, open[0].Positions)
	require.Negative(t, query1[int64](o, `SELECT shards FROM outbox_attempt`), "shard 63 is the sign bit")
}

// withBorn replaces a time that was compared before by one that is equal to the byte.
func withBorn(a relay.Attempt, born time.Time) relay.Attempt {
	a.Born = born
	return a
}

// The arrays that most attempts do not need are not stored.
func TestLedgerRowIsNarrow(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	o.decided(session, o.insert(500)...)
	require.True(t, query1[bool](o, `SELECT indexes IS NULL AND ordering_keys IS NULL AND dedup_keys IS NULL AND open IS NULL
		AND struck IS NULL FROM outbox_attempt`))
	require.Less(t, query1[int64](o, `SELECT pg_column_size(a.*) FROM outbox_attempt a`), int64(500*30))
}

func TestDecideWithARowGone(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(5)
	o.exec(`DELETE FROM outbox WHERE id = $1`, ids[1])
	w := o.write(session, nil, o.attempt(ids[0:3]...), o.attempt(ids[3:5]...))
	require.Equal(t, []relay.Decision{relay.DecisionRowGone, relay.DecisionMade}, w.Decided, "each attempt by itself")
	require.Equal(t, []int64{ids[3]}, column[int64](o, `SELECT ids[1] FROM outbox_attempt`))
}

func TestDecideRefusesWhatItCouldNotReadBack(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(1)
	for name, spoil := range map[string]func(*relay.Attempt){
		"no entries":    func(a *relay.Attempt) { a.Entries = nil },
		"target":        func(a *relay.Attempt) { a.Entries[0].Target = 1 },
		"index":         func(a *relay.Attempt) { a.Entries[0].Index = 1 << 15 },
		"shard":         func(a *relay.Attempt) { a.Entries[0].Shard = 64 },
		"neg. shard":    func(a *relay.Attempt) { a.Entries[0].Shard = -1 },
		"65536 entries": func(a *relay.Attempt) { a.Entries = make([]relay.Entry, 1<<16) },
	} {
		a := o.attempt(ids...)
		spoil(a)
		_, err := o.Write(t.Context(), session, nil, []*relay.Attempt{a})
		require.Error(t, err, name)
	}
	require.Zero(t, query1[int](o, `SELECT count(*) FROM outbox_attempt`))
}

// An error leaves nothing behind: closings and decisions are one transaction.
func TestWriteIsOneTransaction(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(3)
	first := o.decided(session, ids[0])
	again := o.attempt(ids[1])
	again.ID = first.ID // violates the primary key
	_, err := o.Write(t.Context(), session, []relay.Closing{{Attempt: first.ID, All: true}},
		[]*relay.Attempt{o.attempt(ids[2]), again})
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.Equal(t, "23505", pgErr.Code)
	require.Equal(t, ids, o.pending())
	require.Equal(t, 1, query1[int](o, `SELECT count(*) FROM outbox_attempt WHERE closed_at IS NULL`))
}

// The commit comes after the last result, and its failure must not be lost.
func TestWriteReportsAFailedCommit(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(1)
	o.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$`)
	o.exec(`CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON outbox_attempt DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION refuse()`)
	_, err := o.Write(t.Context(), session, nil, []*relay.Attempt{o.attempt(ids...)})
	require.ErrorContains(t, err, "not today")
	require.Zero(t, query1[int](o, `SELECT count(*) FROM outbox_attempt`))
}

func TestClosePartially(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(5)
	a := o.decided(session, ids...)

	o.write(session, []relay.Closing{{Attempt: a.ID, Settled: []int{0, 3}}})
	require.Equal(t, []int64{ids[1], ids[2], ids[4]}, o.pending())
	require.Equal(t, []int64{ids[0], ids[3]}, o.sent())

	o.write(session, []relay.Closing{{Attempt: a.ID, Struck: []int{1}}})
	require.Equal(t, []int64{ids[1], ids[2], ids[4]}, o.pending(), "a struck entry's row is pending again")
	require.Equal(t, []int64{ids[0], ids[3]}, o.sent())
	require.Equal(t, []int16{2, 4}, query1[[]int16](o, `SELECT open FROM outbox_attempt`))

	o.write(session, []relay.Closing{{Attempt: a.ID, Settled: []int{4}, Struck: []int{2}}})
	require.Equal(t, []int64{ids[1], ids[2]}, o.pending())
	require.Equal(t, []int64{ids[0], ids[3], ids[4]}, o.sent())
	require.True(t, query1[bool](o, `SELECT closed_at IS NOT NULL AND open IS NULL FROM outbox_attempt`))
	require.Equal(t, []int16{1, 2}, query1[[]int16](o, `SELECT struck FROM outbox_attempt`))
	require.Equal(t, session, query1[uuid.UUID](o, `SELECT closed_by FROM outbox_attempt`))
}

// All meets an attempt of which some entries are no longer open: the rest is settled, and a struck one reported.
func TestCloseAllOfAPartlyClosedAttempt(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(4)
	a, b := o.decided(session, ids[0:3]...), o.decided(session, ids[3])
	o.write(session, []relay.Closing{{Attempt: a.ID, Settled: []int{0}, Struck: []int{2}}})

	w := o.write(session, []relay.Closing{{Attempt: a.ID, All: true}, {Attempt: b.ID, All: true}})
	require.Equal(t, []relay.Closed{{Broken: []int{2}}, {}}, w.Closed)
	require.Equal(t, []int64{ids[2]}, o.pending(), "the row of the struck entry stays")
	require.Equal(t, []int64{ids[0], ids[1], ids[3]}, o.sent())
}

func TestEntriesChangeOnce(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(4)
	a := o.decided(session, ids[:2]...)
	o.write(session, []relay.Closing{{Attempt: a.ID, Settled: []int{0}, Struck: []int{1}}})
	before := query1[string](o, `SELECT row_to_json(a)::text FROM outbox_attempt a`)

	w := o.write(session, []relay.Closing{{Attempt: a.ID, Settled: []int{1}, Struck: []int{0}}})
	require.Equal(t, []relay.Closed{{Broken: []int{1}}}, w.Closed)
	require.Equal(t, before, query1[string](o, `SELECT row_to_json(a)::text FROM outbox_attempt a`))
	require.Equal(t, ids[1:], o.pending())

	b := o.decided(session, ids[2:]...)
	o.write(session, []relay.Closing{{Attempt: b.ID, Struck: []int{0, 1}}})
	w = o.write(session, []relay.Closing{{Attempt: b.ID, All: true}})
	require.Equal(t, []relay.Closed{{Broken: []int{0, 1}}}, w.Closed)
	require.Equal(t, ids[1:], o.pending())

	// A row whose entry was struck is sent by another attempt; the first one's settle does not touch it.
	c := o.decided(session, ids[2])
	w = o.write(session, []relay.Closing{{Attempt: b.ID, Settled: []int{0}}})
	require.Equal(t, []relay.Closed{{Broken: []int{0}}}, w.Closed)
	require.Equal(t, ids[1:], o.pending())
	o.write(session, []relay.Closing{{Attempt: c.ID, All: true}, {Attempt: c.ID, All: true}})
	require.Equal(t, []int64{ids[1], ids[3]}, o.pending())
}

func TestCloseWhatIsNotThere(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	w := o.write(session, []relay.Closing{{Attempt: relay.AttemptID{1}, All: true}, {Attempt: relay.AttemptID{2}, Settled: []int{0}}})
	require.Equal(t, []relay.Closed{{}, {}}, w.Closed, "purged attempts have no open entries")

	ids := o.insert(2)
	a := o.decided(session, ids...)
	_, err := o.Write(t.Context(), session, []relay.Closing{{Attempt: a.ID, Settled: []int{2}}}, nil)
	require.ErrorContains(t, err, "entry 2 of 2")
	require.Equal(t, ids, o.pending())
}

// A settle waits behind an uncommitted strike, and then changes nothing.
func TestSettleWaitsForStrike(t *testing.T) {
	t.Parallel()
	for name, closing := range map[string]relay.Closing{"whole": {All: true}, "single": {Settled: []int{0}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			session := o.session("a", all)
			ids := o.insert(1)
			closing.Attempt = o.decided(session, ids...).ID

			striking, err := o.admin.Begin(t.Context())
			require.NoError(t, err)
			defer striking.Rollback(t.Context()) //nolint:errcheck // committed below
			_, err = striking.Exec(t.Context(), `UPDATE outbox_attempt SET struck = '{0}', closed_at = now()`)
			require.NoError(t, err)

			settled := o.writing(session, []relay.Closing{closing})
			o.waiting(1)
			require.NoError(t, striking.Commit(t.Context()))
			require.Equal(t, []relay.Closed{{Broken: []int{0}}}, settled().Closed)
			require.Equal(t, ids, o.pending(), "the row was given back and is not deleted")
		})
	}
}

// Two sessions go for the same entries at once, one to settle and one to strike: each entry ends in one state, the ledger
// and the rows agree, and every settle that came second is reported.
func TestSettleAndStrikeRace(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	other := o.another()
	session := o.session("a", all)
	const rounds, size = 40, 6
	for range rounds {
		a := o.decided(session, o.insert(size)...)
		var settled relay.Written
		var wg sync.WaitGroup
		wg.Go(func() { settled = o.write(session, []relay.Closing{{Attempt: a.ID, All: true}}) })
		wg.Go(func() {
			_, err := other.Write(t.Context(), session, []relay.Closing{{Attempt: a.ID, Struck: []int{1, 4}}}, nil)
			require.NoError(t, err)
		})
		wg.Wait()
		struck := query1[[]int16](o, `SELECT coalesce(struck, '{}') FROM outbox_attempt WHERE id = $1`, a.ID[:])
		left := column[int64](o, `SELECT o.id FROM outbox o JOIN outbox_attempt a ON o.id = ANY (a.ids) WHERE a.id = $1`, a.ID[:])
		if len(struck) == 0 {
			require.Empty(t, settled.Closed[0].Broken)
			require.Empty(t, left)
		} else {
			require.Equal(t, []int16{1, 4}, struck)
			require.Equal(t, []int{1, 4}, settled.Closed[0].Broken)
			require.ElementsMatch(t, []int64{a.Entries[1].Row, a.Entries[4].Row}, left)
		}
	}
	require.Zero(t, query1[int](o, `SELECT count(*) FROM outbox_attempt WHERE closed_at IS NULL`))
}

// Sessions that settle the same attempts, named in different orders, do not deadlock.
func TestClosingsInAnyOrder(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	var closings []relay.Closing
	for range 40 {
		closings = append(closings, relay.Closing{Attempt: o.decided(session, o.insert(1)...).ID, All: true})
	}
	backwards := slices.Clone(closings)
	slices.Reverse(backwards)
	var wg sync.WaitGroup
	wg.Go(func() { o.write(session, closings) })
	wg.Go(func() { o.write(session, backwards) })
	wg.Wait()
	require.Empty(t, o.pending())
}

func TestSentView(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(5)
	a := o.attempt(ids...)
	a.ID = relay.AttemptID{0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0x0a}
	a.Targets = []relay.Target{{Topic: "orders", Queue: 3}, {Topic: "bills", Queue: 9}}
	a.Entries[1].Target = 1
	a.Entries[1].DedupKey = "paid-1"
	a.Entries[2].OrderingKey = "customer 7"
	a.Entries[4].Index = 300
	o.write(session, nil, a)
	o.write(session, []relay.Closing{{Attempt: a.ID, Settled: []int{0, 1, 2, 4}}})

	type line struct {
		ID          int64
		Dedup       *string
		Uniq, Topic string
		Ordering    *string
		Broker      string
		Queue       int
	}
	read := func() []line {
		rows, err := o.pool.Query(t.Context(), `SELECT id, dedup_key, uniq_key, topic, ordering_key, broker, queue
			FROM `+quote(schema)+`.outbox_sent WHERE sent_at > now() - interval '1 hour' ORDER BY id`)
		require.NoError(t, err)
		defer rows.Close()
		var lines []line
		for rows.Next() {
			var l line
			require.NoError(t, rows.Scan(&l.ID, &l.Dedup, &l.Uniq, &l.Topic, &l.Ordering, &l.Broker, &l.Queue))
			lines = append(lines, l)
		}
		require.NoError(t, rows.Err())
		return lines
	}
	const uniq = "DEADBEEF0102030405060000000A"
	paid, customer := "paid-1", "customer 7"
	want := []line{
		{ID: ids[0], Uniq: uniq + "0000", Topic: "orders", Broker: "broker-a", Queue: 3},
		{ID: ids[1], Uniq: uniq + "0001", Topic: "bills", Broker: "broker-a", Queue: 9, Dedup: &paid},
		{ID: ids[2], Uniq: uniq + "0002", Topic: "orders", Broker: "broker-a", Queue: 3, Ordering: &customer},
		{ID: ids[4], Uniq: uniq + "012C", Topic: "orders", Broker: "broker-a", Queue: 3},
	}
	require.Equal(t, want, read(), "an entry in doubt is not there")
	o.write(session, []relay.Closing{{Attempt: a.ID, Struck: []int{3}}})
	require.Equal(t, want, read(), "a struck entry is not there")
	require.Len(t, strings.TrimSpace(want[0].Uniq), 32)
}
