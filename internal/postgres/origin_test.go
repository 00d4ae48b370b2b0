package postgres_test

import (
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/postgres"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// owner is a store that works as the owner of the tables, as an operator's commands do.
func (o *outbox) owner() *postgres.Store { return postgres.New(o.admin, schema) }

// copied restores a dump of the outbox into another database, with the roles' rights. Where pg_dump is missing, or older than
// the server, it copies the database.
func (o *outbox) copied() *outbox {
	o.t.Helper()
	copied := *o
	database := stacktest.Shared(o.t).Database(o.t)
	if o.canDump() {
		o.restore(database)
	} else {
		o.clone(database)
	}

	u, err := url.Parse(database)
	require.NoError(o.t, err)
	relayURL, err := url.Parse(o.relayURL)
	require.NoError(o.t, err)
	relayURL.Path = u.Path
	copied.relayURL = relayURL.String()
	copied.admin = open(o.t, database)
	copied.pool, err = postgres.Open(o.t.Context(), postgres.Config{URL: copied.relayURL, Instance: "copy"})
	require.NoError(o.t, err)
	o.t.Cleanup(copied.pool.Close)
	copied.Store = postgres.New(copied.pool, schema)
	return &copied
}

func (o *outbox) canDump() bool {
	out, err := exec.CommandContext(o.t.Context(), "pg_dump", "--version").Output()
	major := regexp.MustCompile(`\) (\d+)`).FindSubmatch(out)
	if err != nil || major == nil {
		return false
	}
	client, err := strconv.Atoi(string(major[1]))
	require.NoError(o.t, err)
	return client >= query1[int](o, `SELECT current_setting('server_version_num')::int / 10000`)
}

func (o *outbox) restore(database string) {
	o.t.Helper()
	dump := exec.CommandContext(o.t.Context(), "pg_dump", "--format=custom", "--dbname", o.admin.Config().ConnString())
	restore := exec.CommandContext(o.t.Context(), "pg_restore", "--exit-on-error", "--dbname", database)
	pipe, err := dump.StdoutPipe()
	require.NoError(o.t, err)
	restore.Stdin = pipe
	require.NoError(o.t, dump.Start())
	out, err := restore.CombinedOutput()
	require.NoError(o.t, err, string(out))
	require.NoError(o.t, dump.Wait())
}

// clone needs the database to itself.
func (o *outbox) clone(database string) {
	o.t.Helper()
	for _, pool := range []*pgxpool.Pool{o.pool, o.app, o.admin} {
		pool.Reset()
	}
	to, err := pgx.ParseConfig(database)
	require.NoError(o.t, err)
	admin, err := pgx.Connect(o.t.Context(), stacktest.Shared(o.t).Postgres())
	require.NoError(o.t, err)
	defer admin.Close(o.t.Context()) //nolint:errcheck // the statements succeeded or the test failed
	for _, sql := range []string{
		`DROP DATABASE ` + quote(to.Database),
		`CREATE DATABASE ` + quote(to.Database) + ` TEMPLATE ` + quote(o.admin.Config().ConnConfig.Database),
	} {
		_, err := admin.Exec(o.t.Context(), sql)
		require.NoError(o.t, err)
	}
}

// expireAll lets every lease run out.
func (o *outbox) expireAll() {
	o.t.Helper()
	o.exec(`UPDATE outbox_lease SET expires_at = clock_timestamp() - interval '1 s'`)
}

func TestRestoredDumpIsRefusedUntilItIsAdopted(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	origin, err := o.Origin(t.Context())
	require.NoError(t, err, "as the relay's role, with nothing but the grants")
	session := o.session("original", all)
	ids := o.insert(3)
	open := o.decided(session, ids[:2]...)

	c := o.copied()
	_, err = c.Origin(t.Context())
	require.ErrorIs(t, err, relay.ErrMoved)
	for _, word := range []string{"origin adopt", "origin new", "if it is a copy", "database "} {
		require.ErrorContains(t, err, word)
	}
	_, err = c.owner().AdoptOrigin(t.Context())
	require.ErrorIs(t, err, postgres.ErrLive, "the lease came with the dump")
	require.ErrorContains(t, err, "original, for another")
	c.expireAll()
	_, err = c.AdoptOrigin(t.Context())
	require.ErrorContains(t, err, "run it as the owner of the tables", "the relay's role may not")

	was, err := c.owner().AdoptOrigin(t.Context())
	require.NoError(t, err)
	require.True(t, was.Moved())
	same, err := c.Origin(t.Context())
	require.NoError(t, err)
	require.Equal(t, origin, same)
	require.Zero(t, query1[int](c, `SELECT count(*) FROM outbox_lease`), "a session that was dumped cannot renew its lease here")
	require.Equal(t, ids, c.pending())
	attempts, err := c.OpenAttempts(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, attempts, 1)
	require.Equal(t, open.ID, attempts[0].ID, "what was under way is resolved by the next relay")

	again, err := c.owner().AdoptOrigin(t.Context())
	require.NoError(t, err)
	require.False(t, again.Moved())
	_, err = o.Origin(t.Context())
	require.NoError(t, err, "the original is where it was")
}

func TestCopyGetsAnOriginOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string]postgres.Pending{"publish": postgres.PendingPublish, "discard": postgres.PendingDiscard} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			session := o.session("original", all)
			ids := o.insert(8)
			whole, partly, done := o.decided(session, ids[0:2]...), o.decided(session, ids[2:5]...), o.decided(session, ids[5:6]...)
			o.write(session, []relay.Closing{
				{Attempt: partly.ID, Settled: []int{0}, Struck: []int{2}}, {Attempt: done.ID, All: true},
			})
			o.expireAll()
			c := o.copied()
			origin := query1[uuid.UUID](o, `SELECT origin FROM outbox_origin`)

			dry, err := c.owner().NewOrigin(t.Context(), rows, true)
			require.NoError(t, err)
			require.Equal(t, []int64{6, 0, 3}, []int64{dry.Pending, dry.Dead, dry.Open})
			_, err = c.owner().NewOrigin(t.Context(), postgres.PendingUnsaid, false)
			require.ErrorIs(t, err, postgres.ErrPendingRows)
			require.Equal(t, origin, query1[uuid.UUID](c, `SELECT origin FROM outbox_origin`), "neither has changed anything")
			require.Len(t, c.pending(), 6)

			copied, err := c.owner().NewOrigin(t.Context(), rows, false)
			require.NoError(t, err)
			fresh, err := c.Origin(t.Context())
			require.NoError(t, err)
			require.Equal(t, copied.ID, fresh)
			require.NotEqual(t, origin, fresh)
			attempts, err := c.OpenAttempts(t.Context(), all)
			require.NoError(t, err)
			require.Empty(t, attempts, "the halves are the original's: nobody here asks for them")
			require.Equal(t, []int64{ids[2], ids[5]}, c.sent(), "only what the original had settled counts as sent")
			require.Equal(t, []int16{0, 1}, column[int16](c, `SELECT unnest(struck) FROM outbox_attempt WHERE id = $1`, whole.ID[:]))
			require.Equal(t, []int16{1, 2}, column[int16](c, `SELECT unnest(struck) FROM outbox_attempt WHERE id = $1`, partly.ID[:]))
			if rows == postgres.PendingPublish {
				require.Equal(t, []int64{ids[0], ids[1], ids[3], ids[4], ids[6], ids[7]}, c.pending())
			} else {
				require.Empty(t, c.pending())
			}
			require.Len(t, o.pending(), 6, "the original is untouched")

			// A session of the original that comes back to the copy decides nothing.
			next := c.session("copy", all)
			require.Equal(t, []relay.Decision{relay.DecisionNoLease}, c.write(session, nil, c.attempt(ids[6])).Decided)
			if rows == postgres.PendingPublish {
				require.Equal(t, []relay.Decision{relay.DecisionMade}, c.write(next, nil, c.attempt(ids[0])).Decided)
			}
		})
	}
}

