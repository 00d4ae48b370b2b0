package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// The sessions' settings win over the role's and the database's.
func TestSessionSettings(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	user := o.pool.Config().ConnConfig.User
	for name, value := range map[string]string{
		"synchronous_commit": "off", "default_transaction_isolation": "serializable", "enable_seqscan": "on",
		"idle_in_transaction_session_timeout": "0", "default_transaction_read_only": "on", "search_path": "public",
	} {
		o.exec(`ALTER ROLE ` + quote(user) + ` SET ` + name + ` = '` + value + `'`)
	}
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: o.relayURL, Instance: "pod-1"})
	require.NoError(t, err)
	defer pool.Close()
	for name, want := range map[string]string{
		"synchronous_commit": "on", "transaction_isolation": "read committed", "enable_seqscan": "off", "enable_bitmapscan": "off",
		"idle_in_transaction_session_timeout": "5s", "statement_timeout": "10s", "transaction_read_only": "off", "jit": "off",
		"random_page_cost": "1.1", "tcp_keepalives_idle": "5", "search_path": "", "application_name": "outbox-relay/pod-1",
	} {
		var value string
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&value), name)
		require.Equal(t, want, value, name)
	}
	_, err = pool.Exec(t.Context(), `SELECT FROM outbox`)
	require.Error(t, err, "an unqualified name finds nothing")
}

func TestOpenDoesNotConnect(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres://127.0.0.1:1/none"})
	require.NoError(t, err)
	defer pool.Close()
	require.ErrorContains(t, postgres.New(pool, schema).Ping(t.Context()), "reach the database")
	_, err = postgres.Open(t.Context(), postgres.Config{URL: "postgres://%%"})
	require.ErrorContains(t, err, "read the database URL")
}

func TestPing(t *testing.T) {
	t.Parallel()
	require.NoError(t, newOutbox(t).Ping(t.Context()))
}

// Every method reports an error of the database, and says what was being tried.
func TestErrorsOfTheDatabase(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	session := o.session("a", all)
	attempt := o.attempt(o.insert(1)...)
	store := postgres.New(o.pool, "not there")
	for what, call := range map[string]func() error{
		"open session":      func() error { return store.OpenSession(t.Context(), relay.Session{Instance: "a"}, lease) },
		"renew session":     func() error { return store.RenewSession(t.Context(), session, lease) },
		"take shards":       func() error { _, err := store.TakeShards(t.Context(), session, 1); return err },
		"close session":     func() error { return store.CloseSession(t.Context(), session) },
		"read the leases":   func() error { _, err := store.Leases(t.Context()); return err },
		"open attempts":     func() error { _, err := store.OpenAttempts(t.Context(), 1); return err },
		"blocked keys":      func() error { _, err := store.BlockedKeys(t.Context(), 1); return err },
		"look for rows":     func() error { _, err := store.StillThere(t.Context(), []int64{1}); return err },
		"read fresh rows":   func() error { _, _, err := store.ReadFresh(t.Context(), withDefaults(relay.FreshQuery{})); return err },
		"read due rows":     func() error { _, err := store.ReadDue(t.Context(), relay.DueQuery{}); return err },
		"outbox is decided": func() error { _, err := store.Decided(t.Context()); return err },
		"1 decisions":       func() error { _, err := store.Write(t.Context(), session, nil, []*relay.Attempt{attempt}); return err },
		"1 settlements": func() error {
			_, err := store.Write(t.Context(), session, []relay.Closing{{All: true}}, nil)
			return err
		},
		"close entries": func() error {
			_, err := store.Write(t.Context(), session, []relay.Closing{{Struck: []int{0}}}, nil)
			return err
		},
		"states of entries":  func() error { _, err := store.EntryStates(t.Context(), []relay.AttemptID{{1}}); return err },
		"list open entries":  func() error { _, err := store.OpenEntries(t.Context()); return err },
		"resolve entries of": func() error { _, err := store.Resolve(t.Context(), session, relay.Closing{}, 0); return err },
		"purge":              func() error { _, err := store.Purge(t.Context(), time.Hour, 1); return err },
		"put off 1 rows":     func() error { return store.PutOff(t.Context(), session, []relay.Failure{{Row: 1}}) },
		"bury 1 rows":        func() error { return store.Bury(t.Context(), session, []relay.Failure{{Row: 1}}) },
		"bind topic orders":  func() error { _, err := store.BindTopic(t.Context(), relay.Topic{Name: "orders"}); return err },
		"read the origin":    func() error { _, err := store.Origin(t.Context()); return err },
		"count the backlog":  func() error { _, err := store.Backlog(t.Context(), 1, nil); return err },
	} {
		err := call()
		require.ErrorContains(t, err, what)
		require.ErrorContains(t, err, "42P01", what) // undefined_table
		require.NotErrorIs(t, err, relay.ErrSessionOver, what)
	}
}
