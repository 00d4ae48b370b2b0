package rocketmq

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// A sealed cluster speaks nothing but TLS and asks for client certificates.
type sealed struct {
	t                       *testing.T
	authority, stranger     *stack.Authority
	serverCert, serverKey   string
	clientCert, clientKey   string
	foreignCert, foreignKey string
	ns                      *stack.NameServer
	broker                  *stack.Broker
	admin                   context.Context //nolint:containedctx // It carries the way in.
}

const sealedTopic = "sealed-orders"

func newSealed(t *testing.T) *sealed {
	t.Helper()
	s := &sealed{t: t}
	dir := t.TempDir()
	issue := func(a *stack.Authority, name string, hosts ...string) (cert, key string) {
		cert, key, err := a.Issue(name, time.Hour, hosts...)
		require.NoError(t, err)
		return cert, key
	}
	var err error
	s.authority, err = stack.NewAuthority(dir, "authority")
	require.NoError(t, err)
	s.stranger, err = stack.NewAuthority(dir, "stranger")
	require.NoError(t, err)
	s.serverCert, s.serverKey = issue(s.authority, "server", "127.0.0.1", "localhost", "brokers.example")
	s.clientCert, s.clientKey = issue(s.authority, "client", "relay")
	s.foreignCert, s.foreignKey = issue(s.stranger, "foreign", "relay")

	config, err := s.tls().config("127.0.0.1")
	require.NoError(t, err)
	access := stack.Access{TLS: config}
	properties := stack.ServerTLS(s.serverCert, s.serverKey, s.authority.File)
	for name, value := range stack.ClientTLS(s.clientCert, s.clientKey) {
		properties[name] = value
	}
	o := stacktest.Options()
	o.Engine, o.Secure = stack.EngineNative, &stack.Secure{TLS: properties, Access: access}
	s.admin = stack.WithAccess(context.Background(), access)
	s.ns, err = stack.StartNameServer(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.ns.Close()) })
	s.broker, err = stack.StartBroker(t.Context(), s.ns, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.broker.Close()) })
	require.NoError(t, s.broker.CreateTopic(s.admin, sealedTopic, 1, "TRANSACTION"))
	return s
}

// tls is the right way in.
func (s *sealed) tls() *TLS {
	return &TLS{CAFile: s.authority.File, CertFile: s.clientCert, KeyFile: s.clientKey, NameServers: true}
}

func (s *sealed) options(way *TLS) Options {
	return Options{NameServers: s.ns.Addr, Group: "sealed-relays", Logger: discard(), TLS: way}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	t.Run("refusals", func(t *testing.T) { testTLSRefusals(t, s) })
	t.Run("the whole way", func(t *testing.T) { testTLSWholeWay(t, s) })
	t.Run("certificates that change", func(t *testing.T) { testTLSNewCertificates(t, s) })
}

