package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/internal/telemetry"
)

// reloading is a relay whose settings are in a file that can be written anew.
type reloading struct {
	*process
	w       *world
	log     *lines // instead of the process's own
	file    string
	hangups chan os.Signal
}

func (w *world) reloading(settings ...string) *reloading {
	w.t.Helper()
	r := &reloading{w: w, file: filepath.Join(w.t.TempDir(), "relay.yaml"), hangups: make(chan os.Signal, 1), log: &lines{}}
	r.write(settings...)
	level := &slog.LevelVar{}
	cfg, err := r.load()
	require.NoError(w.t, err)
	level.Set(cfg.Log.Level)
	r.process = start(w.t, cfg, func(p *Process) {
		p.Reload = Reload{Signal: r.hangups, Load: r.load, Level: level}
		p.Log = telemetry.NewLogger(r.log, level, "json")
	})
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Log(r.log.String())
		}
	})
	return r
}

func (r *reloading) load() (*config.Config, error) {
	return config.Load(config.Input{File: r.file}, config.NeedAll)
}

func (r *reloading) write(lines ...string) {
	r.w.t.Helper()
	text := fmt.Sprintf("database: {url: %q}\nnameservers: [%q]\ngroup: %q\nhttp: {listen: '127.0.0.1:0'}\nlease: {duration: 3s, renew: 500ms}\n",
		r.w.url, r.w.nameServer, r.w.group) + strings.Join(lines, "\n") + "\n"
	require.NoError(r.w.t, os.WriteFile(r.file, []byte(text), 0o600))
}

// hangup writes the settings, has them read, and waits for what the log says about it.
func (r *reloading) hangup(says string, lines ...string) {
	r.w.t.Helper()
	before := len(r.log.with(says))
	r.write(lines...)
	r.hangups <- syscall.SIGHUP
	r.eventually(says, func() bool { return len(r.log.with(says)) > before })
}

func (w *world) insertFor(topic string, n int) {
	w.t.Helper()
	w.exec(`INSERT INTO outbox (topic, payload) SELECT $1, 'x' FROM generate_series(1, $2)`, topic, n)
}

// times counts the messages of each row on a topic.
func (w *world) times(topic string) map[string]int {
	w.t.Helper()
	messages, err := stack.ReadTopic(w.t.Context(), w.nameServer, topic)
	require.NoError(w.t, err)
	rows := map[string]int{}
	for _, m := range messages {
		rows[m.Properties["outbox-id"]]++
	}
	return rows
}

// writer inserts ordered rows until it is told to stop.
func (w *world) writer(topic string) (stop func() (rows int)) {
	quit, rows := make(chan struct{}), 0
	var g sync.WaitGroup
	db, ctx := w.db(), w.t.Context()
	g.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if _, err := db.Exec(ctx, `INSERT INTO outbox (topic, ordering_key, payload)
				SELECT $1, 'k' || n % 3, 'x' FROM generate_series(1, 10) n`, topic); err != nil {
				w.t.Error(err)
				return
			}
			rows += 10
		}
	})
	return func() int {
		close(quit)
		g.Wait()
		return rows
	}
}

func (r *reloading) unbound(n int) bool {
	_, metrics := r.get("/metrics")
	return strings.Contains(metrics, fmt.Sprintf("outbox_relay_backlog_unbound_rows %d\n", n)) &&
		strings.Contains(metrics, fmt.Sprintf(`outbox_relay_alert{kind="unbound_rows"} %d`, min(n, 1)))
}

func TestTopicIsBoundWithoutARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := stacktest.Shared(t).Topic(t, 2)
	topics := "topics: [" + w.topic
	r := w.reloading(topics + "]")
	r.eventually("ready", r.ready)
	stop := w.writer(w.topic)
	w.insertFor(other, 5)
	r.eventually("they wait, with an alarm", func() bool { return r.unbound(5) && len(r.log.with("rows wait for topics", other)) > 0 })
	require.Empty(t, w.times(other))

	r.hangup("settings reloaded", topics+", "+other+"]")
	r.eventually("they arrive", func() bool { return len(w.times(other)) == 5 })
	r.eventually("the alarm is over", func() bool { return r.unbound(0) })

	// And away with it: what comes for it waits, the others go on.
	r.hangup("settings reloaded", topics+"]")
	r.eventually("a session without it", func() bool { return len(r.log.with(`"msg":"session opened"`)) >= 3 })
	w.insertFor(other, 2)
	r.eventually("they wait, with an alarm", func() bool { return r.unbound(2) })
	rows := stop()
	require.Eventually(t, func() bool { return w.count("outbox") == 2 }, 3*patience, tick, "all others arrive")
	times := w.times(w.topic)
	require.Len(t, times, rows)
	for id, n := range times {
		require.Equal(t, 1, n, "row %s", id)
	}
	for _, key := range []string{"k0", "k1", "k2"} {
		require.IsIncreasing(t, w.inOrder(w.topic, key))
	}
	require.Len(t, w.times(other), 5)
	require.Len(t, r.log.with(`"msg":"session opened"`), 3, "one for each change of topics")
	require.Empty(t, r.log.with("session over"))
	require.Len(t, r.log.with("readiness changed"), 1, "it stays ready")
	require.NoError(t, r.end())
}

func TestMistakesInNewSettingsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	topics := "topics: [" + w.topic + "]"
	r := w.reloading(topics)
	r.eventually("ready", r.ready)
	r.hangup("settings not reloaded: those from before hold", "topics: [a b]", "widnow: 3s", "log: {level: debug}")
	require.Len(t, r.log.with(`"msg":"mistake in the settings"`), 2)
	require.NotEmpty(t, r.log.with("did you mean window?"))
	require.Empty(t, r.log.with(`"level":"DEBUG"`), "nothing is half applied")
	require.NoError(t, os.Remove(r.file))
	r.hangups <- syscall.SIGHUP
	r.eventually("the file is not there", func() bool { return len(r.log.with("must name a readable file")) > 0 })
	w.insert(3)
	r.eventually("published", func() bool { return w.count("outbox") == 0 })

	// What cannot change while it runs is named, and the rest is taken over.
	r.hangup("settings reloaded", topics, "window: 9s", "commit_timeout: 2s", "log: {level: debug}", "batch: {rows: 7}", "retention: 8d")
	for _, key := range []string{"window", "commit_timeout", "retention"} {
		require.Len(t, r.log.with("it needs a restart", `"setting":"`+key+`"`), 1)
	}
	require.NotEmpty(t, r.log.with("settings reloaded", `"changed":"batch.rows, log.level"`))
	w.insert(30)
	r.eventually("published", func() bool { return w.count("outbox") == 0 })
	sessions := len(r.log.with(`"msg":"session opened"`))
	r.hangup("settings reloaded", topics, "log: {level: debug}", "batch: {rows: 7}")
	r.hangup("settings reloaded", topics, "log: {level: warn}", "batch: {rows: 7}", "connections: 2")
	require.NoError(t, r.end())
	require.Len(t, r.log.with(`"msg":"session opened"`), sessions, "the level alone needs none")
	require.Empty(t, r.log.with(`"msg":"stopping"`), "at level warn")
}

// A topic that is not there is said, keeps nothing else from being taken over, and is bound once it is there. One whose type
// the table says otherwise does not end the relay.
func TestTopicOfNewSettingsThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, wrong := stacktest.Shared(t).Topic(t, 2), stacktest.Shared(t).Topic(t, 2)
	w.exec(`INSERT INTO outbox_topic (topic, type, queues) VALUES ($1, 'fifo', '{broker-a:0}')`, wrong)
	missing := w.topic + "-later"
	r := w.reloading("topics: [" + w.topic + "]")
	r.eventually("ready", r.ready)
	w.insertFor(missing, 1)
	w.insertFor(other, 1)
	w.insertFor(wrong, 1)
	r.hangup("settings reloaded", "topics: ["+strings.Join([]string{w.topic, missing, other, wrong}, ", ")+"]")
	require.Len(t, r.log.with("topic not bound: its rows wait", missing, "topic does not exist"), 1)
	r.eventually("the other arrives", func() bool { return len(w.times(other)) == 1 })
	r.eventually("left out", func() bool { return len(r.log.with("topic left out: its rows wait", wrong)) > 0 })

	require.NoError(t, stack.CreateTopic(t.Context(), w.nameServer, stacktest.Shared(t).Broker(), stack.Topic{Name: missing, Queues: 2, MessageType: "TRANSACTION"}))
	r.eventually("it is bound without a word", func() bool { return len(w.times(missing)) == 1 })
	require.Equal(t, 1, w.count("outbox"))
	require.NoError(t, r.end())
}

// Each relay sends the rows of its own shards: until the last one has been told, its share of a new topic's rows waits.
func TestNewTopicGoesRoundTheRelays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := stacktest.Shared(t).Topic(t, 2)
	before, after := "topics: ["+w.topic+"]", "topics: ["+w.topic+", "+other+"]"
	a := w.reloading(before, "instance: a")
	a.eventually("ready", a.ready)
	b := w.reloading(before, "instance: b")
	b.eventually("they share", func() bool {
		_, of := a.get("/metrics")
		_, too := b.get("/metrics")
		return strings.Contains(of, "outbox_relay_shards 32\n") && strings.Contains(too, "outbox_relay_shards 32\n")
	})
	w.insertFor(other, 200)
	a.hangup("settings reloaded", after, "instance: a")
	a.eventually("its share arrives", func() bool { return len(w.times(other)) > 0 })
	stop := w.writer(w.topic)
	b.hangup("settings reloaded", after, "instance: b")
	b.eventually("the rest arrives", func() bool { return len(w.times(other)) == 200 })
	rows := stop()
	b.eventually("all the others too", func() bool { return w.count("outbox") == 0 })
	for _, times := range []map[string]int{w.times(other), w.times(w.topic)} {
		for id, n := range times {
			require.Equal(t, 1, n, "row %s", id)
		}
	}
	require.Len(t, w.times(w.topic), rows)
	require.NoError(t, a.end())
	require.NoError(t, b.end())
}
