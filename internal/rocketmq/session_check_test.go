package rocketmq

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// A session is registered from Bind to Close, is asked, and is heard.
func TestSession(t *testing.T) {
	t.Parallel()
	var seen asked
	b := newBench(t, 1, func(o *Options) {
		o.Instance, o.OnCheck = "pod-8", seen.add
		o.Check = func(h txcheck.Half) txcheck.Answer {
			if h.Origin == "commit" {
				return txcheck.Commit
			}
			return txcheck.Rollback
		}
	})
	require.Regexp(t, `^[0-9.]*@pod-8#[0-9a-f]{8}$`, b.ClientID())
	require.Equal(t, []string{b.ClientID()}, b.producers(), "it is registered when Bind returns")

	committed, rolledBack := b.half(), b.half()
	committed.Immunity, rolledBack.Immunity = time.Second, time.Second
	committed.Properties = append(committed.Properties, relay.Property{Name: txcheck.OriginProperty, Value: "commit"})
	b.storeAll([]relay.Half{committed, rolledBack})
	require.Eventually(t, func() bool {
		return seen.count(committed.UniqKey) > 0 && seen.count(rolledBack.UniqKey) > 0 && len(b.keys(0)) > 0
	}, 2*soon, 10*time.Millisecond)
	b.caughtUp()
	require.Contains(t, b.keys(0), committed.UniqKey)
	require.NotContains(t, b.keys(0), rolledBack.UniqKey)
	half, _ := seen.of(rolledBack.UniqKey)
	require.Equal(t, []any{b.topic, b.group, time.Second, rolledBack.Born.UnixMilli()}, []any{half.Topic, half.Group, half.Window, half.Born.UnixMilli()})

	other := newBench(t, 1)
	require.NoError(t, b.session.close())
	other.group = b.group
	require.Empty(t, other.producers(), "it is unregistered when close returns")
	b.session = nil
}

// producers are the group's producers as the broker knows them.
func (b *bench) producers() []string {
	b.t.Helper()
	cmd, err := b.brokers.Call(b.t.Context(), b.address, soon, func(batch *remoting.Batch) error {
		batch.Begin(204) // GET_PRODUCER_CONNECTION_LIST
		batch.String("producerGroup", b.group)
		return batch.End(nil)
	})
	require.NoError(b.t, err)
	if cmd.Code != codeSuccess {
		return nil
	}
	root, err := parseFastjson(cmd.Body)
	require.NoError(b.t, err)
	var all []string
	for _, id := range root.Get("connectionSet.#.clientId").Array() {
		all = append(all, id.String())
	}
	return all
}

// A check-back that cannot be read, or a half that is none, ends nothing.
func TestHostileCheckBacks(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(e *remoting.Encoder) []byte{
		"no fields": func(*remoting.Encoder) []byte { return nil },
		"no body": func(e *remoting.Encoder) []byte {
			e.Int("tranStateTableOffset", 1)
			e.Int("commitLogOffset", 1)
			return nil
		},
		"half a message": func(e *remoting.Encoder) []byte {
			e.Int("tranStateTableOffset", 1)
			e.Int("commitLogOffset", 1)
			return []byte{0, 0, 0, 99, 1, 2, 3, 4, 5, 6}
		},
		"lengths beyond the end": func(e *remoting.Encoder) []byte {
			e.Int("tranStateTableOffset", 1)
			e.Int("commitLogOffset", 1)
			return append([]byte{0, 0, 0, 91}, []byte(strings.Repeat("\x7f", 87))...)
		},
	} {
		var e remoting.Encoder
		e.Begin(reqCheckTransactionState, remoting.FlagOneway, 1, "")
		require.NoError(t, e.End(fill(&e)))
		frame, err := remoting.NewFrameReader(strings.NewReader(string(e.Bytes()))).Next()
		require.NoError(t, err)
		var cmd remoting.Command
		require.NoError(t, cmd.Decode(frame))
		_, err = decodeCheckback("broker:1", &cmd)
		require.Error(t, err, name)
	}
}

// What brokers ask faster than it can be answered is dropped, and costs neither goroutines nor memory without bound: a broker
// that was killed asks about everything of its last seconds at once.
func TestFloodOfCheckBacksIsBounded(t *testing.T) {
	t.Parallel()
	const flood = 5 * checksWaiting
	held, release := make(chan struct{}, flood), make(chan struct{})
	var answered atomic.Int64
	b := newBench(t, 1, func(o *Options) {
		o.Check = func(txcheck.Half) txcheck.Answer {
			held <- struct{}{}
			<-release
			return txcheck.Rollback
		}
		o.OnCheck = func(txcheck.Half, txcheck.Answer) { answered.Add(1) }
	})
	cmd := checkbackOf(t, "UNIQ_KEY\x01K\x02PGROUP\x01g\x02")
	s := b.session.each[0]
	s.request(b.address, cmd)
	<-held
	before := runtime.NumGoroutine()
	for range flood {
		s.request(b.address, cmd) // returns at once
	}
	require.Less(t, runtime.NumGoroutine(), before+checksWaiting/10)
	require.Len(t, s.asked, checksWaiting)
	close(release)
	require.Eventually(t, func() bool { return answered.Load() == 1+checksWaiting }, soon, time.Millisecond)
}

// checkbackOf is what a broker asks about a half with these properties.
func checkbackOf(t *testing.T, properties string) *remoting.Command {
	t.Helper()
	var e remoting.Encoder
	e.Begin(reqCheckTransactionState, remoting.FlagOneway, 1, "")
	e.Int("tranStateTableOffset", 1)
	e.Int("commitLogOffset", 2)
	e.String("msgId", "M")
	e.String("transactionId", "T")
	require.NoError(t, e.End(encodeStored("t", 3, 9, properties)))
	frame, err := remoting.NewFrameReader(strings.NewReader(string(e.Bytes()))).Next()
	require.NoError(t, err)
	var cmd remoting.Command
	require.NoError(t, cmd.Decode(frame))
	return &cmd
}

func TestCheckbackIsRead(t *testing.T) {
	t.Parallel()
	q, err := decodeCheckback("broker:1", checkbackOf(t, "UNIQ_KEY\x01K\x02PGROUP\x01g\x02outbox-origin\x01o\x02TAGS\x01a\x02KEYS\x01b c\x02"+
		"CHECK_IMMUNITY_TIME_IN_SECONDS\x017\x02TRANSACTION_CHECK_TIMES\x013\x02"))
	require.NoError(t, err)
	want := txcheck.Half{UniqKey: "K", Topic: "t", Group: "g", Origin: "o", Born: q.half.Born, Window: 7 * time.Second, Checks: 3}
	require.Equal(t, checkback{address: "broker:1", stateOffset: 1, logOffset: 2, id: "T", half: want, tag: "a", keys: "b c"}, q)

	q, err = decodeCheckback("broker:1", checkbackOf(t, "PGROUP\x01g\x02"))
	require.NoError(t, err)
	require.Equal(t, "M", q.half.UniqKey, "a half of another client, without a key of its own")
}
