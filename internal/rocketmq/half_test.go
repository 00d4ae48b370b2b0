package rocketmq

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// What a consumer sees is what was given, and our UNIQ_KEY is kept.
func TestCommittedMessageCarriesWhatItWasGiven(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	h := b.half()
	h.Queue = 1
	h.Ordering = "customer 7"
	h.Properties = append(h.Properties, relay.Property{Name: txcheck.OriginProperty, Value: "o"}, relay.Property{Name: "ü", Value: "é 日本"})
	require.Zero(t, b.commit(b.store(h)).Code)
	b.caughtUp()
	cmd, err := b.pull(t.Context(), b.address, relay.TopicQueue{Topic: b.topic, Queue: 1}, 0, 1)
	require.NoError(t, err)
	m := primitive.DecodeMessage(cmd.Body)[0]
	require.Equal(t, "body", string(m.Body))
	require.Equal(t, b.topic, m.Topic)
	require.Equal(t, h.UniqKey, m.MsgId)
	require.Equal(t, h.Born.UnixMilli(), m.BornTimestamp)
	for name, value := range map[string]string{
		"UNIQ_KEY": h.UniqKey, "KEYS": "dedup-1 business-2", "TAGS": "T", "outbox-id": "42", "outbox-origin": "o", "ü": "é 日本",
		"SHARDING_KEY": "customer 7", "__SHARDINGKEY": "customer 7", "PGROUP": b.group, "CHECK_IMMUNITY_TIME_IN_SECONDS": "10", "WAIT": "",
	} {
		require.Equal(t, value, m.GetProperty(name), name)
	}
}

func TestBrokerLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	empty, noQueue := 1, 29
	switch stack.RocketMQVersion() {
	case stack.RocketMQ49:
		empty, noQueue = 0, 1 // stored; the relay's own rule stands before it
	case stack.RocketMQ51:
		noQueue = 1
	}
	for name, c := range map[string]struct {
		change func(*relay.Half)
		code   int
	}{
		"largest body":        {func(h *relay.Half) { h.Body = make([]byte, 4<<20) }, 0},
		"body too large":      {func(h *relay.Half) { h.Body = make([]byte, 4<<20+1) }, codeMessageIllegal},
		"long properties":     {func(h *relay.Half) { h.Properties[0].Value = strings.Repeat("x", 32000) }, 0},
		"too long properties": {func(h *relay.Half) { h.Properties[0].Value = strings.Repeat("x", 32700) }, codeMessageIllegal},
		"empty body":          {func(h *relay.Half) { h.Body = nil }, empty},
		"no such topic":       {func(h *relay.Half) { h.Topic = "no-such-topic" }, codeTopicNotExist},
		"no such queue":       {func(h *relay.Half) { h.Queue = 99 }, noQueue},
	} {
		h := b.half()
		c.change(&h)
		a := b.send(h)
		require.NoError(t, a.Err, name)
		require.Equal(t, c.code, a.Code, "%s: %s", name, a.Remark)
		require.Equal(t, c.code == 0, a.Stored, name)
	}
}

// A frame over the protocol's limit would make the broker close the connection with everything in flight on it.
func TestHalfThatNoFrameCanHoldIsRefusedHere(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	halves := []relay.Half{b.half(), b.half(), b.half(), b.half()}
	halves[1].Body = make([]byte, remoting.MaxFrame)
	halves[2].Tag = "a\x01b\x02c"
	a := b.Halves(t.Context(), b.address, halves)
	for _, i := range []int{0, 3} {
		require.NoError(t, a[i].Err)
		require.NotContains(t, a[i].Remark, "not sent")
	}
	for _, i := range []int{1, 2} {
		require.NoError(t, a[i].Err)
		require.Equal(t, codeMessageIllegal, a[i].Code)
		require.Contains(t, a[i].Remark, "not sent")
		require.False(t, a[i].Stored)
	}
}

func TestHalfToNobody(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{NameServers: "127.0.0.1:1", Group: "g", Logger: discard()})
	h := relay.Half{Topic: "t", Body: []byte("x")}
	for _, a := range c.Halves(t.Context(), "127.0.0.1:1", []relay.Half{h, h}) {
		require.ErrorIs(t, a.Err, remoting.ErrUnreachable)
		require.False(t, a.Sent)
		require.False(t, a.Stored)
	}
	require.Empty(t, c.Halves(t.Context(), "127.0.0.1:1", nil))
}

