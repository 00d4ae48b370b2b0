package rocketmq

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// Our own session is a producer of the group as the official client's is.
func TestOwnSession(t *testing.T) {
	t.Parallel()
	var seen asked
	b := newBench(t, 1, func(o *Options) {
		o.OwnSession, o.Instance, o.OnCheck = true, "pod-8", seen.add
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
	committed.Window, rolledBack.Window = time.Second, time.Second
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
		_, err = decodeCheck("broker:1", &cmd)
		require.Error(t, err, name)
	}
}
