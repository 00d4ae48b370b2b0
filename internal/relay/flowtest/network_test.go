package flowtest

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// network is what lies between relays and a broker of their own: a proxy before it, and one before its name server.
type network struct {
	broker, nameServer *proxy.Proxy
	server             *stack.Broker
}

// newNetwork starts a broker that relays can only reach through the network.
func newNetwork(t *testing.T) *network {
	t.Helper()
	ns, err := stack.StartNameServer(t.Context(), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	server, err := stack.StartBroker(t.Context(), ns, stack.Options{
		BrokerConfig: stack.FastTransactions(), BrokerIP: "127.0.0.2",
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	return &network{
		server:     server,
		broker:     newProxy(t, proxy.RocketMQ, server.Advertised, server.Addr),
		nameServer: newProxy(t, proxy.RocketMQ, "127.0.0.1:0", ns.Addr),
	}
}

func newProxy(t *testing.T, start func(proxy.Options) (*proxy.Proxy, error), listen, upstream string) *proxy.Proxy {
	t.Helper()
	p, err := start(proxy.Options{Listen: listen, Upstream: upstream, Seed: 7})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// world makes a world whose relays come through the network. The auditor reads past it.
func (n *network) world(t *testing.T) *world {
	t.Helper()
	topic := fmt.Sprintf("network-%d", time.Now().UnixNano())
	require.NoError(t, n.server.CreateTopic(t.Context(), topic, 4, "TRANSACTION"))
	w := worldOn(t, stacktest.Shared(t).Database(t), n.nameServer.Addr(), topic, topic)
	w.broker = n.server
	t.Cleanup(func() {
		require.NoError(t, n.broker.Heal())
		require.NoError(t, n.nameServer.Heal())
	})
	return w
}

// databaseProxy stands before the shared PostgreSQL.
func databaseProxy(t *testing.T) *proxy.Proxy {
	t.Helper()
	u, err := url.Parse(stacktest.Shared(t).Postgres())
	require.NoError(t, err)
	return newProxy(t, proxy.Postgres, "127.0.0.1:0", u.Host)
}

// worldBehind makes a world whose relays reach their database through the proxy. Writer and auditor go past it.
func worldBehind(t *testing.T, p *proxy.Proxy) *world {
	t.Helper()
	w := newWorld(t, 4)
	u, err := url.Parse(w.url)
	require.NoError(t, err)
	u.Host = p.Addr()
	w.url = u.String()
	return w
}

// well ends the faults. A pool waits 15 s for half-open connections to end when it is closed: it need not here.
func well(t *testing.T, p *proxy.Proxy) {
	t.Helper()
	require.NoError(t, p.Heal())
	t.Cleanup(func() { p.CutAll() })
}

// silent is a rule that leaves a connection half-open once: it takes the relay an answer timeout to notice.
func silent(kind proxy.Kind) proxy.Rule {
	return proxy.Rule{Act: proxy.LoseAnswer, Kinds: []proxy.Kind{kind}, Times: 1, Then: proxy.HalfOpen}
}

// lost is a rule that strikes now and then.
func lost(act proxy.Act, kind proxy.Kind, then proxy.Then) proxy.Rule {
	return proxy.Rule{Act: act, Kinds: []proxy.Kind{kind}, Chance: 0.2, Then: then}
}

// strikes waits, while rows are written, until each fault has struck, and returns how many rows there are.
func (w *world) strikes(p *proxy.Proxy, rules []proxy.Rule) (rows int) {
	w.t.Helper()
	before := p.Counts()
	for _, r := range rules {
		_, err := p.Add(r)
		require.NoError(w.t, err)
	}
	deadline := time.Now().Add(2 * patience)
	for !struck(before, p.Counts(), rules) {
		require.True(w.t, time.Now().Before(deadline), "a fault does not strike: %v", p.Counts())
		w.insert(10, "a", "", "b", "", "c")
		rows += 10
		<-time.After(20 * time.Millisecond)
	}
	return rows
}

// struck reports whether each rule was applied three times since before, or as often as it can be.
func struck(before, now map[proxy.Count]int, rules []proxy.Rule) bool {
	for _, r := range rules {
		done := proxy.Count{Act: r.Act, Kind: r.Kinds[0]}
		refused := done
		refused.Refused = true
		times := 3
		if r.Times > 0 {
			times = min(times, r.Times)
		}
		if now[done]+now[refused]-before[done]-before[refused] < times {
			return false
		}
	}
	return true
}

// Each fault strikes a relay at work several times; then the network is well, and everything must have arrived once.
func TestBrokerBehindABadNetwork(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	n := newNetwork(t)
	t.Run("loss", n.loss)
	t.Run("gone", func(t *testing.T) {
		gone(t, "broker", n.broker, n.world)
		gone(t, "name-server", n.nameServer, n.world)
	})
}

func (n *network) loss(t *testing.T) {
	for name, rules := range map[string][]proxy.Rule{
		"halves":               {lost(proxy.LoseRequest, proxy.Half, proxy.Keep)},
		"answers to halves":    {lost(proxy.LoseAnswer, proxy.Half, proxy.Keep)},
		"commits":              {lost(proxy.LoseRequest, proxy.Commit, proxy.Keep)},
		"answers to commits":   {lost(proxy.LoseAnswer, proxy.Commit, proxy.Keep)},
		"connection by commit": {lost(proxy.LoseAnswer, proxy.Commit, proxy.Cut)},
		"cut after commit":     {lost(proxy.CutAfter, proxy.Commit, proxy.Keep)},
		"half-open by commit":  {silent(proxy.Commit)},
		"the resolver too": {
			lost(proxy.LoseRequest, proxy.Commit, proxy.Keep), lost(proxy.LoseAnswer, proxy.Rollback, proxy.Keep),
			lost(proxy.LoseAnswer, proxy.Pull, proxy.Cut), lost(proxy.LoseAnswer, proxy.Offset, proxy.Keep),
		},
		"check-backs": {
			lost(proxy.LoseAnswer, proxy.Half, proxy.Keep), lost(proxy.LoseRequest, proxy.Check, proxy.Keep),
			lost(proxy.LoseRequest, proxy.CheckBack, proxy.Keep),
		},
		"late": {
			{Act: proxy.DelayRequest, Kinds: []proxy.Kind{proxy.Commit}, Chance: 0.2, Delay: 2 * time.Second},
			{Act: proxy.DelayAnswer, Kinds: []proxy.Kind{proxy.Commit}, Chance: 0.2, Delay: 2 * time.Second},
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			w := n.world(t)
			w.start()
			rows := w.strikes(n.broker, rules)
			well(t, n.broker)
			w.drained()
			w.exactly(rows)
		})
	}
}

func TestPostgresBehindABadNetwork(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]proxy.Rule{
		"decisions":             {lost(proxy.LoseRequest, proxy.Decide, proxy.Cut)},
		"answers to decisions":  {lost(proxy.LoseAnswer, proxy.Decide, proxy.Cut)},
		"half-open by decision": {silent(proxy.Decide)},
		"cut after decision":    {lost(proxy.CutAfter, proxy.Decide, proxy.Keep)},
		"closings":              {lost(proxy.LoseRequest, proxy.Settle, proxy.Cut)},
		"answers to closings":   {lost(proxy.LoseAnswer, proxy.Settle, proxy.Cut)},
		"half-open by closing":  {silent(proxy.Settle)},
		"leases":                {lost(proxy.LoseAnswer, proxy.Lease, proxy.Cut), lost(proxy.LoseRequest, proxy.Lease, proxy.Cut)},
		"everything": {
			lost(proxy.LoseAnswer, proxy.Decide, proxy.Cut), lost(proxy.LoseAnswer, proxy.Settle, proxy.Cut),
			lost(proxy.LoseAnswer, proxy.Startup, proxy.Cut),
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			p := databaseProxy(t)
			w := worldBehind(t, p)
			w.start()
			rows := w.strikes(p, rules)
			well(t, p)
			w.drained()
			w.exactly(rows)
		})
	}
	p := databaseProxy(t)
	gone(t, "database", p, func(t *testing.T) *world { return worldBehind(t, p) })
}

// gone takes every connection at once away from a relay at work: cut, silent, refused.
func gone(t *testing.T, name string, p *proxy.Proxy, make func(*testing.T) *world) {
	t.Helper()
	for what, fault := range map[string]func() error{
		"cut":       func() error { p.CutAll(); return nil },
		"half-open": func() error { p.HalfOpenAll(); return nil },
		"refused":   func() error { p.CutAll(); return p.Refuse() },
	} {
		t.Run(name+"-"+what, func(t *testing.T) {
			w := make(t)
			w.start()
			for range 2 {
				before := w.sent()
				w.insert(200, "a", "", "b", "", "c")
				require.Eventually(t, func() bool { return w.sent() > before }, patience, time.Millisecond)
				require.NoError(t, fault())
				w.insert(50, "a", "", "b", "", "c")
				<-time.After(time.Second) // How long it lasts.
				well(t, p)
			}
			w.drained()
			w.exactly(500)
		})
	}
}

// A primary is killed under load and its standby promoted behind the address that the relay knows.
func TestFailOverToTheStandby(t *testing.T) {
	t.Parallel()
	opts := stack.Options{Engine: stack.EngineNative}
	primary, err := stack.StartPostgres(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = primary.Close() })
	standby, err := stack.StartStandby(t.Context(), primary, opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = standby.Close() })
	address := newProxy(t, proxy.Postgres, "127.0.0.1:0", primary.Addr)
	_, port, err := net.SplitHostPort(address.Addr())
	require.NoError(t, err)
	servers := stacktest.Shared(t)
	w := worldOn(t, "postgres://postgres@127.0.0.1:"+port+"/postgres?sslmode=disable", servers.NameServer(), servers.Topic(t, 4),
		servers.Group(t))
	w.keepBooks()
	w.start(func(c *relay.Config) { c.BatchRows = 50 })
	stop := w.write("a", "", "b", "", "c")
	before := w.sent()
	require.Eventually(t, func() bool { return w.sent() > before+100 }, patience, 5*time.Millisecond)
	require.NoError(t, primary.Kill())
	address.CutAll()
	require.NoError(t, standby.Promote(t.Context()))
	address.SetUpstream(standby.Addr)
	w.reconnect()
	before = w.sent()
	require.Eventually(t, func() bool { return w.sent() > before+100 }, patience, 5*time.Millisecond, "it goes on by itself")
	rows := stop()
	w.drained()
	w.arrived(rows)
}