// fakeClient is a client of a scripted peer with the topic t.
func fakeClient(t testing.TB, change ...func(*Options)) (*Client, *fakemq.Server) {
	t.Helper()
	s := fakemq.Listen(t)
	s.ServeTopics("fake", 2, "t")
	o := Options{NameServers: s.Address(), Group: "g", Logger: discard()}
	for _, f := range change {
		f(&o)
	}
	c := newClient(t, o)
	require.NoError(t, c.bindRoute(t.Context(), "t"))
	return c, s
}

// Codes that a healthy broker does not give.
func TestEveryCodeOfAHalf(t *testing.T) {
	t.Parallel()
	for code, stored := range map[int]bool{0: true, 10: true, 11: true, 12: true, 1: false, 2: false, 13: false, 14: false, 16: false, 17: false, 215: false} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			c, s := fakeClient(t)
			s.Handle(fakemq.SendMessageV2, func(r fakemq.Request) fakemq.Reply {
				if stored {
					return s.Stored(code, 77, r)
				}
				return fakemq.Reply{Code: code, Remark: "why"}
			})
			a := c.Halves(t.Context(), s.Address(), []relay.Half{{Topic: "t", UniqKey: uniqKey(), Born: time.Now(), Body: []byte("x")}})[0]
			require.NoError(t, a.Err)
			require.Equal(t, code, a.Code)
			require.Equal(t, stored, a.Stored)
			if stored {
				require.Equal(t, int64(77), a.HalfOffset)
				require.Equal(t, int64(77000), a.LogOffset)
			} else {
				require.Equal(t, "why", a.Remark)
			}
		})
	}
}

func TestAnswerWithoutOffsets(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]map[string]string{
		"none":             {},
		"no offset":        {"msgId": strings.Repeat("0", 32)},
		"no id":            {"queueOffset": "1"},
		"offset no number": {"msgId": strings.Repeat("0", 32), "queueOffset": "x"},
		"id too short":     {"msgId": "00", "queueOffset": "1"},
		"id no hex":        {"msgId": strings.Repeat("z", 32), "queueOffset": "1"},
		"negative":         {"msgId": strings.Repeat("F", 32), "queueOffset": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := fakeClient(t)
			s.Answer(fakemq.SendMessageV2, fakemq.Reply{Fields: fields})
			a := c.Halves(t.Context(), s.Address(), []relay.Half{{Topic: "t", Body: []byte("x")}})[0]
			require.Error(t, a.Err)
			require.True(t, a.Sent, "as good as unanswered")
			require.False(t, a.Stored)

			s.Answer(fakemq.SendMessageV2, fakemq.Reply{Code: 12, Fields: fields})
			a = c.Halves(t.Context(), s.Address(), []relay.Half{{Topic: "t", Body: []byte("x")}})[0]
			require.NoError(t, a.Err)
			require.Equal(t, 12, a.Code)
			require.False(t, a.Stored)
		})
	}
}

func TestLogOffsetOfAMessageID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]int64{
		"7F00000100002A9F0000000000000400":                                   1024,
		"7F00000100002A9F00000000ABCDEF01":                                   0xabcdef01,
		"20010DB8000000000000000000000001" + "00002A9F" + "0000000000000400": 1024, // IPv6
	} {
		got, err := logOffset([]byte(id))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// The fields that a broker needs are there, and nothing asks it not to wait for disk and slave.
func TestHalfOnTheWire(t *testing.T) {
	t.Parallel()
	for name, asJSON := range map[string]bool{"binary": false, "JSON": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := fakeClient(t, func(o *Options) { o.JSON = asJSON })
			born := time.UnixMilli(1700000000123)
			require.True(t, c.Halves(t.Context(), s.Address(), []relay.Half{{
				Topic: "t", Queue: 1, UniqKey: "KEY", Born: born, Immunity: 90 * time.Second, Keys: "k", Body: []byte("body"),
			}})[0].Stored)
			r := s.Requests(fakemq.SendMessageV2)[0]
			for name, value := range map[string]string{
				"a": "g", "b": "t", "e": "1", "f": "4", "g": "1700000000123", "h": "0", "m": "false",
				"i": "TRAN_MSG\x01true\x02PGROUP\x01g\x02UNIQ_KEY\x01KEY\x02KEYS\x01k\x02CHECK_IMMUNITY_TIME_IN_SECONDS\x0190\x02",
			} {
				require.Equal(t, value, r.Field(name), name)
			}
			require.Equal(t, "body", string(r.Body))
		})
	}
}
