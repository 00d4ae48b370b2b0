package postgres_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// Nothing that waits for PostgreSQL may wait for ever: the connection may be half-open in a way that TCP does not notice.
// The context of a caller has no deadline here, as the ledger's has none.
func TestLostAnswerIsNotAwaitedForEver(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	u, err := url.Parse(o.relayURL)
	require.NoError(t, err)
	p, err := proxy.Postgres(proxy.Options{Listen: "127.0.0.1:0", Upstream: u.Host})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	u.Host = p.Addr()
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: u.String(), Instance: "cut off", AnswerTimeout: 500 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	t.Cleanup(func() { p.CutAll() })
	store := postgres.New(pool, schema)
	session := o.session("cut off", all)
	require.Eventually(t, func() bool { return store.Ping(t.Context()) == nil }, time.Minute, time.Millisecond)

	for name, lost := range map[string]struct {
		kind proxy.Kind
		do   func() error
	}{
		"batch": {proxy.Decide, func() error {
			_, err := store.Write(t.Context(), session, nil, []*relay.Attempt{o.attempt(o.insert(1)...)})
			return err
		}},
		"statement": {proxy.Lease, func() error {
			_, err := store.RenewSession(t.Context(), uuid.New(), lease)
			return err
		}},
		"query": {proxy.Other, func() error {
			_, err := store.ReadFresh(t.Context(), relay.FreshQuery{})
			return err
		}},
		"transaction": {proxy.Begin, func() error {
			a := o.decided(session, o.insert(1)...)
			_, err := store.Write(t.Context(), session, []relay.Closing{{Attempt: a.ID, Settled: []int{0}}}, nil)
			return err
		}},
	} {
		_, err := p.Add(proxy.Rule{Act: proxy.LoseAnswer, Kinds: []proxy.Kind{lost.kind}, Times: 1, Then: proxy.HalfOpen})
		require.NoError(t, err)
		failed := make(chan error, 1)
		go func() { failed <- lost.do() }()
		select {
		case err := <-failed:
			require.Error(t, err, name)
		case <-time.After(time.Minute):
			t.Fatalf("%s: it still waits", name)
		}
		require.NoError(t, p.Heal())
	}
}
