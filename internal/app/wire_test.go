package app

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// A namespace is between us and RocketMQ: the row, the ledger, metrics and logs name the topic without it.
func TestRowInANamespace(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	w := newWorld(t)
	topic := w.topic + "-n"
	require.NoError(t, stack.CreateTopic(t.Context(), w.nameServer, servers.Broker(), stack.Topic{Name: "nsA%" + topic, Queues: 2, MessageType: "TRANSACTION"}))
	w.topic = topic
	p := start(t, w.config("namespace: nsA", fmt.Sprintf("topics: [%q, %q]", topic, "nsA%"+topic)))
	p.eventually("ready", p.ready)
	w.insert(10)
	_, err := w.db().Exec(t.Context(), `INSERT INTO outbox (topic, payload, ordering_key) VALUES ($1, 'written with the prefix', 'k')`, "nsA%"+topic)
	require.NoError(t, err)
	p.eventually("published", func() bool { return w.count("outbox") == 0 })
	messages, err := stack.ReadTopic(t.Context(), w.nameServer, "nsA%"+topic)
	require.NoError(t, err)
	require.Len(t, messages, 11, "the prefix is there once, however the row writes it")
	require.Equal(t, 10, w.count(fmt.Sprintf("outbox_sent WHERE topic = '%s'", topic)))
	p.eventually("metrics", func() bool {
		_, metrics := p.get("/metrics")
		return strings.Contains(metrics, fmt.Sprintf("outbox_relay_rows_sent_total{topic=%q} 10", topic))
	})
	require.NoError(t, p.end())
}

// What a new user sees who gives the broker's port, or PostgreSQL's: the start ends, and says it.
func TestWrongNameServerEndsTheStart(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	w := newWorld(t)
	database, err := url.Parse(servers.Postgres())
	require.NoError(t, err)
	for server, want := range map[string]string{servers.Broker(): "not a name server but a broker", database.Host: "not a name server but a PostgreSQL server"} {
		p := start(t, w.config(fmt.Sprintf("nameservers: [%q]", server)))
		require.ErrorContains(t, <-p.done, want)
		require.Empty(t, p.log.with(`"msg":"waiting"`, "topics"), "waiting would not mend it")
	}
	p := start(t, w.config(`nameservers: ["127.0.0.1:1"]`))
	p.eventually("it says what it waits for", func() bool {
		return len(p.log.with(`"msg":"waiting"`, "nothing listens there: check that it runs, and the port, which is 9876")) == 1
	})
	require.True(t, p.waitsFor(conditionTopics))
	require.NoError(t, p.end())
}

// One producer by default, several with names of their own where asked for; mqadmin, status, metrics, logs and the lease agree
// on who they are.
func TestProducersAsEverybodySeesThem(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := start(t, w.config(fmt.Sprintf("producers: %d", n), "connections: 3", "instance: pod-7", "log: {sends: true, level: debug}"))
			p.eventually("ready", p.ready)
			w.insert(200)
			p.eventually("published", func() bool { return w.count("outbox") == 0 })
			_, metrics := p.get("/metrics")
			require.Contains(t, metrics, fmt.Sprintf("outbox_relay_producers_created_total %d\n", n))

			status, err := ReadStatus(t.Context(), w.config())
			require.NoError(t, err)
			ids := strings.Split(status.Leases[0].ClientID, ",")
			require.Len(t, ids, n)
			var shown string
			p.eventually("mqadmin lists them", func() bool {
				shown = stacktest.Shared(t).Admin(t, "producerConnection", "-g", w.group, "-t", w.topic)
				return len(regexp.MustCompile(`@pod-7`).FindAllString(shown, -1)) >= n
			})
			require.Len(t, regexp.MustCompile(`@pod-7`).FindAllString(shown, -1), n, shown)
			for _, id := range ids {
				require.Contains(t, shown, id)
			}
			require.NoError(t, p.end())
			clientIDsInEveryLine(t, p, status.Leases[0].ClientID)
			sendsAreLogged(t, p, 200)
		})
	}
}

// clientIDsInEveryLine looks at the lines of the flow: those of the relay and the broker client, and the app's from when it
// has one.
func clientIDsInEveryLine(t *testing.T, p *process, id string) {
	t.Helper()
	for _, component := range []string{"relay", "rocketmq"} {
		all := p.log.with(fmt.Sprintf(`"component":%q`, component))
		require.Len(t, p.log.with(fmt.Sprintf(`"component":%q`, component), fmt.Sprintf(`"client_id":%q`, id)), len(all))
	}
	require.NotEmpty(t, p.log.with(`"component":"relay"`))
	require.NotEmpty(t, p.log.with(`"component":"app"`, `"msg":"stopping"`, id))
}

func sendsAreLogged(t *testing.T, p *process, rows int) {
	t.Helper()
	lines := p.log.with(`"component":"relay"`, `"msg":"sent"`)
	require.Len(t, lines, rows)
	seen := map[string]bool{}
	for _, line := range lines {
		var sent struct {
			Topic, Keys, Broker, Status string
			Row, Attempt                int
			Queue, MS                   *int
			MsgID                       string `json:"msg_id"`
			OffsetMsgID                 string `json:"offset_msg_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &sent))
		require.NotZero(t, sent.Row)
		require.Equal(t, 1, sent.Attempt)
		require.NotNil(t, sent.Queue)
		require.NotNil(t, sent.MS)
		require.Equal(t, "SEND_OK", sent.Status)
		require.Len(t, sent.MsgID, 32)
		require.Regexp(t, `^7F000001`, sent.OffsetMsgID)
		require.NotEmpty(t, sent.Keys)
		seen[sent.MsgID] = true
	}
	require.Len(t, seen, rows)
}

// The trace of every row, with what was still waiting when the relay was stopped.
func TestTraceOfEveryRow(t *testing.T) {
	t.Parallel()
	servers := stacktest.Shared(t)
	w := newWorld(t)
	traces := servers.TopicOf(t, 1, "NORMAL")
	const rows = 300
	w.insert(rows)
	p := start(t, w.config(fmt.Sprintf("trace: {enabled: true, topic: %q}", traces)))
	p.eventually("published", func() bool { return w.count("outbox") == 0 })
	require.NoError(t, p.end())

	kinds := map[string]map[string]bool{"Pub": {}, "EndTransaction": {}}
	messages, err := stack.ReadTopic(t.Context(), w.nameServer, traces)
	require.NoError(t, err)
	for _, m := range messages {
		for record := range strings.SplitSeq(strings.TrimSuffix(string(m.Body), "\x02"), "\x02") {
			fields := strings.Split(record, "\x01")
			require.Equal(t, w.group, fields[3])
			require.Equal(t, w.topic, fields[4])
			require.Contains(t, m.Keys, fields[5])
			kinds[fields[0]][fields[5]] = true
		}
	}
	sent, err := stack.ReadTopic(t.Context(), w.nameServer, w.topic)
	require.NoError(t, err)
	require.Len(t, sent, rows)
	for _, m := range sent {
		require.True(t, kinds["Pub"][m.ID], m.ID)
		require.True(t, kinds["EndTransaction"][m.ID], m.ID)
	}
	require.Empty(t, p.log.with("message traces"), "nothing was dropped")
}