// Each way to fail has a text of its own that says what to change, at the name server and at the broker.
func testTLSRefusals(t *testing.T, s *sealed) {
	for name, test := range map[string]struct {
		change func(way *TLS)
		want   []string
	}{
		"wrong authority":            {func(way *TLS) { way.CAFile = s.stranger.File }, []string{"signed by none of the authorities that we trust", "set tls.ca_file"}},
		"authorities of the system":  {func(way *TLS) { way.CAFile = "" }, []string{"set tls.ca_file"}},
		"wrong name":                 {func(way *TLS) { way.ServerName = "other.example" }, []string{"its certificate is for localhost, brokers.example, 127.0.0.1 and not for other.example", "set tls.server_name"}},
		"no client certificate":      {func(way *TLS) { way.CertFile, way.KeyFile = "", "" }, []string{"it wants a client certificate: set tls.cert_file and tls.key_file"}},
		"a stranger's certificate":   {func(way *TLS) { way.CertFile, way.KeyFile = s.foreignCert, s.foreignKey }, []string{"it does not accept the client certificate of tls.cert_file"}},
		"certificate of another key": {func(way *TLS) { way.KeyFile = s.foreignKey }, []string{"tls.cert_file and tls.key_file: ", "private key does not match"}},
		"no certificate in ca_file":  {func(way *TLS) { way.CAFile = s.clientKey }, []string{"tls.ca_file", "holds no certificate in PEM"}},
		"plain text":                 {nil, []string{"it ends plain connections and speaks TLS: set tls.enabled"}},
		"plain text to name servers": {func(way *TLS) { way.NameServers = false }, []string{"it ends plain connections and speaks TLS: set tls.nameservers"}},
	} {
		t.Run(name, func(t *testing.T) {
			way := s.tls()
			if test.change == nil {
				way = nil
			} else {
				test.change(way)
			}
			o := s.options(way)
			err := newClient(t, o).Bind(t.Context(), []string{sealedTopic})
			require.ErrorIs(t, err, ErrAccess)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
				require.ErrorContains(t, err, s.ns.Addr)
			}
			if way != nil && !way.NameServers {
				return
			}
			c := newClient(t, o)
			err = c.accessTo(t.Context(), s.broker.Name, s.broker.Addr, probes(sealedTopic))
			require.ErrorIs(t, err, ErrAccess)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
				require.ErrorContains(t, err, s.broker.Addr)
			}
		})
	}
}

// Halves, commits and reading back over TLS; check-backs too, also after the broker was killed and is back.
func testTLSWholeWay(t *testing.T, s *sealed) {
	var seen asked
	way := s.tls()
	way.ServerName = "brokers.example"
	o := s.options(way)
	o.OnCheck = seen.add
	o.Check = func(txcheck.Half) txcheck.Answer { return txcheck.Rollback }
	b := &bench{t: t, topic: sealedTopic, group: o.Group, address: s.broker.Addr, broker: s.broker.Name, Client: newClient(t, o)}
	require.NoError(t, b.Bind(t.Context(), []string{sealedTopic}))
	b.relayed()
	for range 2 {
		require.Equal(t, []string{b.ClientID()}, b.producers())
		h := b.half()
		h.Immunity = time.Second
		b.store(h)
		require.Eventually(t, func() bool { return seen.count(h.UniqKey) > 0 }, 2*soon, 10*time.Millisecond)
		b.caughtUp()
		require.NotContains(t, b.keys(0), h.UniqKey)

		require.NoError(t, s.broker.Kill())
		require.NoError(t, s.broker.Start(s.admin))
		require.Eventually(t, func() bool {
			return b.Available(s.broker.Addr) && len(b.producers()) == 1
		}, 2*soon, 20*time.Millisecond, "registered again, long before the next heartbeat is due")
	}
	b.relayed()
	messages, err := stack.ReadTopic(s.admin, s.ns.Addr, sealedTopic)
	require.NoError(t, err)
	require.Len(t, messages, 2, "a consumer sees what was committed, and only that")
}

// Available reports whether the broker is asked at present.
func (b *bench) Available(address string) bool { return b.brokers.Available(address) }

