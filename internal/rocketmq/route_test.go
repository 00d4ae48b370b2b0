package rocketmq

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
)

func TestNameServerLists(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]string{
		"127.0.0.1:9876":                 {"127.0.0.1:9876"},
		"a:1;b:2,c:3":                    {"a:1", "b:2", "c:3"},
		" http://mq.example.org:9876/ ;": {"mq.example.org:9876"},
		"[::1]:9876;http://[fe80::1]:1":  {"[::1]:9876", "[fe80::1]:1"},
	} {
		got, err := ParseNameServers(list)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, list := range []string{"", " ; ", "a", "a:", ":9876", "a:0", "a:65536", "a:x", "::1:9876", "https://a:1", "a:1;b"} {
		_, err := ParseNameServers(list)
		require.Error(t, err, list)
	}
}

// What fastjson writes is not JSON: keys of maps are bare numbers.
func TestRouteAsNameServersWriteIt(t *testing.T) {
	t.Parallel()
	for name, addresses := range map[string]string{"fastjson": `{0:"m:1",1:"s:2"}`, "standard": `{"0":"m:1","1":"s:2"}`} {
		route, err := parseRoute(fmt.Appendf(nil, `{"brokerDatas":[{"brokerAddrs":%s,"brokerName":"a","cluster":"c","enableActingMaster":false},`+
			`{"brokerAddrs":{1:"s:9"},"brokerName":"no-master"}],"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,`+
			`"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":3},{"brokerName":"no-master","perm":-1,"readQueueNums":-4,`+
			`"writeQueueNums":2147483647}]}`, addresses))
		require.NoError(t, err, name)
		require.Equal(t, map[string]string{"a": "m:1"}, route.masters, name)
		require.Equal(t, []queueData{{"a", 3, 4, 6}, {"no-master", maxQueues, 0, -1}}, route.queues, name)
		require.False(t, route.static)
	}
	for _, bad := range []string{"", "{", "nonsense", `{"a":}`} {
		_, err := parseRoute([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestAddressesCanBeDialled(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"10.0.0.1:10911": "10.0.0.1:10911", "broker:1": "broker:1", "[::1]:1": "[::1]:1", "fe80::1:10911": "[fe80::1]:10911", "x": "x",
	} {
		require.Equal(t, want, dialable(in))
	}
}

func FuzzQuoteKeys(f *testing.F) {
	f.Add([]byte(`{0:"a:1",-1:{"2":[1,2,3]},"x":-5,"y":"1:2\"3:"}`))
	f.Add([]byte(`{"a\\":1}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		out := quoteKeys(in)
		if json.Valid(in) {
			require.Equal(t, string(in), string(out), "JSON is left alone")
		}
		if gjson.ValidBytes(out) {
			_, _ = parseRoute(in)
			_, _ = parseClusterInfo(in)
		}
	})
}

func TestOnlyWritableQueuesOfMasters(t *testing.T) {
	t.Parallel()
	c, s := fakeClient(t)
	data := fmt.Sprintf(`{"brokerDatas":[{"brokerAddrs":{0:"%s"},"brokerName":"a"},{"brokerAddrs":{0:"127.0.0.1:1"},"brokerName":"dead"},`+
		`{"brokerAddrs":{1:"127.0.0.1:2"},"brokerName":"headless"},{"brokerAddrs":{0:"127.0.0.1:3"},"brokerName":"read-only"}],"queueDatas":[`+
		`{"brokerName":"a","perm":6,"readQueueNums":2,"writeQueueNums":2},{"brokerName":"dead","perm":2,"readQueueNums":1,"writeQueueNums":1},`+
		`{"brokerName":"headless","perm":6,"readQueueNums":1,"writeQueueNums":1},{"brokerName":"read-only","perm":4,"readQueueNums":1,"writeQueueNums":1}]}`,
		s.Address())
	s.Answer(fakemq.Route, fakemq.Reply{Body: []byte(data)})
	require.NoError(t, c.bindRoute(t.Context(), "t"))
	all := []relay.Queue{{Broker: "a", ID: 0}, {Broker: "a", ID: 1}, {Broker: "dead", ID: 0}}
	require.Equal(t, all, c.Routed("t"))
	require.Equal(t, all, c.Queues("t"), "nothing is known against it yet")
	require.Error(t, c.Halves(t.Context(), "127.0.0.1:1", []relay.Half{{Topic: "t", Body: []byte("x")}})[0].Err)
	require.Equal(t, all[:2], c.Queues("t"))
	require.Equal(t, all, c.Routed("t"))
	_, ok := c.Address("dead")
	require.False(t, ok)
	_, ok = c.Address("headless")
	require.False(t, ok)
	address, ok := c.Address("a")
	require.True(t, ok)
	require.Equal(t, s.Address(), address)
	require.Empty(t, c.Queues("other"))
}

func TestTopicsThatMayNotBeWritten(t *testing.T) {
	t.Parallel()
	route := func(perm, write int, addresses string) fakemq.Reply {
		return fakemq.Reply{Body: fmt.Appendf(nil, `{"brokerDatas":[{"brokerAddrs":{%s},"brokerName":"a"}],"queueDatas":[{"brokerName":"a",`+
			`"perm":%d,"readQueueNums":1,"writeQueueNums":%d}]}`, addresses, perm, write)}
	}
	for name, c := range map[string]struct {
		reply fakemq.Reply
		want  error
		text  string
	}{
		"read-only":  {route(4, 1, `0:"x:1"`), ErrNotWritable, "topic t on broker a (permission R): topic may not be written"},
		"no queues":  {route(6, 0, `0:"x:1"`), ErrNotWritable, "(permission RW)"},
		"closed":     {route(0, 1, `0:"x:1"`), ErrNotWritable, "(permission none)"},
		"no master":  {route(6, 1, `1:"x:1"`), ErrUnreachable, "no master"},
		"no brokers": {fakemq.Reply{Body: []byte(`{"brokerDatas":[],"queueDatas":[]}`)}, ErrTopicMissing, "topic t"},
		"busy":       {fakemq.Reply{Code: 2, Remark: "busy"}, ErrUnreachable, "answered 2: busy"},
		"garbage":    {fakemq.Reply{Body: []byte("{")}, nil, "route"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, s := fakeClient(t)
			s.Answer(fakemq.Route, c.reply)
			err := client.Bind(t.Context(), []string{"t"})
			require.ErrorContains(t, err, c.text)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
		})
	}
}

// A name server forgets a topic while all its brokers are down, and everything when it is restarted: no reason to stop.
func TestMissingTopicWithoutBrokersIsTemporary(t *testing.T) {
	t.Parallel()
	c, s := fakeClient(t)
	s.Answer(fakemq.Route, fakemq.Reply{Code: 17})
	require.ErrorIs(t, c.Bind(t.Context(), []string{"t"}), ErrTopicMissing)
	s.Answer(fakemq.ClusterInfo, fakemq.Reply{Body: []byte(`{"brokerAddrTable":{},"clusterAddrTable":{}}`)})
	err := c.Bind(t.Context(), []string{"t"})
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotErrorIs(t, err, ErrTopicMissing)
	s.Answer(fakemq.ClusterInfo, fakemq.Reply{Hangup: true})
	err = c.Bind(t.Context(), []string{"t"})
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotErrorIs(t, err, ErrTopicMissing)
}

func TestNextNameServerIsAsked(t *testing.T) {
	t.Parallel()
	good, empty := fakemq.Listen(t), fakemq.Listen(t)
	good.ServeTopics("a", 1, "t")
	empty.ServeTopics("a", 1)
	c := newClient(t, Options{NameServers: "127.0.0.1:1;" + empty.Address() + ";" + good.Address(), Group: "g", Logger: discard()})
	require.NoError(t, c.bindRoute(t.Context(), "t"))
	require.Len(t, empty.Requests(fakemq.Route), 1)
	require.NoError(t, c.bindRoute(t.Context(), "t"))
	require.Len(t, empty.Requests(fakemq.Route), 1, "the one that knew is asked first the next time")
	require.ErrorIs(t, c.bindRoute(t.Context(), "u"), ErrTopicMissing)
}

// Routes follow the cluster: at once after trouble, and a route that cannot be had stays as it was.
func TestRoutesAreRefreshed(t *testing.T) {
	t.Parallel()
	c, s := fakeClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx)
	}()
	defer func() { cancel(); <-done }()
	asked := func() int { return len(s.Requests(fakemq.Route)) }
	require.Eventually(t, func() bool { return asked() == 2 }, soon, 1e6)

	s.Answer(fakemq.Route, fakemq.Reply{Code: 2})
	c.routes.refreshSoon()
	require.Eventually(t, func() bool { return asked() == 3 }, soon, 1e6)
	require.Len(t, c.Queues("t"), 2)

	s.Answer(fakemq.Route, fakemq.Reply{Code: 17})
	require.Eventually(t, func() bool { return len(c.Queues("t")) == 0 }, soon, 1e6)
	s.ServeTopics("fake", 5, "t")
	require.Eventually(t, func() bool { return len(c.Queues("t")) == 5 }, soon, 1e6)
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"Group":       {NameServers: "a:1", Logger: discard()},
		"Logger":      {NameServers: "a:1", Group: "g"},
		"name server": {Group: "g", Logger: discard()},
		"Connections": {NameServers: "a:1", Group: "g", Logger: discard(), Connections: 6},
		"SendTimeout": {NameServers: "a:1", Group: "g", Logger: discard(), SendTimeout: -1},
		"255":         {NameServers: "a:1", Group: fmt.Sprintf("%0256d", 1), Logger: discard()},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, name)
	}
}

// Trouble that lasts is logged once, and once when it is over.
func TestRouteTroubleIsLoggedOnceForEachChange(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c, s := fakeClient(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&out, nil)) })
	lines := func() int { return strings.Count(out.String(), "topic=t") }
	refresh := func(want int) {
		t.Helper()
		for range 3 {
			c.routes.refresh(t.Context())
		}
		require.Equal(t, want, lines(), out.String())
	}
	refresh(0)
	s.Answer(fakemq.Route, fakemq.Reply{Code: 2, Remark: "busy"})
	refresh(1)
	s.Answer(fakemq.Route, fakemq.Reply{Hangup: true})
	refresh(1)
	s.Answer(fakemq.Route, fakemq.Reply{Code: 17})
	refresh(2)
	s.ServeTopics("fake", 1, "t")
	refresh(3)
	require.Contains(t, out.String(), "known again")
}
