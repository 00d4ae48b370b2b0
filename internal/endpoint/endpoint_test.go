package endpoint

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAddressesAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"ns:9876":                    "ns:9876",
		" ns:9876\n":                 "ns:9876",
		"10.1.2.3:9876":              "10.1.2.3:9876",
		"[::1]:9876":                 "[::1]:9876",
		"[fe80::1%eth0]:9876":        "[fe80::1%eth0]:9876",
		"http://[2001:db8::1]:9876/": "[2001:db8::1]:9876",
		"http://ns:9876":             "ns:9876",
		"HTTP://ns:9876///":          "ns:9876",
		"namesrv_1.rocketmq.svc.cluster.local:9876": "namesrv_1.rocketmq.svc.cluster.local:9876",
		// ApsaraMQ, as its consoles show them.
		"http://MQ_INST_1234567890123456_BXabcdef.mq-internet-access.mq-internet.aliyuncs.com:80": "MQ_INST_1234567890123456_BXabcdef.mq-internet-access.mq-internet.aliyuncs.com:80",
		"http://MQ_INST_1234567890123456_BXabcdef.cn-hangzhou.mq-internal.aliyuncs.com:8080":      "MQ_INST_1234567890123456_BXabcdef.cn-hangzhou.mq-internal.aliyuncs.com:8080",
		"http://MQ_INST_1_B.cn-hangzhou.mq.aliyuncs.com":                                          "MQ_INST_1_B.cn-hangzhou.mq.aliyuncs.com:80",
		"rmq-cn-7pp2abcdefg.cn-hangzhou.rmq.aliyuncs.com:8080":                                    "rmq-cn-7pp2abcdefg.cn-hangzhou.rmq.aliyuncs.com:8080",
		"rmq-cn-7pp2abcdefg-vpc.cn-hangzhou.rmq.aliyuncs.com":                                     "rmq-cn-7pp2abcdefg-vpc.cn-hangzhou.rmq.aliyuncs.com:8080",
	} {
		got, err := Parse(given)
		require.NoError(t, err, given)
		require.Equal(t, want, got, given)
	}
}

// Each mistake is one that a new user makes; the rule must be enough to mend it.
func TestMistakesInAddresses(t *testing.T) {
	t.Parallel()
	for given, rule := range map[string]string{
		"":                               "must be host:port, or http:// before it",
		"two words:9876":                 "must be host:port, or http:// before it",
		":9876":                          "must be host:port, or http:// before it",
		"http://":                        "must be host:port, or http:// before it",
		"a;b:9876":                       "must be host:port, or http:// before it",
		"ns":                             "the port is missing, and is 9876 unless",
		"http://ns":                      "the port is missing, and is 9876 unless",
		"192.168.0.7":                    "the port is missing, and is 9876 unless",
		"https://ns:9876":                "name servers do not speak HTTPS; for TLS, write host:port",
		"rocketmq://ns:9876":             "not rocketmq://",
		"http://http://ns:9876":          "nothing after it",
		"::1:9876":                       "into brackets, such as [::1]:9876",
		"2001:db8::1":                    "into brackets, such as [::1]:9876",
		"[::1]":                          "such as [::1]:9876",
		"[ns]:9876":                      "only an IPv6 address goes into brackets",
		"[10.0.0.1]:9876":                "only an IPv6 address goes into brackets",
		"[]:9876":                        "must be host:port, or http:// before it",
		"user:secret@ns:9876":            "access key and secret are settings of their own",
		"http://ns:9876/rocketmq/nsaddr": "a path belongs to an address server",
		"ns:9876?unit=x":                 "nothing after it",
		"ns:":                            "a port from 1 to 65535",
		"ns:0":                           "a port from 1 to 65535",
		"ns:65536":                       "a port from 1 to 65535",
		"ns:http":                        "a port from 1 to 65535",
		"http://MQ_INST_1_B.cn-hangzhou.mq.aliyuncs.com:x": "a port from 1 to 65535",
	} {
		_, err := Parse(given)
		require.ErrorContains(t, err, rule, given)
		require.True(t, strings.HasPrefix(err.Error(), "must be host:port"), given)
		require.NotContains(t, err.Error(), "secret@")
	}
}

