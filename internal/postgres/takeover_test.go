package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestOpenAttempts(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	o := newOutbox(t)
	old := o.session("old", all)
	ids := o.insert(10)
	whole, partly, closed := o.decided(old, ids[0:3]...), o.decided(old, ids[3:7]...), o.decided(old, ids[7])
	o.write(old, []relay.Closing{
		{Attempt: partly.ID, Settled: []int{0}, Struck: []int{2}},
		{Attempt: closed.ID, All: true},
	})
	open, err := o.OpenAttempts(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, open, 2, "not the closed one; whose they are does not matter")
	require.Equal(t, whole.ID, open[0].ID)
	require.Equal(t, whole.Entries, open[0].Entries)
	require.Equal(t, partly.ID, open[1].ID)
	require.Equal(t, []relay.Entry{partly.Entries[1], partly.Entries[3]}, open[1].Entries)
	require.Equal(t, []int{1, 3}, open[1].Positions)
	require.Equal(t, partly.Targets, open[1].Targets)
	require.Equal(t, partly.Window, open[1].Window)
	require.Equal(t, partly.Address, open[1].Address)
	require.Positive(t, open[1].Age)
	require.Less(t, open[1].Age, time.Since(begin), "by the database's clock, since the decision")

	// Of a few shards: only their entries, and not an attempt whose only entries there are no longer open.
	open, err = o.OpenAttempts(t.Context(), 1<<whole.Entries[1].Shard|1<<partly.Entries[0].Shard)
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.Equal(t, whole.Entries[1:2], open[0].Entries)
	require.Equal(t, []int{1}, open[0].Positions)
	open, err = o.OpenAttempts(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, open)
}

// What one relay has seen of the fence, the next one knows.
func TestNoteFence(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(3)
	one, two, closed := o.decided(session, ids[0]), o.decided(session, ids[1]), o.decided(session, ids[2])
	o.write(session, []relay.Closing{{Attempt: closed.ID, All: true}})
	begin := time.Now()
	require.NoError(t, o.NoteFence(t.Context(), []relay.AttemptID{two.ID, closed.ID}, "b:1"))
	refused := func() map[relay.AttemptID]string {
		open, err := o.OpenAttempts(t.Context(), all)
		require.NoError(t, err)
		by := make(map[relay.AttemptID]string)
		for _, a := range open {
			by[a.ID] = a.RefusedBy
			require.Equal(t, a.RefusedBy != "", a.Refused > 0)
			require.LessOrEqual(t, a.Refused, time.Since(begin))
		}
		return by
	}
	require.Equal(t, map[relay.AttemptID]string{one.ID: "", two.ID: "b:1"}, refused())
	require.NoError(t, o.NoteFence(t.Context(), []relay.AttemptID{one.ID, two.ID}, "b:2"))
	require.Equal(t, map[relay.AttemptID]string{one.ID: "b:2", two.ID: "b:2"}, refused())
	require.NoError(t, o.NoteFence(t.Context(), []relay.AttemptID{two.ID}, ""))
	require.Equal(t, map[relay.AttemptID]string{one.ID: "b:2", two.ID: ""}, refused())
}

func TestOpenAttemptsRefusesADamagedLedger(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	old := o.session("old", all)
	o.decided(old, o.insert(3)...)
	for _, damage := range []string{
		`targets = '{1,1}'`, `targets = '{1,2,1}'`, `targets = '{0,1,1}'`, `shard = '{1,2,64}'`, `indexes = '{7}'`,
		`queues = '{}'`, `log_offsets = '{}'`, `dedup_keys = '{a}'`,
	} {
		o.exec(`UPDATE outbox_attempt SET ` + damage)
		_, err := o.OpenAttempts(t.Context(), all)
		require.Error(t, err, damage)
		o.exec(`UPDATE outbox_attempt SET targets = '{1,1,1}', shard = '{1,2,3}', indexes = NULL, queues = '{3}', log_offsets = '{1,2,3}',
			dedup_keys = NULL`)
		_, err = o.OpenAttempts(t.Context(), all)
		require.NoError(t, err)
	}
}

