package rocketmq

import (
	"bytes"
	"log/slog"
	"regexp"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/fakemq"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// producersOf waits until the broker lists as many producers of a group as the bench has, and returns their client ids.
func producersOf(t *testing.T, b *bench, group string) []string {
	t.Helper()
	var ids []string
	require.Eventually(t, func() bool { // the first heartbeat comes a second after the start
		cmd, err := b.brokers.Call(t.Context(), b.address, soon, func(batch *remoting.Batch) error {
			batch.Begin(204) // GET_PRODUCER_CONNECTION_LIST
			batch.String("producerGroup", group)
			return batch.End(nil)
		})
		require.NoError(t, err)
		if cmd.Code != codeSuccess {
			return false
		}
		root, err := parseFastjson(cmd.Body)
		require.NoError(t, err)
		ids = nil
		for _, id := range root.Get("connectionSet.#.clientId").Array() {
			ids = append(ids, id.String())
		}
		return len(ids) >= len(b.ClientIDs())
	}, soon, 20*time.Millisecond)
	slices.Sort(ids)
	return ids
}

// Three producers of one group, each under a client id of its own, and each is asked about half messages.
func TestSeveralProducersAreSeveralClients(t *testing.T) {
	t.Parallel()
	var made atomic.Int32
	var seen asked
	var answering [3]atomic.Int32
	b := newBench(t, 1, func(o *Options) {
		o.Instance, o.Producers = "pod-7", 3
		o.OnProducer = func() { made.Add(1) }
		o.OnCheck = seen.add
		o.Check = func(txcheck.Half) txcheck.Answer { return txcheck.Rollback }
	})
	require.EqualValues(t, 3, made.Load())
	ids := b.ClientIDs()
	require.Len(t, ids, 3)
	require.Regexp(t, `@pod-7#[0-9a-f]{8}$`, ids[0])
	require.Regexp(t, `@pod-7-2#[0-9a-f]{8}$`, ids[1])
	require.Regexp(t, `@pod-7-3#[0-9a-f]{8}$`, ids[2])
	require.Equal(t, ids[0]+","+ids[1]+","+ids[2], b.ClientID())
	slices.Sort(ids)
	require.Equal(t, ids, producersOf(t, b, b.group))

	for i, each := range b.session.each { // the broker asks them in turn
		check := each.checks.check
		each.checks.running.Lock()
		each.checks.check = func(h txcheck.Half) txcheck.Answer {
			answering[i].Add(1)
			return check(h)
		}
		each.checks.running.Unlock()
	}
	require.Eventually(t, func() bool {
		h := b.half()
		h.Immunity = time.Second
		b.store(h)
		return answering[0].Load() > 0 && answering[1].Load() > 0 && answering[2].Load() > 0
	}, soon, 20*time.Millisecond)
}

// A02: whatever fails, and however often it connects anew, no further producer is made.
func TestFailuresMakeNoProducers(t *testing.T) {
	t.Parallel()
	var made atomic.Int32
	b := newBench(t, 1, func(o *Options) { o.OnProducer = func() { made.Add(1) } })
	broken := fakemq.Listen(t)
	for i := range 1000 {
		switch i % 3 {
		case 0:
			broken.Answer(reqSendMessageV2, fakemq.Reply{Code: 1, Remark: "no"})
		case 1:
			broken.Answer(reqSendMessageV2, fakemq.Reply{Hangup: true})
		case 2:
			broken.Answer(reqSendMessageV2, fakemq.Reply{Raw: []byte("nonsense nonsense")})
		}
		a := b.Halves(t.Context(), broken.Address(), []relay.Half{b.half()})[0]
		require.True(t, a.Err != nil || a.Code == 1)
		if i%100 == 0 {
			require.NoError(t, b.Bind(t.Context(), []string{b.topic}))
		}
	}
	require.Greater(t, broken.Connections(), 300, "it did connect anew")
	require.EqualValues(t, 1, made.Load())
	require.Equal(t, b.ClientIDs(), producersOf(t, b, b.group))
}

func TestProducersAreOneToFive(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 6} {
		_, err := New(Options{NameServers: "a:1", Group: "g", Producers: n, Logger: discard()})
		require.ErrorContains(t, err, "must be 1 to 5")
	}
}

func TestEveryLineHasTheClientID(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c, err := New(Options{NameServers: "127.0.0.1:1", Group: "g", Instance: "pod-7", Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	c.circuitChanged("b:1", remoting.ErrLost)
	c.routes.report("orders", ErrTopicMissing)
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	require.Len(t, lines, 2)
	for _, line := range lines {
		require.Regexp(t, `"client_id":"`+regexp.QuoteMeta(c.ClientIDs()[0])+`"`, string(line))
	}
}