// A copy of the disk cannot be told from its original; an operator who knows may say so all the same.
func TestNewOriginWhereNothingHasMoved(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	before, err := o.Origin(t.Context())
	require.NoError(t, err)
	session := o.session("a", all)
	_, err = o.owner().NewOrigin(t.Context(), postgres.PendingPublish, false)
	require.ErrorIs(t, err, postgres.ErrLive)
	require.NoError(t, o.CloseSession(t.Context(), session))
	copied, err := o.owner().NewOrigin(t.Context(), postgres.PendingUnsaid, false)
	require.NoError(t, err)
	require.NotEqual(t, before, copied.ID)
	require.False(t, copied.Was.Moved())
}

func TestOriginThatCannotBeRead(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.exec(`REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public`)
	_, err := o.Origin(t.Context())
	require.ErrorContains(t, err, "pg_catalog.pg_control_system()")
	require.ErrorContains(t, err, "EXECUTE")
	role := o.pool.Config().ConnConfig.User
	o.exec(`GRANT EXECUTE ON FUNCTION pg_control_system() TO ` + pgx.Identifier{role}.Sanitize())
	_, err = o.Origin(t.Context())
	require.NoError(t, err)
	o.exec(`REVOKE EXECUTE ON FUNCTION pg_control_system() FROM ` + pgx.Identifier{role}.Sanitize()) // or the role stays
}
