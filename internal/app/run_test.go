package app

import (
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

func TestRowsArePublishedAndEverythingIsClosed(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	w := newWorld(t)
	w.insert(20)
	p := start(t, w.config())
	p.eventually("ready", p.ready)
	w.insert(30)
	p.eventually("published", func() bool { return w.count("outbox") == 0 })
	messages, err := stack.ReadTopic(t.Context(), w.nameServer, w.topic)
	require.NoError(t, err)
	require.Len(t, messages, 50)

	p.eventually("metrics", func() bool {
		_, metrics := p.get("/metrics")
		for _, want := range []string{
			fmt.Sprintf("outbox_relay_rows_sent_total{topic=%q} 50", w.topic), `outbox_relay_broker_up{broker="broker-a"} 1`,
			"outbox_relay_shards 64", "outbox_relay_sessions_total 1", `service_version="v0-test"`,
		} {
			if !strings.Contains(metrics, want) {
				return false
			}
		}
		return true
	})
	require.Equal(t, 1, w.count("outbox_lease"))
	require.NoError(t, p.end())
	require.Zero(t, w.count("outbox_lease"), "the lease is given back")
	code, _ := p.get("/healthz")
	require.Zero(t, code, "nothing is served any more")

	require.Len(t, p.log.with(`"msg":"readiness changed"`, `"ready":true`), 1)
	require.Len(t, p.log.with(`"msg":"starting"`, `"version":"v0-test"`, w.topic), 1)
	for _, part := range []string{"broker client", "database", "metrics and health", "telemetry"} {
		require.Len(t, p.log.with(`"msg":"closed"`, part), 1)
	}
}

// The relay's role has what "outbox-relay grants" prints, and its password is in no log line.
func TestTheRelaysRoleIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := "relay_" + strings.ToLower(rand.Text()[:10])
	_, forRelay, err := migrations.Grants("public", "postgres", role)
	require.NoError(t, err)
	_, err = w.db().Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN; %s", role, forRelay))
	require.NoError(t, err)

	p := start(t, w.config(fmt.Sprintf("database: {url: %q}", w.as(role))))
	p.eventually("ready", p.ready)
	w.insert(3)
	p.eventually("published", func() bool { return w.count("outbox") == 0 })
	require.NoError(t, p.end())
	require.NotContains(t, p.log.String(), "hunter2")
	require.NotEmpty(t, p.log.with("postgres://"+role+"@"))
}

func TestDatabaseThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	pg, err := stack.StartPostgres(t.Context(), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Close()) })
	w := &world{t: t, url: pg.URL("postgres"), nameServer: servers.NameServer(), topic: servers.Topic(t, 4), group: servers.Group(t)}
	_, err = migrations.Up(t.Context(), w.url, "public")
	require.NoError(t, err)
	require.NoError(t, pg.Kill())

	p := start(t, w.config())
	p.eventually("alive and not ready", func() bool { return p.waitsFor(conditionDatabase) })
	require.NoError(t, pg.Start(t.Context()))
	p.eventually("ready", p.ready)

	require.NoError(t, pg.Kill())
	p.eventually("alive and not ready again", func() bool { return p.waitsFor(conditionDatabase) })
	require.NoError(t, pg.Start(t.Context()))
	p.eventually("ready again", p.ready)
	w.insert(3)
	p.eventually("published", func() bool { return w.count("outbox") == 0 })
	require.NoError(t, p.end())
}

func TestStopThatTakesTooLongIsCut(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	pg, err := stack.StartPostgres(t.Context(), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Close()) })
	w := &world{t: t, url: pg.URL("postgres"), nameServer: servers.NameServer(), topic: servers.Topic(t, 4), group: servers.Group(t)}
	_, err = migrations.Up(t.Context(), w.url, "public")
	require.NoError(t, err)
	p := start(t, w.config("shutdown: {grace: 1s}"))
	p.eventually("ready", p.ready)

	require.NoError(t, pg.Pause())
	began := time.Now()
	require.ErrorContains(t, p.end(), "finish what is under way within shutdown.grace (1s)")
	require.Less(t, time.Since(began), time.Second+teardown+5*time.Second)
	require.NotEmpty(t, p.log.with("not everything was closed in good order", "close database"))
	require.NoError(t, pg.Resume())
}

func TestNameServerThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	p := start(t, w.config(fmt.Sprintf("nameservers: [%q]", address)))
	p.eventually("alive and not ready", func() bool { return p.waitsFor(conditionTopics) })
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "name server", address, w.nameServer)
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	p.eventually("ready", p.ready)
	require.NoError(t, p.end())
}

func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := start(t, w.config("database: {url: 'postgres://nobody:hunter2@127.0.0.1:1/nowhere'}"))
	p.eventually("alive and not ready", func() bool { return p.waitsFor(conditionDatabase) })
	require.NoError(t, p.end())
	require.NotContains(t, p.log.String(), "hunter2")
	require.Len(t, p.log.with(`"msg":"waiting"`), 1, "one line, however often it was tried")
}

// ends runs an app that cannot start, and returns why.
func ends(t *testing.T, w *world, change ...string) error {
	t.Helper()
	p := start(t, w.config(change...))
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		t.Fatal("it waits for what waiting does not mend")
		return nil
	}
}

func TestTopicsThatDoNotExistStopTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := ends(t, w, fmt.Sprintf("topics: [%s, no-such-orders, no-such-payments]", w.topic))
	require.ErrorContains(t, err, "topic no-such-orders: topic does not exist")
	require.ErrorContains(t, err, "topic no-such-payments: topic does not exist")
	require.NotContains(t, OneLine(err), "\n")
	require.Zero(t, w.count("outbox_lease"))
}

func TestTopicOfAnotherTypeStopsTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic = stacktest.Shared(t).TopicOf(t, 2, "FIFO")
	require.ErrorContains(t, ends(t, w), "topic "+w.topic+" cannot be delivered to exactly once: its message.type is FIFO and must be TRANSACTION")
}

func TestSchemaThatIsNotInstalledStopsTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := migrations.Down(t.Context(), w.url, "public")
	require.NoError(t, err)
	err = ends(t, w)
	require.ErrorIs(t, err, migrations.ErrMissing)
	require.ErrorContains(t, err, `run "outbox-relay migrate up"`)
}

func TestRoleWithoutRightsStopsTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := "nothing_" + strings.ToLower(rand.Text()[:10])
	_, err := w.db().Exec(t.Context(), "CREATE ROLE "+role+" LOGIN")
	require.NoError(t, err)
	require.ErrorContains(t, ends(t, w, fmt.Sprintf("database: {url: %q}", w.as(role))), `grant what "outbox-relay grants" prints`)
}

func TestTakenPortStopsTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close() //nolint:errcheck // it only holds the port
	err = Run(t.Context(), w.config(fmt.Sprintf("http: {listen: %q}", listener.Addr())), Process{Log: discard()})
	require.ErrorContains(t, err, "serve metrics and health")
	require.ErrorContains(t, err, "address already in use")
}

func TestNothingIsServedWhereHTTPIsOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.insert(2)
	p := start(t, w.config("http: {listen: off}"))
	require.Equal(t, "http://", p.url)
	p.eventually("published", func() bool { return w.count("outbox") == 0 })
	require.NoError(t, p.end())
	require.Empty(t, p.log.with("serving metrics"))
}