// Certificates are replaced while everything runs: the server's by an expired one, which the next connection notices, and back.
func testTLSNewCertificates(t *testing.T, s *sealed) {
	expiredCert, expiredKey, err := s.authority.Issue("expired", -time.Minute, "127.0.0.1")
	require.NoError(t, err)
	good := map[string][]byte{}
	for from, to := range map[string]string{expiredCert: s.serverCert, expiredKey: s.serverKey} {
		good[to] = read(t, to)
		replace(t, to, read(t, from))
	}
	c := newClient(t, s.options(s.tls()))
	require.Eventually(t, func() bool { // the server looks at its files every half second
		c.brokers.Close()
		c = newClient(t, s.options(s.tls()))
		err = c.accessTo(t.Context(), s.broker.Name, s.broker.Addr, probes(sealedTopic))
		return err != nil
	}, 2*soon, 100*time.Millisecond)
	require.ErrorIs(t, err, ErrAccess)
	require.ErrorContains(t, err, "its certificate is valid from ")
	require.ErrorContains(t, err, "renew it, or correct the clock of this machine")
	for to, text := range good {
		replace(t, to, text)
	}
	require.Eventually(t, func() bool {
		return newClient(t, s.options(s.tls())).accessTo(t.Context(), s.broker.Name, s.broker.Addr, probes(sealedTopic)) == nil
	}, 2*soon, 100*time.Millisecond)

	// Ours are read for each connection.
	dir := t.TempDir()
	way := s.tls()
	way.CertFile, way.KeyFile = filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	replace(t, way.CertFile, read(t, s.foreignCert))
	replace(t, way.KeyFile, read(t, s.foreignKey))
	c = newClient(t, s.options(way))
	require.Eventually(t, func() bool {
		err = c.Bind(t.Context(), []string{sealedTopic})
		return strings.Contains(err.Error(), "does not accept the client certificate") // and no longer that the server's has expired
	}, 2*soon, 100*time.Millisecond)
	replace(t, way.CertFile, read(t, s.clientCert))
	replace(t, way.KeyFile, read(t, s.clientKey))
	require.Eventually(t, func() bool { return c.Bind(t.Context(), []string{sealedTopic}) == nil }, 2*soon, 100*time.Millisecond)
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}

// replace puts another file in place of one, in one step.
func replace(t *testing.T, file string, text []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file+".next", text, 0o600))
	require.NoError(t, os.Rename(file+".next", file))
}

// RocketMQ's default is to speak both, with a certificate of its own making; a server that is told not to speaks plain only.
func TestTLSToServersThatDoNotInsist(t *testing.T) {
	t.Parallel()
	o := stacktest.Options()
	o.Engine, o.Secure = stack.EngineNative, &stack.Secure{TLS: map[string]string{"tls.server.mode": "disabled"}}
	ns, err := stack.StartNameServer(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	err = newClient(t, Options{NameServers: ns.Addr, Group: "g", Logger: discard(), TLS: &TLS{NameServers: true}}).Bind(t.Context(), []string{"orders"})
	require.ErrorIs(t, err, ErrAccess)
	require.ErrorContains(t, err, ns.Addr+": it does not speak TLS: start it with -Dtls.server.mode=enforcing or permissive")

	servers := stacktest.Shared(t)
	err = newClient(t, Options{NameServers: servers.NameServer(), Group: "g", Logger: discard(), TLS: &TLS{NameServers: true}}).Bind(t.Context(), []string{"orders"})
	require.ErrorIs(t, err, ErrAccess)
	require.ErrorContains(t, err, "its certificate is for no name at all, as the one that RocketMQ makes for itself")

	// Plain name servers beside TLS brokers are a choice.
	c := newClient(t, Options{NameServers: servers.NameServer(), Group: servers.Group(t), Logger: discard(), TLS: &TLS{}})
	require.NoError(t, c.Bind(t.Context(), []string{servers.Topic(t, 1)}))
	require.Len(t, c.session.each, 1)
}

// A server that is away is waited for, over TLS too, and one that is no RocketMQ at all is not.
func TestTLSToNobody(t *testing.T) {
	t.Parallel()
	o := Options{NameServers: "127.0.0.1:1", Group: "g", Logger: discard(), TLS: &TLS{NameServers: true}}
	err := newClient(t, o).Bind(t.Context(), []string{"orders"})
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotErrorIs(t, err, ErrAccess)
	require.NoError(t, (&TLS{}).Check())
	require.ErrorIs(t, (&TLS{CAFile: "/nonexistent"}).Check(), ErrTLSFile)
	require.Equal(t, uint16(tls.VersionTLS12), must(t, (&TLS{}).config).MinVersion)
}

func must(t *testing.T, config func(string) (*tls.Config, error)) *tls.Config {
	t.Helper()
	c, err := config("h")
	require.NoError(t, err)
	return c
}
