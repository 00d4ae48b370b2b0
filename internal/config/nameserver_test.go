package config

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNameServer(t *testing.T) {
	t.Parallel()
	const (
		form = "must be host:port, or http:// before it"
		port = "must be host:port with a port from 1 to 65535, or http:// before it"
		tls  = "must be host:port or http://host:port; for TLS, set tls.enabled"
	)
	for _, test := range []struct{ given, want, rule string }{
		{given: "ns:9876", want: "ns:9876"},
		{given: "ns:1", want: "ns:1"},
		{given: "ns:65535", want: "ns:65535"},
		{given: "http://ns:9876", want: "ns:9876"},
		{given: "http://ns:9876/", want: "ns:9876"},
		{given: "ns:9876/", want: "ns:9876"},
		{given: "[::1]:9876", want: "[::1]:9876"},
		{given: "[fe80::1%eth0]:9876", want: "[fe80::1%eth0]:9876"},
		{given: "namesrv_1.rocketmq.svc.cluster.local:9876", want: "namesrv_1.rocketmq.svc.cluster.local:9876"},

		{given: "", rule: form},
		{given: "ns", rule: form},
		{given: "::1:9876", rule: form},
		{given: ":9876", rule: form},
		{given: "[]:9876", rule: form},
		{given: "http://", rule: form},
		{given: "http://ns", rule: form},
		{given: "http://http://ns:9876", rule: form},
		{given: "tcp://ns:9876", rule: form},
		{given: "user:secret@ns:9876", rule: form},
		{given: "user@ns:9876", rule: form},
		{given: "ns?a=b:9876", rule: form},
		{given: "ns#a:9876", rule: form},
		{given: "two words:9876", rule: form},
		{given: "tab\there:9876", rule: form},
		{given: "line\nbreak:9876", rule: form},
		{given: "zero\x00:9876", rule: form},
		// The client is given one text with ; between the servers: these would become two.
		{given: "a;b:9876", rule: form},
		{given: "a,b:9876", rule: form},

		{given: "ns:", rule: port},
		{given: "ns:0", rule: port},
		{given: "ns:-1", rule: port},
		{given: "ns:+9876", rule: port},
		{given: "ns:65536", rule: port},
		{given: "ns:99999999999999999999", rule: port},
		{given: "ns:0x50", rule: port},
		{given: "ns:http", rule: port},
		{given: "ns:9876/path", rule: port},
		{given: "http://ns:9876//", rule: port},

		{given: "https://ns:9876", rule: tls},
		{given: "https://", rule: tls},
	} {
		got, rule := nameServer(test.given)
		require.Equal(t, test.rule, rule, "%q", test.given)
		require.Equal(t, test.want, got, "%q", test.given)
	}
}

func TestNameServersAreSeparatedAsUsersWriteThem(t *testing.T) {
	t.Parallel()
	want := []string{"a:1", "b:2"}
	for _, raw := range []any{
		"a:1;b:2", "a:1,b:2", " a:1 ; b:2 ", ";;a:1;,b:2,", "a:1,\n  b:2\n", "http://a:1,http://b:2/", []any{"a:1", " b:2 "},
	} {
		got, faults := nameServers().parse(raw)
		require.Empty(t, faults, "%q", raw)
		require.Equal(t, want, got, "%q", raw)
	}
	for _, raw := range []any{map[string]any{"a": 1}, nil} {
		_, faults := nameServers().parse(raw)
		require.Equal(t, []fault{{rule: "must be a list, or text separated by ; or ,"}}, faults)
	}
}

// Each wrong item is named by its place, and the right ones between them do not shift it.
func TestEveryWrongNameServerIsNamed(t *testing.T) {
	t.Parallel()
	_, faults := nameServers().parse([]any{"a:1", "b", 7, "c:3", nil, []any{"d:4"}, "https://e:5"})
	var paths, values []string
	for _, f := range faults {
		paths, values = append(paths, f.path), append(values, f.value)
	}
	require.Equal(t, []string{"[1]", "[2]", "[4]", "[5]", "[6]"}, paths)
	require.Equal(t, []string{"b", "7", "", "", "https://e:5"}, values)
}

func TestAnyServersComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		host := rapid.OneOf(
			rapid.StringMatching(`[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?`),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 4, 4), func(b []byte) string { return net.IP(b).String() }),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) string { return net.IP(b).String() }),
		)
		var servers []string
		for range rapid.IntRange(1, 5).Draw(t, "count") {
			servers = append(servers, net.JoinHostPort(host.Draw(t, "host"), fmt.Sprint(rapid.IntRange(1, 65535).Draw(t, "port"))))
		}
		got, faults := nameServers().parse(nameServers().show(servers))
		if len(faults) > 0 || fmt.Sprint(got) != fmt.Sprint(servers) {
			t.Fatalf("%q became %q, %v", servers, got, faults)
		}
	})
}

func FuzzNameServers(f *testing.F) {
	f.Add("ns1:9876;ns2:9876")
	f.Add("http://ns:9876/, [::1]:1")
	f.Add("https://ns:9876")
	f.Add("ns:+1;:1;ns:")
	f.Add("user:hunter2@ns:9876")
	f.Fuzz(func(t *testing.T, text string) {
		servers, faults := nameServers().parse(text)
		for _, f := range faults {
			require.True(t, strings.HasPrefix(f.rule, "must be host:port"), f.rule)
		}
		if len(faults) > 0 {
			return
		}
		for _, server := range servers {
			host, port, err := net.SplitHostPort(server)
			require.NoError(t, err)
			require.NotEmpty(t, host)
			require.Regexp(t, `^[0-9]+$`, port)
			require.False(t, strings.ContainsAny(server, ";,@/ \t\n\x00"), "%q", server)
		}
		again, faults := nameServers().parse(nameServers().show(servers))
		require.Empty(t, faults)
		require.Equal(t, servers, again)
	})
}

func TestListenAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		raw  any
		want string
		bad  bool
	}{
		{raw: ":9090", want: ":9090"},
		{raw: ":0", want: ":0"},
		{raw: "127.0.0.1:9090", want: "127.0.0.1:9090"},
		{raw: "[::]:9090", want: "[::]:9090"},
		{raw: " localhost:80 ", want: "localhost:80"},
		{raw: "off"},
		{raw: ""},
		{raw: false}, // YAML 1.1 reads off as this
		{raw: true, bad: true},
		{raw: 9090, bad: true},
		{raw: "9090", bad: true},
		{raw: "localhost", bad: true},
		{raw: ":-1", bad: true},
		{raw: ":+1", bad: true},
		{raw: ":65536", bad: true},
		{raw: "http://localhost:9090", bad: true},
		{raw: "localhost:9090/metrics", bad: true},
		{raw: "OFF:", bad: true},
		{raw: []any{":9090"}, bad: true},
		{raw: nil, bad: true},
	} {
		got, faults := listenAddress().parse(test.raw)
		require.Equal(t, test.bad, len(faults) > 0, "%v", test.raw)
		require.Equal(t, test.want, got, "%v", test.raw)
	}
	require.Equal(t, "off", listenAddress().show(""))
	require.Equal(t, ":9090", listenAddress().show(":9090"))
}