func TestBlockedKeys(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	block := func(topic, onDead string) {
		_, err := o.BindTopic(t.Context(), relay.Topic{Name: topic, Type: "transaction", Delivery: "exactly_once", OnDead: onDead})
		require.NoError(t, err)
	}
	block("orders", "block")
	block("logs", "skip")
	free, off, parked := o.insertKeyed(2, "free"), o.insertKeyed(3, "off"), o.insertKeyed(3, "parked")
	dead, both, unkeyed := o.insertKeyed(3, "dead"), o.insertKeyed(3, "both"), o.insert(2)
	skipped, unbound := o.insertKeyed(1, "skipped"), o.insertKeyed(1, "unbound")
	o.exec(`UPDATE outbox SET topic = 'logs' WHERE id = $1`, skipped[0])
	o.exec(`UPDATE outbox SET topic = 'nobody knows' WHERE id = $1`, unbound[0])

	putOff := []relay.Failure{{Row: off[1], Delay: 1}, {Row: off[2], Delay: 1e12}, {Row: parked[0], Delay: 1e12}, {Row: unkeyed[0], Delay: 1e12}}
	putOff = append(putOff, relay.Failure{Row: both[0], Delay: 1e12})
	require.NoError(t, o.PutOff(t.Context(), session, putOff))
	var bury []relay.Failure
	for _, id := range []int64{dead[1], dead[0], both[1], unkeyed[1], skipped[0], unbound[0]} {
		bury = append(bury, relay.Failure{Row: id, Reason: relay.ReasonBodyEmpty})
	}
	require.NoError(t, o.Bury(t.Context(), session, bury))
	require.Equal(t, free, o.fresh(relay.FreshQuery{})[:2])

	keys, err := o.BlockedKeys(t.Context(), all)
	require.NoError(t, err)
	key := func(ordering string) relay.Key { return relay.Key{Topic: "orders", Ordering: ordering} }
	shard := func(id int64) int16 {
		return query1[int16](o, `SELECT shard FROM outbox WHERE id = $1 UNION ALL SELECT shard FROM outbox_dead WHERE id = $1`, id)
	}
	require.ElementsMatch(t, []relay.BlockedKey{
		{Key: key("off"), Shard: shard(off[1]), Row: off[1]},
		{Key: key("off"), Shard: shard(off[2]), Row: off[2]},
		{Key: key("parked"), Shard: shard(parked[0]), Row: parked[0]},
		{Key: key("dead"), Shard: shard(dead[0]), Row: dead[0], Dead: true},
		{Key: key("dead"), Shard: shard(dead[1]), Row: dead[1], Dead: true},
		{Key: key("both"), Shard: shard(both[0]), Row: both[0]},
		{Key: key("both"), Shard: shard(both[1]), Row: both[1], Dead: true},
		{Key: relay.Key{Topic: "nobody knows", Ordering: "unbound"}, Shard: shard(unbound[0]), Row: unbound[0], Dead: true},
	}, keys)

	keys, err = o.BlockedKeys(t.Context(), 1<<shard(off[1]))
	require.NoError(t, err)
	require.Contains(t, keys, relay.BlockedKey{Key: key("off"), Shard: shard(off[1]), Row: off[1]})
	keys, err = o.BlockedKeys(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestStillThere(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	ids := o.insert(4)
	require.NoError(t, o.Bury(t.Context(), session, []relay.Failure{{Row: ids[1]}, {Row: ids[2]}}))
	o.exec(`DELETE FROM outbox_dead WHERE id = $1`, ids[2])
	there, err := o.StillThere(t.Context(), []int64{ids[2], ids[1], ids[0], 999})
	require.NoError(t, err)
	require.Equal(t, ids[:2], there)
	there, err = o.StillThere(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, there)
}
