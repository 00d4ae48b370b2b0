package app

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/migrations"
)

// newCluster is a world with brokers of its own, set to what the test needs. The topic has two queues on each. Such brokers are
// large: few of its tests run in parallel.
func newCluster(t *testing.T, settings map[string]string, names ...string) (w *world, last *stack.Broker) {
	t.Helper()
	ns, err := stack.StartNameServer(t.Context(), stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	for _, name := range names {
		broker, err := stack.StartBroker(t.Context(), ns, stack.Options{BrokerName: name, BrokerConfig: settings})
		require.NoError(t, err)
		t.Cleanup(func() { _ = broker.Close() })
		require.NoError(t, broker.CreateTopic(t.Context(), "orders", 2, "TRANSACTION"))
		last = broker
	}
	w = &world{t: t, url: stacktest.Shared(t).Database(t), nameServer: ns.Addr, topic: "orders", group: "group"}
	_, err = migrations.Up(t.Context(), w.url, "public")
	require.NoError(t, err)
	return w, last
}

// lost makes a broker fall silent once it holds halves that were decided: their commits are in doubt. The broker does not come
// back.
func (w *world) lost(broker *stack.Broker) func(*Process) {
	db, once := w.db(), sync.Once{}
	return func(p *Process) {
		p.At = func(point relay.Point) {
			if point != relay.PointDecide || openOn(w.t, db, broker.Name) == 0 {
				return
			}
			once.Do(func() {
				if err := broker.Pause(); err != nil {
					w.t.Error(err)
				}
			})
		}
	}
}

func openOn(t *testing.T, db *pgxpool.Pool, broker string) (n int) {
	err := db.QueryRow(context.Background(), `SELECT coalesce(sum(coalesce(cardinality(open), cardinality(ids))), 0)
		FROM outbox_attempt WHERE closed_at IS NULL AND broker = $1`, broker).Scan(&n)
	if err != nil {
		t.Error(err)
	}
	return n
}

func (w *world) list(cfg *config.Config, s Selection, all bool) (messages []OpenMessage) {
	w.t.Helper()
	var text strings.Builder
	require.NoError(w.t, ListOpen(w.t.Context(), cfg, s, all, true, &text))
	require.NoError(w.t, json.Unmarshal([]byte(text.String()), &messages))
	return messages
}

// resolve returns what the command prints.
func (w *world) resolve(cfg *config.Config, r Resolution) (string, error) {
	w.t.Helper()
	var text strings.Builder
	err := Resolve(w.t.Context(), cfg, r, &text)
	return text.String(), err
}

// insertKeyed inserts a row for each key; "" has none.
func (w *world) insertKeyed(keys ...string) {
	w.t.Helper()
	_, err := w.db().Exec(w.t.Context(), `INSERT INTO outbox (topic, ordering_key, payload)
		SELECT $1, nullif(k, ''), 'x' FROM unnest($2::text[]) WITH ORDINALITY AS u (k, n) ORDER BY n`, w.topic, keys)
	require.NoError(w.t, err)
}

// rowsOn counts the messages of each row on the topic.
func (w *world) rowsOn() map[int64]int {
	w.t.Helper()
	messages, err := stack.ReadTopic(w.t.Context(), w.nameServer, w.topic)
	require.NoError(w.t, err)
	rows := map[int64]int{}
	for _, m := range messages {
		id, err := strconv.ParseInt(m.Properties["outbox-id"], 10, 64)
		require.NoError(w.t, err)
		rows[id]++
	}
	return rows
}

func TestMessagesInDoubtOnABrokerThatIsGone(t *testing.T) {
	w, gone := newCluster(t, stack.FastTransactions(), "broker-a", "broker-b")
	cfg := w.config("window: 3s", "append_margin: 1s", "commit_timeout: 500ms", "send_timeout: 1s")
	w.insertKeyed(make([]string, 40)...)
	p := start(t, cfg, w.lost(gone))
	p.eventually("in doubt", func() bool {
		return w.count("outbox") > 1 && w.count("outbox") == openOn(t, w.db(), "broker-b")
	})
	doubts := w.list(cfg, Selection{}, true)
	early := Resolution{Selection: Selection{Row: doubts[0].Row}, BrokerGone: true}
	if doubts[0].Age < 3 {
		_, err := w.resolve(cfg, early)
		require.ErrorContains(t, err, "may still accept the commit of row")
	}
	require.NoError(t, gone.Kill())
	p.eventually("only a person can tell", func() bool {
		messages := w.list(cfg, Selection{Broker: "broker-b"}, true)
		for _, m := range messages {
			if m.Why != "the broker is not registered at the name servers" || m.Age < 4 {
				return false
			}
		}
		return len(messages) == len(doubts)
	})
	require.Empty(t, w.list(cfg, Selection{Broker: "broker-a"}, true))
	require.Empty(t, w.list(cfg, Selection{OlderThan: patience * 10}, true))

	_, err := w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b"}})
	require.ErrorContains(t, err, "broker broker-b: it is not registered at the name servers, and cannot be asked. If it is gone for good, add --broker-gone")
	_, err = w.resolve(w.config("window: 3s", "append_margin: 10m", "commit_timeout: 500ms", "send_timeout: 1s"), Resolution{Selection: Selection{Broker: "broker-b"}, BrokerGone: true})
	require.ErrorContains(t, err, "may still accept")
	dry, err := w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b"}, BrokerGone: true, DryRun: true})
	require.NoError(t, err)
	require.Equal(t, len(doubts), strings.Count(dry, "would be struck"))
	require.Equal(t, len(doubts), openOn(t, w.db(), "broker-b"), "a dry run changes nothing")

	// One of them is said to be on the topic, the others are sent again: by the relay that runs.
	settled := doubts[len(doubts)-1]
	out, err := w.resolve(cfg, Resolution{Selection: Selection{Attempt: strings.ToLower(settled.UniqKey)}, OnTopic: true, BrokerGone: true})
	require.NoError(t, err)
	require.Contains(t, out, "1 of 1 messages changed")
	out, err = w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b", Topic: w.topic}, BrokerGone: true})
	require.NoError(t, err)
	require.Contains(t, out, strconv.Itoa(len(doubts)-1)+" of "+strconv.Itoa(len(doubts)-1)+" messages changed")
	out, err = w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b"}, BrokerGone: true})
	require.NoError(t, err)
	require.Contains(t, out, "nothing to do")

	p.eventually("sent again, without a restart", func() bool { return w.count("outbox") == 0 })
	require.Len(t, p.log.with("somebody has decided it"), len(doubts))
	require.Len(t, p.log.with(`"msg":"session opened"`), 1)
	rows := w.rowsOn()
	for id := int64(1); id <= 40; id++ {
		want := 1
		if id == settled.Row {
			want = 0 // it was on the broker that is gone
		}
		require.Equal(t, want, rows[id], "row %d", id)
	}
	require.NoError(t, p.end())
}

// A broker that can be asked has the last word.
func TestBrokerThatIsThereIsAskedBeforeAnOperatorIsHeard(t *testing.T) {
	w, broker := newCluster(t, stack.FastTransactions(), "broker-b")
	cfg := w.config("window: 30s", "append_margin: 1s", "commit_timeout: 500ms", "send_timeout: 1s")
	w.insertKeyed(make([]string, 20)...)
	p := start(t, cfg, w.lost(broker))
	p.eventually("in doubt", func() bool { return w.count("outbox") > 1 && w.count("outbox") == openOn(t, w.db(), "broker-b") })
	require.NoError(t, p.end())
	doubts := w.list(cfg, Selection{}, true)

	// The database's clock says that the window is over; the broker's does not.
	_, err := w.db().Exec(t.Context(), `UPDATE outbox_attempt SET born_at = born_at - interval '1 h', decided_at = decided_at - interval '1 h'
		WHERE closed_at IS NULL`)
	require.NoError(t, err)
	_, err = w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b"}})
	require.ErrorContains(t, err, "it does not answer")
	for _, m := range w.list(cfg, Selection{}, false) {
		require.Equal(t, "no relay runs", m.Why)
	}
	s, err := ReadStatus(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, int64(len(doubts)), s.Person)
	var table strings.Builder
	require.NoError(t, s.WriteTable(&table))
	require.Contains(t, table.String(), ": outbox-relay resolve list")

	require.NoError(t, broker.Resume()) // what was sent to it while it was frozen, it reads now: the commits
	require.Eventually(t, func() bool { return len(w.rowsOn()) == 20 }, patience, tick, "the commits went through")
	_, err = w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b"}, BrokerGone: true})
	require.ErrorContains(t, err, "does not refuse a late commit", "whatever the operator says about it")
	require.Equal(t, len(doubts), openOn(t, w.db(), "broker-b"))

	require.Eventually(t, func() bool {
		_, err = w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b"}})
		return err != nil && strings.Contains(err.Error(), "settle it")
	}, 2*patience, 10*tick, "once it refuses, it is asked for the message: %v", err)
	out, err := w.resolve(cfg, Resolution{Selection: Selection{Broker: "broker-b"}, OnTopic: true})
	require.NoError(t, err)
	require.Contains(t, out, "settled: its row is deleted")
	require.Zero(t, w.count("outbox"))
}
