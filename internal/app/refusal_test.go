package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// What a status or a refusal does to the rows.
type consequence int

const (
	retried  consequence = iota + 1 // each row by itself, with a longer wait each time
	held                            // rows stay as they are; the topic is paused on the broker, and one row at a time tries
	unrouted                        // rows stay as they are: there is no queue that they could go to
	dead                            // the row goes to the dead letters
)

// A refusal is a status, or a code, that a real broker gives to the halves of a relay that runs.
type refusal struct {
	name   string
	reason relay.Reason
	code   int
	does   consequence
	noted  bool // held, and the rows that met it say so
	quiet  bool // no alert: a busy broker needs nobody
	routed bool // clients hear of it by the route, too, and ask no more
	spoil  func(s *scene) error
	mend   func(s *scene) error
}

// A setup is a broker on which refusals are provoked, one after the other.
type setup struct {
	name     string
	needs    stack.Feature
	config   map[string]string
	refusals []refusal
}

func set(pairs ...string) func(*scene) error {
	settings := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		settings[pairs[i]] = pairs[i+1]
	}
	return func(s *scene) error { return s.broker.Set(context.WithoutCancel(s.t.Context()), settings) }
}

func setups() []setup {
	return []setup{
		{
			name: "disk and permissions",
			config: map[string]string{
				"flushDiskType": "SYNC_FLUSH",
			},
			refusals: []refusal{
				{
					name: "flush disk timeout", reason: relay.ReasonFlushDiskTimeout, code: 10, does: retried,
					spoil: func(s *scene) error {
						return errors.Join(set("syncFlushTimeout", "200")(s), s.disk.Slow(400*time.Millisecond))
					},
					mend: func(s *scene) error { return errors.Join(set("syncFlushTimeout", "5000")(s), s.disk.Slow(0)) },
				},
				{
					name: "disk full", reason: relay.ReasonServiceUnavailable, code: 14, does: held,
					spoil: func(s *scene) error { return s.disk.Full(true) },
					mend:  func(s *scene) error { return s.disk.Full(false) },
				},
				{
					name: "transactions rejected", reason: relay.ReasonNoPermission, code: 16, does: held,
					spoil: set("rejectTransactionMessage", "true"), mend: set("rejectTransactionMessage", "false"),
				},
				{
					// The broker itself does not look at the topic's permission: clients go by the route.
					name: "topic read only", reason: relay.ReasonNoPermission, does: unrouted,
					spoil: func(s *scene) error { return s.broker.SetTopic(s.t.Context(), s.topic, 4, stack.ReadOnly) },
					mend:  func(s *scene) error { return s.broker.SetTopic(s.t.Context(), s.topic, 4, stack.ReadAndWrite) },
				},
				{
					name: "topic deleted", reason: relay.ReasonTopicMissing, code: 17, does: held, routed: true,
					spoil: func(s *scene) error { return s.broker.DeleteTopic(s.t.Context(), s.topic) },
					mend:  func(s *scene) error { return s.broker.CreateTopic(s.t.Context(), s.topic, 4, "TRANSACTION") },
				},
			},
		},
		{
			name: "replicas", needs: stack.InSyncReplicas,
			config: map[string]string{
				"brokerRole": "SYNC_MASTER", "slaveTimeout": "300", "totalReplicas": "2", "inSyncReplicas": "1",
			},
			refusals: []refusal{
				{
					name: "flush slave timeout", reason: relay.ReasonFlushSlaveTimeout, code: 12, does: retried,
					spoil: set("inSyncReplicas", "2"), mend: set("inSyncReplicas", "1"),
				},
				{
					name: "not in sync", reason: relay.ReasonNotInSync, code: 1, does: held, noted: true,
					spoil: set("inSyncReplicas", "2", "enableSlaveActingMaster", "true"),
					mend:  set("inSyncReplicas", "1", "enableSlaveActingMaster", "false"),
				},
			},
		},
		{
			// One thread that waits for the disk: whatever comes meanwhile waits longer than 200 ms, and is thrown out of the queue.
			name:   "too slow",
			config: map[string]string{"flushDiskType": "SYNC_FLUSH", "sendMessageThreadPoolNums": "1", "asyncSendEnable": "false"},
			refusals: []refusal{
				{
					name: "busy", reason: relay.ReasonBusy, code: 2, does: held, quiet: true,
					spoil: func(s *scene) error { return s.disk.Slow(900 * time.Millisecond) },
					mend:  func(s *scene) error { return s.disk.Slow(0) },
				},
				{
					name: "message illegal", reason: relay.ReasonMessageIllegal, code: 13, does: dead,
					// Behind the relay's back: what it knows of the limit it refuses itself.
					spoil: set("maxMessageSize", "2048"), mend: set("maxMessageSize", "4194304"),
				},
			},
		},
	}
}

