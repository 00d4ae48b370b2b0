package app

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func (w *world) insertBody(body []byte) {
	w.t.Helper()
	w.exec(`INSERT INTO outbox (topic, payload) VALUES ($1, $2)`, w.topic, body)
}

// bodies are what consumers get, by row.
func (w *world) bodies() map[int64][]byte {
	w.t.Helper()
	messages, err := stack.ReadTopic(w.t.Context(), w.nameServer, w.topic)
	require.NoError(w.t, err)
	bodies := map[int64][]byte{}
	for _, m := range messages {
		id, err := strconv.ParseInt(m.Properties["outbox-id"], 10, 64)
		require.NoError(w.t, err)
		bodies[id] = m.Body
	}
	return bodies
}

func TestLargePayloadsWarn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := start(t, w.config())
	p.eventually("ready", p.ready)
	for _, n := range []int{512 << 10, 513 << 10, 600 << 10, 4 << 20} {
		w.insertBody(make([]byte, n))
	}
	p.eventually("all arrive", func() bool { return w.count("outbox") == 0 })
	require.Len(t, p.log.with("payload is larger than RocketMQ advises"), 1, "once for the topic")
	_, metrics := p.get("/metrics")
	require.Contains(t, metrics, fmt.Sprintf("outbox_relay_large_messages_total{topic=%q} 3\n", w.topic))
	require.NoError(t, p.end())
}

func TestProfileLimitsRowsBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config("limits: {profile: apsaramq-4}", fmt.Sprintf("group: %q", w.group[len(w.group)-20:]))
	p := start(t, cfg)
	p.eventually("ready", p.ready)
	w.insertBody(make([]byte, 64<<10))
	w.insertBody(make([]byte, 64<<10+1))
	p.eventually("one arrives, one is dead", func() bool { return w.count("outbox") == 0 && w.count("outbox_dead") == 1 })
	letter := w.letters(cfg, DeadSelection{})[0]
	require.Equal(t, "body_too_large", letter.Reason)
	require.Equal(t, "payload of 65537 bytes must be at most 65536 bytes on topics of type transaction (limits of apsaramq-4)", letter.Error)
	require.Empty(t, letter.Broker)
	require.Len(t, w.bodies(), 1)
	require.NoError(t, p.end())
}

// Bodies that get smaller are compressed; consumers of every kind get the bytes that were written.
func TestCompressedBodiesAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := start(t, w.config("compression: {above: 1KiB, level: 9}"))
	p.eventually("ready", p.ready)
	random := make([]byte, 200_000)
	_, _ = rand.Read(random) // it never fails
	all := make([]byte, 4<<20)
	for i := range all {
		all[i] = byte(i >> 3)
	}
	text := []byte(strings.Repeat("Grüße, ", 500) + "the end")
	bodies := [][]byte{[]byte("small"), random, all, text, {0xff}}
	for _, body := range bodies {
		w.insertBody(body)
	}
	p.eventually("all arrive", func() bool { return w.count("outbox") == 0 })
	got := w.bodies()
	require.Len(t, got, len(bodies))
	for i, body := range bodies {
		require.Equal(t, sha256.Sum256(body), sha256.Sum256(got[int64(i+1)]), "row %d", i+1)
	}
	java := stacktest.Shared(t).Admin(t, "printMsg", "-t", w.topic, "-d", "true", "-c", "UTF-8")
	require.Contains(t, java, string(text), "RocketMQ's own consumer unpacks it")
	require.NoError(t, p.end())
}

// A broker that takes less than the profile: rows over it are dead before they are sent, unless they are compressed to fit. Once
// it takes more, SIGHUP and a requeue mend it. What it cannot be asked for, it answers with 13.
func TestBrokerThatTakesLess(t *testing.T) {
	w, broker := newCluster(t, map[string]string{"maxMessageSize": "65536"}, "broker-s")
	r := w.reloading("topics: [orders]", "compression: {above: 1MiB}")
	r.eventually("ready", r.ready)
	cfg, err := r.load()
	require.NoError(t, err)
	w.insertBody(make([]byte, 65537))
	w.insertBody(make([]byte, 2<<20)) // zeros: very small when compressed
	w.insertBody(make([]byte, 65536))
	r.eventually("one is dead", func() bool { return w.count("outbox") == 0 && w.count("outbox_dead") == 1 })
	letter := w.letters(cfg, DeadSelection{})[0]
	require.Equal(t, "body_too_large", letter.Reason)
	require.Equal(t, "body of 65537 bytes must be at most 65536 bytes (maxMessageSize of broker broker-s)", letter.Error)
	require.Equal(t, "broker-s", letter.Broker)
	require.Empty(t, letter.Status, "nothing was sent")

	// It is set to less behind the relay's back: the broker has the last word, and the letter says so.
	setBroker := func(size string) {
		_, err := stack.Admin(t.Context(), w.nameServer, stack.Options{}, "updateBrokerConfig", "-b", broker.Addr, "-k", "maxMessageSize", "-v", size)
		require.NoError(t, err)
	}
	setBroker("1048576")
	r.hangup("settings reloaded", "topics: [orders]", "compression: {above: 1MiB}")
	_, err = w.dead(cfg, DeadChange{DeadSelection: DeadSelection{Reasons: []string{"body_too_large"}}})
	require.NoError(t, err)
	r.eventually("it arrives", func() bool { return w.count("outbox") == 0 && w.count("outbox_dead") == 0 })
	require.Len(t, w.bodies()[1], 65537)
	require.Len(t, w.bodies()[2], 2<<20)
	setBroker("65536")
	w.insertBody(make([]byte, 70_000))
	r.eventually("dead", func() bool { return w.count("outbox_dead") == 1 })
	letter = w.letters(cfg, DeadSelection{})[0]
	require.Equal(t, "message_illegal", letter.Reason)
	require.Equal(t, "13 MESSAGE_ILLEGAL", letter.Status)
	require.Equal(t, "broker-s", letter.Broker)
	require.Equal(t, int16(1), letter.Attempts)
	require.NoError(t, r.end())
}