func TestSplitTakesEverySeparator(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a:1", "b:2", "c:3", "d:4"}, Split(" a:1;b:2, c:3\n\td:4 ;,"))
	require.Empty(t, Split(" ;, "))
}

func TestParsedAddressIsItsOwnForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`(http://)?\[?[a-z0-9:.%]{0,12}\]?:?[0-9]{0,6}/?`)).Draw(t, "address")
		address, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(address)
		if err != nil || again != address {
			t.Fatalf("%q became %q and then %q, %v", s, address, again, err)
		}
		if host, _, err := net.SplitHostPort(address); err != nil || host == "" {
			t.Fatalf("%q became %q", s, address)
		}
	})
}

func TestNamespaceOfAnEndpoint(t *testing.T) {
	t.Parallel()
	for address, namespace := range map[string]string{
		"MQ_INST_1234567890123456_BXabcdef.mq-internet-access.mq-internet.aliyuncs.com:80": "MQ_INST_1234567890123456_BXabcdef",
		"MQ_INST_1_B.cn-hangzhou.mq.aliyuncs.com":                                          "MQ_INST_1_B",
		"rmq-cn-7pp2abcdefg.cn-hangzhou.rmq.aliyuncs.com:8080":                             "",
		"MQ_INST_1.example.com:80":                                                         "", // without the account's part it is none
		"ns:9876":                                                                          "",
		"onsaddr.mq-internet-access.mq-internet.aliyuncs.com:80":                           "",
	} {
		require.Equal(t, namespace, Namespace(address), address)
		require.Equal(t, namespace != "", Version4(address), address)
	}
	require.True(t, Version5("rmq-cn-7pp2abcdefg.cn-hangzhou.rmq.aliyuncs.com:8080"))
	require.True(t, Version5("ep-rmq-cn-1.cn-beijing.rmq.aliyuncs.com"))
	require.False(t, Version5("MQ_INST_1_B.cn-hangzhou.mq.aliyuncs.com:80"))
	require.False(t, Version5("rmq-cn-1.example.com:8080"))
}

func TestNamesGetTheNamespaceOnce(t *testing.T) {
	t.Parallel()
	names, err := NewNames("MQ_INST_1_B")
	require.NoError(t, err)
	for given, wire := range map[string]string{
		"orders":                     "MQ_INST_1_B%orders",
		"MQ_INST_1_B%orders":         "MQ_INST_1_B%orders",
		"MQ_INST_2_C%orders":         "MQ_INST_1_B%MQ_INST_2_C%orders", // another one's: a name like any other
		"MQ_INST_1_Border":           "MQ_INST_1_B%MQ_INST_1_Border",
		"RMQ_SYS_TRACE_TOPIC":        "RMQ_SYS_TRACE_TOPIC",
		"rmq_sys_TRACE_DATA_cn":      "rmq_sys_TRACE_DATA_cn",
		"TOOLS_CONSUMER":             "TOOLS_CONSUMER",
		"TRANS_CHECK_MAX_TIME_TOPIC": "TRANS_CHECK_MAX_TIME_TOPIC",
	} {
		require.Equal(t, wire, names.Wire(given))
		require.Equal(t, wire, names.Wire(names.Wire(given)), "once, however often it is asked for")
	}
	require.Equal(t, "orders", names.Plain("MQ_INST_1_B%orders"))
	require.Equal(t, "orders", names.Plain("orders"))

	none, err := NewNames("")
	require.NoError(t, err)
	require.Equal(t, "orders", none.Wire("orders"))
	require.Equal(t, "a%orders", none.Plain("a%orders"))

	for _, bad := range []string{"a%b", "a b", "ä", strings.Repeat("n", 65)} {
		_, err := NewNames(bad)
		require.ErrorContains(t, err, "must be 1 to 64 letters", bad)
	}
}