// Every status and refusal of docs/statuses.md that a real broker can be made to give, with the whole relay: what the row, the
// log, the metric and the operator see, and that the rows arrive once when the broker is mended.
func TestRefusals(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	for _, setup := range setups() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			if setup.needs != "" {
				stacktest.Needs(t, setup.needs)
			}
			nameServer, broker, disk := setup.start(t)
			for _, refusal := range setup.refusals {
				t.Run(refusal.name, func(t *testing.T) {
					w := newWorld(t)
					w.nameServer, w.topic = nameServer, strings.ReplaceAll(refusal.name, " ", "-")
					require.NoError(t, broker.CreateTopic(t.Context(), w.topic, 4, "TRANSACTION"))
					(&scene{world: w, refusal: refusal, broker: broker, disk: disk}).play()
				})
			}
		})
	}
}

func (f setup) start(t *testing.T) (nameServer string, _ *stack.Broker, _ *stack.BadDisk) {
	t.Helper()
	disk, err := stack.NewBadDisk(t.Context(), t.TempDir())
	if missing := (*stack.MissingError)(nil); errors.As(err, &missing) {
		t.Skip(missing)
	}
	require.NoError(t, err)
	config := stack.FastTransactions()
	maps.Copy(config, f.config)
	opts := stack.Options{
		Engine: stack.EngineNative, BrokerConfig: config, Env: disk.Env(),
		// The highest that it lets itself be set to: a developer's disk may be nearly full.
		JVM: []string{"-Drocketmq.broker.diskSpaceWarningLevelRatio=0.90", "-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.85"},
	}
	ns, err := stack.StartNameServer(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	broker, err := stack.StartBroker(t.Context(), ns, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	return ns.Addr, broker, disk
}

// A scene is one refusal, provoked under a relay that runs.
type scene struct {
	*world
	refusal
	broker *stack.Broker
	disk   *stack.BadDisk
	relay  *process
}

func (s *scene) play() {
	t := s.t
	s.keepVersions()
	s.relay = start(t, s.config())
	s.relay.eventually("ready", s.relay.ready)
	s.insert(5)
	s.relay.eventually("published while all is well", func() bool { return s.count("outbox") == 0 })
	before := s.halves(s.reason)

	t.Cleanup(func() { // for those after it
		if t.Failed() {
			_ = s.mend(s)
		}
	})
	require.NoError(t, s.spoil(s))
	if s.does == unrouted {
		s.isUnrouted()
	} else {
		s.provoke()
		s.relay.eventually(string(s.reason), func() bool { return s.halves(s.reason) > before })
	}
	switch s.does {
	case retried:
		s.isRetried()
	case held:
		s.isHeld()
	case dead:
		s.isDead()
		return
	}
	require.NoError(t, s.mend(s))
	s.relay.eventually("published once all is well again", func() bool {
		return s.count("outbox") == 0 && s.count("outbox_attempt WHERE closed_at IS NULL") == 0
	})
	s.relay.eventually("no alert any more", func() bool { return s.metric("outbox_relay_alert", `kind="topic_paused"`) == 0 })
	require.Zero(t, s.count("outbox_dead"))
	if s.does == held && !s.quiet { // a broker that is busy is paused only where it takes none at all
		require.NotEmpty(t, s.relay.log.with(`"msg":"resumed"`, s.topic))
	}
	s.arrived()
	require.NoError(t, s.relay.end())
}

// provoke inserts until the broker has given the answer once: some brokers go on well for some seconds after they were spoiled.
func (s *scene) provoke() {
	s.t.Helper()
	before := s.halves(s.reason)
	body := "'x'::bytea"
	if s.does == dead {
		body = "decode(repeat('00', 4000), 'hex')"
	}
	insert := func(n int) {
		_, err := s.db().Exec(s.t.Context(), `INSERT INTO outbox (topic, ordering_key, payload)
			SELECT $1, CASE WHEN i % 2 = 0 THEN 'a' END, `+body+` FROM generate_series(1, $2) i`, s.topic, n)
		require.NoError(s.t, err)
	}
	if s.does == dead {
		insert(1)
		return
	}
	// A broker looks at its disk for the first time a minute after its start.
	require.Eventually(s.t, func() bool {
		if s.halves(s.reason) > before {
			return true
		}
		// What it stored last may be in doubt, because its commit was the first to be refused.
		doubts := 0.0
		for _, age := range []string{"under_10s", "under_1m", "under_10m"} {
			doubts += s.metric("outbox_relay_in_doubt_messages", fmt.Sprintf("age=%q", age))
		}
		if float64(s.count("outbox")) <= doubts {
			insert(4)
		}
		return false
	}, time.Minute+patience, 20*time.Millisecond, "the broker refuses")
	insert(40)
}

// isUnrouted: clients hear within 30 s, when they ask for the route again.
func (s *scene) isUnrouted() {
	t := s.t
	require.Eventually(t, func() bool {
		return len(s.relay.log.with(`"msg":"the topic's route cannot be refreshed"`, s.topic, "may not be written")) > 0
	}, 2*patience, tick)
	s.insert(40)
	s.relay.eventually("alert", func() bool {
		return s.metric("outbox_relay_topic_paused", `broker="*"`) == 1 && s.metric("outbox_relay_alert", `kind="topic_paused"`) == 1
	})
	require.Equal(t, 40, s.count("outbox"))
	require.Zero(t, s.count("version"), "the rows are as they were")
	require.Equal(t, int64(40), s.status().Pending)
}

// keepVersions notes every change of a row.
func (s *scene) keepVersions() {
	s.t.Helper()
	_, err := s.db().Exec(s.t.Context(), `CREATE TABLE version (n serial, id bigint, attempts int, error text, at timestamptz, due timestamptz);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
		'BEGIN INSERT INTO public.version (id, attempts, error, at, due) VALUES (new.id, new.attempts, new.last_error, now(), new.available_at); RETURN NULL; END';
		CREATE TRIGGER note AFTER UPDATE ON outbox FOR EACH ROW EXECUTE FUNCTION note()`)
	require.NoError(s.t, err)
}

// isRetried: each row waits by the documented curve, 1 s × 1.6 with a jitter of 0.2, and says why.
func (s *scene) isRetried() {
	t := s.t
	s.relay.eventually("retried", func() bool { return s.count("outbox WHERE attempts >= 3") > 0 })
	rows, err := s.db().Query(t.Context(), `SELECT id, attempts, error, at, due FROM version ORDER BY n`)
	require.NoError(t, err)
	type version struct {
		ID       int64
		Attempts int
		Error    string
		At, Due  time.Time
	}
	versions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[version])
	require.NoError(t, err)
	due := map[int64]time.Time{}
	for _, v := range versions {
		assert.True(t, strings.HasPrefix(v.Error, fmt.Sprintf("%s: code %d: ", s.reason, s.code)), v.Error)
		curve := math.Pow(1.6, float64(v.Attempts-1))
		assert.GreaterOrEqual(t, v.Due.Sub(v.At).Seconds(), 0.8*curve-0.001, "row %d, failure %d", v.ID, v.Attempts)
		assert.LessOrEqual(t, v.Due.Sub(v.At).Seconds(), 1.2*curve+0.001, "row %d, failure %d", v.ID, v.Attempts)
		assert.False(t, v.At.Before(due[v.ID]), "row %d was sent before it was due", v.ID)
		due[v.ID] = v.Due
	}
	require.NotEmpty(t, s.relay.log.with(`"msg":"rows are put off"`, s.topic, fmt.Sprintf(`"reason":%q`, s.reason), `"level":"WARN"`))
	require.Positive(t, s.metric("outbox_relay_rows_put_off_total", fmt.Sprintf("reason=%q", s.reason)))
	status := s.status()
	require.Positive(t, status.PutOff)
	require.Zero(t, status.Dead)
	var followers int
	require.NoError(t, s.db().QueryRow(t.Context(), `SELECT count(*) FROM outbox WHERE ordering_key = 'a' AND attempts > 0`).Scan(&followers))
	require.LessOrEqual(t, followers, 1, "of a key only the first is tried")
}

// isHeld: no attempt is counted, the topic is paused, and unless the route says so too, one row at a time tries, by the same curve.
func (s *scene) isHeld() {
	t := s.t
	if !s.quiet { // a broker that is busy still takes some
		s.relay.eventually("paused", func() bool {
			return s.metric("outbox_relay_topic_paused", fmt.Sprintf("broker=%q", s.broker.Name), fmt.Sprintf("topic=%q", s.topic)) == 1 && s.metric("outbox_relay_alert", `kind="topic_paused"`) == 1
		})
		require.NotEmpty(t, s.relay.log.with(`"msg":"paused"`, s.topic, fmt.Sprintf(`"reason":%q`, s.reason), `"alert":true`, fmt.Sprintf("code %d: ", s.code)))
		s.probes()
	}
	require.Zero(t, s.count("outbox WHERE attempts > 0"), "an outage uses up no attempts")
	require.Zero(t, s.count("version WHERE attempts > 0"))
	if s.noted {
		s.relay.eventually("noted", func() bool {
			return s.count(fmt.Sprintf("outbox WHERE last_error LIKE '%s: code %d: %%'", s.reason, s.code)) > 0
		})
	} else {
		require.Zero(t, s.count("version"), "the rows are as they were")
	}
	require.Zero(t, s.count("outbox_dead"))
	status := s.status()
	require.Positive(t, status.Pending)
	require.Zero(t, status.Dead)
}

// probes: the waits between two tries are not shorter than the curve, and there are tries.
func (s *scene) probes() {
	if s.routed {
		return
	}
	var at []time.Time
	last := s.halves(s.reason)
	s.relay.eventually("probes", func() bool {
		if n := s.halves(s.reason); n > last {
			last, at = n, append(at, time.Now())
		}
		return len(at) >= 3
	})
	for i := 1; i < len(at); i++ {
		// The first that is seen is at least the first probe. What is seen comes up to one look late.
		least := 0.8*math.Pow(1.6, float64(i)) - 0.5
		assert.GreaterOrEqual(s.t, at[i].Sub(at[i-1]).Seconds(), least, "between probe %d and the next", i)
	}
}

func (s *scene) isDead() {
	t := s.t
	s.relay.eventually("dead", func() bool { return s.count("outbox") == 0 && s.count("outbox_dead") == 1 })
	var reason, failure, broker string
	var size int
	require.NoError(t, s.db().QueryRow(t.Context(), `SELECT reason, error, broker, octet_length(payload) FROM outbox_dead`).Scan(&reason, &failure, &broker, &size))
	require.Equal(t, string(s.reason), reason)
	require.Contains(t, failure, fmt.Sprintf("code %d: the message is illegal", s.code))
	require.Equal(t, s.broker.Name, broker)
	require.Equal(t, 4000, size, "the payload is kept")
	require.Len(t, s.relay.log.with(`"msg":"row is dead"`, `"level":"ERROR"`, fmt.Sprintf(`"reason":%q`, s.reason)), 1)
	require.InDelta(t, 1, s.metric("outbox_relay_rows_dead_total", fmt.Sprintf("reason=%q", s.reason)), 0)
	require.Equal(t, int64(1), s.status().Dead)
	s.relay.eventually("alert", func() bool { return s.metric("outbox_relay_alert", `kind="dead_rows"`) == 1 })
	require.NoError(t, s.relay.end())
}

// arrived: what left the outbox while it went on is on the topic once, and each key's rows in their order.
func (s *scene) arrived() {
	t := s.t
	messages, err := s.broker.ReadTopic(t.Context(), s.topic)
	require.NoError(t, err)
	seen := map[string]bool{}
	last := 0
	for _, m := range messages {
		id := m.Properties["outbox-id"]
		assert.False(t, seen[id], "row %s is on the topic twice", id)
		seen[id] = true
		if m.Properties["SHARDING_KEY"] != "" {
			n, err := strconv.Atoi(id)
			require.NoError(t, err)
			assert.Greater(t, n, last, "out of order")
			last = n
		}
	}
	inserted := 0
	require.NoError(t, s.db().QueryRow(t.Context(), `SELECT last_value FROM outbox_id_seq`).Scan(&inserted))
	missing := 0
	if s.code == 17 {
		missing = 5 // what was published before went with the topic
	}
	for id := missing + 1; id <= inserted; id++ {
		assert.True(t, seen[strconv.Itoa(id)], "row %d did not arrive", id)
	}
}

func (s *scene) status() Status {
	s.t.Helper()
	status, err := ReadStatus(s.t.Context(), s.config())
	require.NoError(s.t, err)
	return status
}

func (s *scene) halves(reason relay.Reason) float64 {
	return s.metric("outbox_relay_halves_total", fmt.Sprintf("result=%q", reason))
}

// metric reads a series of the relay's; 0 if there is none.
func (s *scene) metric(name string, labels ...string) float64 {
	_, all := s.relay.get("/metrics")
	for line := range strings.Lines(all) {
		missing := func(label string) bool { return !strings.Contains(line, label) }
		if strings.HasPrefix(line, name+"{") && !slices.ContainsFunc(labels, missing) {
			value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
			require.NoError(s.t, err, line)
			return value
		}
	}
	return 0
}
