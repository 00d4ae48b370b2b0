package rocketmq

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// firstError is what a new user sees first.
func firstError(t *testing.T, nameServers string) error {
	t.Helper()
	c := newClient(t, Options{NameServers: nameServers, Group: "g", Logger: discard(), RequestTimeout: 500 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	err := c.Bind(ctx, []string{"a", "b"})
	require.Error(t, err)
	return err
}

// listen serves every connection with serve until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var working sync.WaitGroup
	working.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			working.Go(func() {
				defer nc.Close() //nolint:errcheck // The client has what it needs.
				serve(nc)
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		working.Wait()
	})
	return l.Addr().String()
}

// Every wrong server that a new user may name, on real sockets.
func TestNameServerThatIsSomethingElse(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	postgres, err := url.Parse(servers.Postgres())
	require.NoError(t, err)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(tls.Close)
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	proxy := grpc.NewServer()
	go func() { _ = proxy.Serve(l) }()
	t.Cleanup(proxy.Stop)
	redis := listen(t, func(nc net.Conn) {
		if _, err := bufio.NewReader(nc).ReadString('\n'); err == nil {
			_, _ = nc.Write([]byte("-ERR wrong number of arguments for 'get' command\r\n"))
		}
	})
	for name, test := range map[string]struct{ server, want string }{
		"the broker":   {servers.Broker(), "but a broker (V"},
		"PostgreSQL":   {postgres.Host, "but a PostgreSQL server"},
		"HTTP":         {strings.TrimPrefix(web.URL, "http://"), "but an HTTP server"},
		"HTTPS":        {strings.TrimPrefix(tls.URL, "https://"), "but an HTTP server"},
		"gRPC":         {l.Addr().String(), "but a gRPC server, such as a RocketMQ proxy's port 8081"},
		"Redis":        {redis, "but a Redis server"},
		"both of them": {servers.Broker() + ";" + postgres.Host, "but a PostgreSQL server"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := firstError(t, test.server)
			t.Log(err)
			require.ErrorIs(t, err, ErrNotNameServer, "waiting does not mend it")
			require.NotErrorIs(t, err, ErrUnreachable)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "a name server's port is 9876 unless it was told otherwise")
			require.ErrorContains(t, err, "name server "+strings.Split(test.server, ";")[0])
			require.NotContains(t, err.Error(), "topic b", "once is enough")
		})
	}
}

func TestNameServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	silent := fakemq.Listen(t)
	silent.Freeze()
	for name, test := range map[string]struct{ server, want string }{
		"nothing listens":         {"127.0.0.1:1", "nothing listens there: check that it runs, and the port, which is 9876"},
		"nothing listens on IPv6": {"[::1]:1", "nothing listens there"},
		"by name":                 {"localhost:1", "nothing listens there"},
		"no such name":            {"name-server.invalid:9876", "the host name"},
		"says nothing":            {silent.Address(), "something listens there that does not answer as a name server does"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := firstError(t, test.server)
			t.Log(err)
			require.ErrorIs(t, err, ErrUnreachable, "it may come")
			require.NotErrorIs(t, err, ErrNotNameServer)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// One of several that is a broker does not stop the start while another may come.
func TestOneWrongNameServerAmongOthersIsNoMistake(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	err := firstError(t, servers.Broker()+";127.0.0.1:1")
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotErrorIs(t, err, ErrNotNameServer)
	require.ErrorContains(t, err, "but a broker (V")
	require.ErrorContains(t, err, "nothing listens there")

	topic := servers.Topic(t, 1)
	c := newClient(t, Options{NameServers: servers.Broker() + "," + servers.NameServer(), Group: servers.Group(t), Logger: discard()})
	require.NoError(t, c.Bind(t.Context(), []string{topic}), "and none at all while the other answers")
}

// Who once answered is a name server, whatever it does now: nobody is sent strange bytes in an outage.
func TestNameServerThatAnsweredIsNotDiagnosed(t *testing.T) {
	t.Parallel()
	s := fakemq.Listen(t)
	s.Answer(reqRoute, fakemq.Reply{Code: codeTopicNotExist})
	s.Answer(reqClusterInfo, fakemq.Reply{Body: []byte(`{"brokerAddrTable":{"b":{"brokerAddrs":{"0":"127.0.0.1:1"},"brokerName":"b"}}}`)})
	c := newClient(t, Options{NameServers: s.Address(), Group: "g", Logger: discard(), RequestTimeout: 200 * time.Millisecond})
	require.ErrorIs(t, c.Bind(t.Context(), []string{"a"}), ErrTopicMissing)
	s.Answer(reqRoute, fakemq.Reply{Drop: true})
	before := s.Connections()
	err := c.Bind(t.Context(), []string{"a"})
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotContains(t, err.Error(), "something listens there")
	require.LessOrEqual(t, s.Connections(), before+1, "the probe of the circuit, and nothing else")
}

func TestNameServersByEveryForm(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	topic := servers.Topic(t, 2)
	_, port, err := net.SplitHostPort(servers.NameServer())
	require.NoError(t, err)
	v6 := relayTo(t, servers.NameServer())
	for _, list := range []string{
		"127.0.0.1:" + port, "http://localhost:" + port + "/", " 127.0.0.1:1 ; http://127.0.0.1:" + port + " ", "localhost:1,localhost:" + port, v6, "http://" + v6 + "//",
	} {
		t.Run(list, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{NameServers: list, Group: servers.Group(t), Logger: discard()})
			require.NoError(t, c.Bind(t.Context(), []string{topic}))
			require.Len(t, c.Queues(topic), 2)
		})
	}
}

// relayTo listens on IPv6's loopback and passes everything on.
func relayTo(t *testing.T, to string) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	var working sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		require.NoError(t, l.Close())
		working.Wait()
	})
	working.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			var d net.Dialer
			there, err := d.DialContext(ctx, "tcp", to)
			if err != nil {
				_ = from.Close()
				continue
			}
			stop := context.AfterFunc(ctx, func() { _, _ = from.Close(), there.Close() })
			working.Go(func() { pass(from, there) })
			working.Go(func() {
				pass(there, from)
				stop()
			})
		}
	})
	return l.Addr().String()
}

func pass(from, to net.Conn) {
	_, _ = bufio.NewReader(from).WriteTo(to)
	_, _ = from.Close(), to.Close()
}
