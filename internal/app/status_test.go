package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	w := newWorld(t)
	cfg := w.config()
	empty, err := ReadStatus(t.Context(), cfg)
	require.NoError(t, err)
	require.Zero(t, empty.Pending)
	var table strings.Builder
	require.NoError(t, empty.WriteTable(&table))
	require.Regexp(t, `relays +none: nobody publishes`, table.String())

	p := start(t, cfg)
	p.eventually("ready", p.ready)
	_, err = w.db().Exec(t.Context(), `INSERT INTO outbox (topic, payload, available_at) VALUES ($1, 'x', now() + interval '1 h'), ('nobody', 'x', NULL)`, w.topic)
	require.NoError(t, err)
	_, err = w.db().Exec(t.Context(), `INSERT INTO outbox (topic, payload) VALUES ($1, '')`, w.topic) // an empty body is dead
	require.NoError(t, err)
	p.eventually("dead", func() bool { return w.count("outbox_dead") == 1 })

	s, err := ReadStatus(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, int64(2), s.Pending)
	require.Equal(t, int64(1), s.PutOff)
	require.Equal(t, int64(1), s.Unbound)
	require.Equal(t, int64(1), s.Dead)
	require.Positive(t, s.OldestAge)
	require.Equal(t, []OpenEntries{{"under_10s", 0}, {"under_1m", 0}, {"under_10m", 0}, {"older", 0}}, s.Open)
	require.Len(t, s.Leases, 1)
	require.Equal(t, cfg.Instance, s.Leases[0].Instance)
	require.Equal(t, "v0-test", s.Leases[0].Version)
	require.Equal(t, 64, s.Leases[0].Shards)
	require.Contains(t, s.Leases[0].ClientID, "@"+cfg.Instance)
	require.Positive(t, s.Leases[0].ExpiresIn)

	table.Reset()
	require.NoError(t, s.WriteTable(&table))
	require.Regexp(t, `pending rows +2\n`, table.String())
	require.Regexp(t, `relay `+cfg.Instance+` +64 of 64 shards, lease expires in .*, version v0-test`, table.String())
	var encoded strings.Builder
	require.NoError(t, s.WriteJSON(&encoded))
	var decoded Status
	require.NoError(t, json.Unmarshal([]byte(encoded.String()), &decoded))
	require.Equal(t, s, decoded)

	s.Leases[0].ExpiresIn = -2
	table.Reset()
	require.NoError(t, s.WriteTable(&table))
	require.Contains(t, table.String(), "lease expired 2s ago")
	require.NoError(t, p.end())
}

func TestMigrateDownDoesNotLoseRowsUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config()
	w.insert(3)
	_, err := ReadStatus(t.Context(), cfg)
	require.NoError(t, err)
	_, err = MigrateDown(t.Context(), cfg, false)
	require.ErrorContains(t, err, "schema public holds 3 pending rows, 0 dead letters and 0 open messages, which would be lost")
	require.Equal(t, 3, w.count("outbox"))

	state, err := MigrateDown(t.Context(), cfg, true)
	require.NoError(t, err)
	require.Zero(t, state.Version)
	_, err = ReadStatus(t.Context(), cfg)
	require.ErrorIs(t, err, migrations.ErrMissing)
	_, err = MigrateDown(t.Context(), cfg, false)
	require.NoError(t, err, "there is nothing to lose")

	_, err = migrations.Up(t.Context(), w.url, "public")
	require.NoError(t, err)
	_, err = MigrateDown(t.Context(), cfg, false)
	require.NoError(t, err, "an empty outbox can be removed")
}
