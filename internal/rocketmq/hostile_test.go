package rocketmq

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// FuzzProperties holds that a half whose properties can be encoded is read back as it was, by us and by the official client,
// and that one that cannot is refused.
func FuzzProperties(f *testing.F) {
	f.Add("0A", "dedup key", "tag", "customer", "header", "value", 10)
	f.Add("", "", "", "", "", "", 0)
	f.Add("0A", "a\x01b", "c\x02", "ü", "KEYS", "\x02\x01", -1)
	f.Fuzz(func(t *testing.T, uniqKey, keys, tag, ordering, name, value string, window int) {
		h := relay.Half{
			UniqKey: uniqKey, Keys: keys, Tag: tag, Ordering: ordering, Immunity: time.Duration(window%1000) * time.Second,
			Properties: []relay.Property{{Name: name, Value: value}},
		}
		text, err := appendProperties(nil, &h, "group")
		hostile := strings.ContainsAny(uniqKey+keys+tag+ordering, "\x01\x02") || value != "" && strings.ContainsAny(name+value, "\x01\x02")
		require.Equal(t, hostile, err != nil, "a separator in a property is refused")
		if err != nil {
			return
		}
		m := storedMessage{properties: text}
		want := map[string]string{
			"UNIQ_KEY": uniqKey, "KEYS": keys, "TAGS": tag, "SHARDING_KEY": ordering, "__SHARDINGKEY": ordering,
		}
		if h.Immunity > 0 {
			want["TRAN_MSG"], want["PGROUP"] = "true", "group"
		}
		if system, known := want[name]; known && system == "" {
			delete(want, name) // the relay refuses such a header before it comes here
		} else if !known && name != "CHECK_IMMUNITY_TIME_IN_SECONDS" {
			want[name] = value
		}
		for n, v := range want {
			require.Equal(t, v, string(m.property(n)), "property %q", n)
		}
	})
}

// FuzzStoredProperties reads the properties of a message that anybody may have sent.
func FuzzStoredProperties(f *testing.F) {
	f.Add([]byte("UNIQ_KEY\x01K\x02KEYS\x01a b\x02"), "UNIQ_KEY")
	f.Add([]byte("\x02\x02\x01\x02UNIQ_KEY\x02UNIQ_KEY\x01"), "UNIQ_KEY")
	f.Fuzz(func(t *testing.T, properties []byte, name string) {
		m := storedMessage{properties: properties}
		if v := m.property(name); v != nil {
			require.Contains(t, string(properties), name+"\x01"+string(v))
		}
	})
}

func FuzzLogOffset(f *testing.F) {
	f.Add([]byte("7F00000100002A9F00000000000003E8"))
	f.Add([]byte("7F00000100002A9FFFFFFFFFFFFFFFFF"))
	f.Add([]byte(strings.Repeat("0", 56)))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, id []byte) {
		offset, err := logOffset(id)
		if err == nil {
			require.GreaterOrEqual(t, offset, int64(0))
		}
	})
}

// FuzzHalfAnswer reads what a broker may answer to a half. Stored without offsets there is none, and success is not claimed.
func FuzzHalfAnswer(f *testing.F) {
	f.Add(false, int16(0), "7F00000100002A9F00000000000003E8", "5")
	f.Add(true, int16(10), "", "")
	f.Add(false, int16(0), "no id", "-7")
	f.Fuzz(func(t *testing.T, asJSON bool, code int16, id, offset string) {
		e := remoting.Encoder{JSON: asJSON}
		e.Begin(int(code), remoting.FlagResponse, 1, "")
		e.String("msgId", id)
		e.String("queueOffset", offset)
		require.NoError(t, e.End(nil))
		var c remoting.Command
		require.NoError(t, c.Decode(e.Bytes()[4:]))
		a := halfAnswer(remoting.Reply{Response: &c})
		if a.Stored {
			require.GreaterOrEqual(t, a.HalfOffset, int64(0))
			require.GreaterOrEqual(t, a.LogOffset, int64(0))
		} else if code == codeSuccess {
			require.Error(t, a.Err)
		}
	})
}

func FuzzBrokerConfig(f *testing.F) {
	f.Add([]byte("transactionTimeOut=6000\nslaveTimeout = 3000\nfileReservedTime=72\nflushDiskType=SYNC_FLUSH\n"), "V5_3_3")
	f.Add([]byte("transactionTimeOut=9223372036854775807\nsyncFlushTimeout=-1\nmaxMessageSize=x\n=\n==\n\x00"), "V5_1")
	f.Add([]byte("fileReservedTime=2562048"), "V99999999999999999999_1_1")
	f.Fuzz(func(t *testing.T, text []byte, version string) {
		b := BrokerConfig{Version: version}
		b.read(text)
		_ = b.HasFence()
		for _, d := range []time.Duration{b.TransactionTimeout, b.SlaveTimeout, b.SyncFlushTimeout, b.FileReservedTime} {
			require.GreaterOrEqual(t, d, time.Duration(0))
		}
	})
}

// FuzzRoute reads what a name server may answer.
func FuzzRoute(f *testing.F) {
	f.Add([]byte(`{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911",1:"[::1]:1"},"brokerName":"a"}],"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"writeQueueNums":4}]}`))
	f.Add([]byte(`{"brokerDatas":{},"queueDatas":[{"perm":-1,"writeQueueNums":9223372036854775807,"readQueueNums":-5}],"topicQueueMappingByBroker":{"a":null}}`))
	f.Add([]byte(`{"brokerAddrTable":{"a":{"brokerAddrs":{0:7},"brokerName":null}}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, err := parseRoute(body); err == nil {
			for _, q := range r.queues {
				require.True(t, q.read >= 0 && q.read <= maxQueues && q.write >= 0 && q.write <= maxQueues)
			}
			_ = permText(int(math.MaxInt32))
		}
		_, _ = parseClusterInfo(body)
	})
}

// FuzzNameServerList holds that a list that is taken names servers that can be dialled, and reads the same again.
func FuzzNameServerList(f *testing.F) {
	for _, list := range []string{"127.0.0.1:9876", "a:1;b:2,c:3", " http://mq.example.org:9876/ ;", "[::1]:9876", "a:0", "a:65536", ";;", "http://"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		servers, err := ParseNameServers(list)
		if err != nil {
			return
		}
		require.NotEmpty(t, servers)
		again, err := ParseNameServers(strings.Join(servers, ";"))
		require.NoError(t, err)
		require.Equal(t, servers, again)
	})
}

// FuzzCheckedHalf reads what a broker may ask about.
func FuzzCheckedHalf(f *testing.F) {
	f.Add("0A", "outbox", "10", "1", int64(1_700_000_000_000))
	f.Add("", "", "99999999999999999999", "-1", int64(math.MinInt64))
	f.Add("", "", "-10", "x", int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, uniqKey, origin, window, checks string, born int64) {
		if strings.ContainsAny(uniqKey+origin+window+checks, "\x01\x02") {
			return // another property
		}
		h := checkedHalf(&storedMessage{born: time.UnixMilli(born), properties: []byte("UNIQ_KEY\x01" + uniqKey + "\x02outbox-origin\x01" + origin +
			"\x02CHECK_IMMUNITY_TIME_IN_SECONDS\x01" + window + "\x02TRANSACTION_CHECK_TIMES\x01" + checks + "\x02")})
		require.Equal(t, uniqKey, h.UniqKey)
		require.Equal(t, origin, h.Origin)
		require.GreaterOrEqual(t, h.Window, time.Duration(0))
		require.GreaterOrEqual(t, h.Checks, 0)
	})
}
