package app

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
	"github.com/outbox-relay/outbox-relay/internal/telemetry"
	"github.com/outbox-relay/outbox-relay/outbox"
)

// Each limit, at it and just beyond: what is at the limit is warned about exactly where it weakens the promise.
func TestWeaknessesAtTheirLimits(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	a := &app{cfg: &config.Config{Window: 10 * time.Second, CommitTimeout: 2500 * ms}}
	for name, test := range map[string]struct {
		change func(*rocketmq.BrokerConfig)
		weak   bool
	}{
		"window as long as transactionTimeOut":     {func(b *rocketmq.BrokerConfig) { b.TransactionTimeout = 10 * time.Second }, false},
		"window a little shorter":                  {func(b *rocketmq.BrokerConfig) { b.TransactionTimeout = 10*time.Second + ms }, true},
		"commit_timeout as long as slaveTimeout":   {func(b *rocketmq.BrokerConfig) { b.SlaveTimeout = 2500 * ms }, true},
		"commit_timeout below slaveTimeout":        {func(b *rocketmq.BrokerConfig) { b.SlaveTimeout = 2501 * ms }, false},
		"slaveTimeout is not told":                 {func(b *rocketmq.BrokerConfig) { b.SlaveTimeout = 0 }, false},
		"commit_timeout as long as the flush":      {func(b *rocketmq.BrokerConfig) { b.SyncFlushTimeout = 2500 * ms }, true},
		"commit_timeout below the flush":           {func(b *rocketmq.BrokerConfig) { b.SyncFlushTimeout = 2501 * ms }, false},
		"the flush is not told":                    {func(b *rocketmq.BrokerConfig) { b.SyncFlushTimeout = 0 }, false},
		"messages as large as the library's":       {func(b *rocketmq.BrokerConfig) { b.MaxMessageSize = outbox.MaxPayloadBytes }, false},
		"messages a byte smaller":                  {func(b *rocketmq.BrokerConfig) { b.MaxMessageSize = outbox.MaxPayloadBytes - 1 }, true},
		"kept for a day":                           {func(b *rocketmq.BrokerConfig) { b.FileReservedTime = 24 * time.Hour }, false},
		"kept for less":                            {func(b *rocketmq.BrokerConfig) { b.FileReservedTime = 23 * time.Hour }, true},
		"how long it keeps them is not told":       {func(b *rocketmq.BrokerConfig) { b.FileReservedTime = 0 }, false},
		"a flush that is not told":                 {func(b *rocketmq.BrokerConfig) { b.FlushDiskType = "" }, true},
		"asynchronous flush on one of two":         {func(b *rocketmq.BrokerConfig) { b.FlushDiskType = "ASYNC_FLUSH" }, true},
		"asynchronous flush, but all must have it": {func(b *rocketmq.BrokerConfig) { b.FlushDiskType, b.AllAckInSync = "ASYNC_FLUSH", true }, false},
		"short slaveTimeout, replicated by a count": {func(b *rocketmq.BrokerConfig) {
			b.BrokerRole, b.InSyncReplicas, b.SlaveTimeout = "ASYNC_MASTER", 2, ms
		}, true},
		"short slaveTimeout, replicated to all": {func(b *rocketmq.BrokerConfig) {
			b.BrokerRole, b.InSyncReplicas, b.AllAckInSync, b.SlaveTimeout = "ASYNC_MASTER", 1, true, ms
		}, true},
	} {
		b := rocketmq.BrokerConfig{
			Readable: true, TransactionTimeout: 6 * time.Second, SlaveTimeout: 3 * time.Second, SyncFlushTimeout: 5 * time.Second,
			FlushDiskType: "SYNC_FLUSH", BrokerRole: "SYNC_MASTER", FileReservedTime: 72 * time.Hour, MaxMessageSize: 4 << 20, InSyncReplicas: 2,
		}
		test.change(&b)
		require.Equal(t, test.weak, len(a.weaknesses(b)) > 0, "%s: %v", name, a.weaknesses(b))
	}
}

// RocketMQ's defaults, all of them: what an untuned broker is warned about.
func TestWeaknessesOfAnUntunedBroker(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(config.Input{}, config.NeedNothing)
	require.NoError(t, err)
	ws := (&app{cfg: cfg}).weaknesses(rocketmq.BrokerConfig{
		Readable: true, TransactionTimeout: 6 * time.Second, SlaveTimeout: 3 * time.Second, SyncFlushTimeout: 5 * time.Second,
		FlushDiskType: "ASYNC_FLUSH", BrokerRole: "ASYNC_MASTER", FileReservedTime: 72 * time.Hour, MaxMessageSize: 4 << 20, InSyncReplicas: 1,
	})
	require.Len(t, ws, 1)
	require.Contains(t, ws[0], "flushDiskType ASYNC_FLUSH")

	all := (&app{cfg: cfg}).weaknesses(rocketmq.BrokerConfig{
		Readable: true, TransactionTimeout: time.Hour, SlaveTimeout: 1, SyncFlushTimeout: 1, FlushDiskType: "SYNC_FLUSH",
		BrokerRole: "SYNC_MASTER", FileReservedTime: time.Hour, MaxMessageSize: 1,
	})
	require.Len(t, all, 5, "each weakness is one warning: %v", all)
}

func TestTopicTypes(t *testing.T) {
	t.Parallel()
	exact := relay.Topic{Type: relay.TypeTransaction, Delivery: relay.ExactlyOnce}
	for kind, fine := range map[string]bool{
		"": true, "TRANSACTION": true, "MIXED": true, "NORMAL": false, "FIFO": false, "DELAY": false, "UNSPECIFIED": false, "transaction": false,
	} {
		err := topicFault(exact, rocketmq.TopicReport{Topic: "orders", MessageType: kind})
		require.Equal(t, fine, err == nil, "%q: %v", kind, err)
	}
	report := rocketmq.TopicReport{Topic: "orders", MessageType: "MIXED", NotExact: []string{"its queues move"}}
	require.EqualError(t, topicFault(exact, report), "topic orders cannot be delivered to exactly once: its queues move")
	lenient := relay.Topic{Type: relay.TypeTransaction, Delivery: relay.AtLeastOnce}
	require.NoError(t, topicFault(lenient, report), "it is not read")
	normal := relay.Topic{Type: relay.TypeNormal, Mode: relay.ModeSync, Delivery: relay.AtLeastOnce}
	require.EqualError(t, topicFault(normal, report), "topic orders cannot be served: its queues move")
	report = rocketmq.TopicReport{Topic: "orders", MessageType: "FIFO"}
	require.EqualError(t, topicFault(normal, report), "topic orders cannot be served: its message.type is FIFO and must be NORMAL for type normal "+
		"(mqadmin updateTopic … -a +message.type=NORMAL)")
}

// What nobody answered about is left open and asked again: a broker that is down keeps no rows of the others waiting.
func TestExaminationThatNobodyAnswersStaysOpen(t *testing.T) {
	t.Parallel()
	client, err := rocketmq.New(rocketmq.Options{NameServers: "127.0.0.1:1", Group: "g", Logger: discard()})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	log := &lines{}
	a := &app{cfg: &config.Config{}, brokers: map[string]relay.BrokerSettings{}, examined: map[string]bool{}, client: client, log: telemetry.NewLogger(log, slog.LevelDebug, "json")}
	e := examination{topics: []string{"orders", "mails"}}
	require.NoError(t, a.examine(t.Context(), &e), "not to know is no fault")
	require.Equal(t, examination{topics: []string{"orders", "mails"}}, e)
	require.True(t, e.open())
	require.Len(t, log.with(`"msg":"topic not examined yet"`), 2)
	require.Empty(t, log.with(`"level":"WARN"`))

	for _, open := range []examination{{topics: []string{"orders"}}, {brokers: true}} {
		require.True(t, open.open())
	}
	require.False(t, (&examination{}).open())
	require.False(t, (&examination{topics: []string{}}).open())
}

func TestStatusTableOfEveryState(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	s := Status{
		Schema: "the outbox", Pending: 1_000_000, OldestAge: 90061.5, PutOff: 2, Unbound: 3, Dead: 4, OpenAge: 0.0004,
		Open: []OpenEntries{{"under_10s", 5}, {"older", 6}},
	}
	require.NoError(t, s.WriteTable(&table))
	require.Equal(t, `schema           the outbox
pending rows     1000000
oldest           25h1m1.5s
put off          2
unbound          3
dead             4: outbox-relay dead list
open, under_10s  5
open, older      6
oldest open      0s
relays           none: nobody publishes
`, table.String())

	table.Reset()
	s.Leases = []LeaseStatus{
		{Instance: "pod-1", Shards: 32, ExpiresIn: 9.8765, Version: "v1", Session: "s1", ClientID: "c1"},
		{Instance: "pod-2", Shards: 0, ExpiresIn: -0.25, Version: "v2", Session: "s2", ClientID: "c2"},
	}
	require.NoError(t, s.WriteTable(&table))
	require.NotContains(t, table.String(), "nobody publishes")
	require.Contains(t, table.String(), "relay pod-1      32 of 64 shards, lease expires in 9.877s, version v1, session s1, client c1\n")
	require.Contains(t, table.String(), "relay pod-2      0 of 64 shards, lease expired 250ms ago, version v2, session s2, client c2\n")
}

// Programs read the names of the JSON fields: they must not change by a change of Go's.
func TestStatusJSONFields(t *testing.T) {
	t.Parallel()
	var encoded strings.Builder
	require.NoError(t, Status{Open: []OpenEntries{{}}, Leases: []LeaseStatus{{}}}.WriteJSON(&encoded))
	require.JSONEq(t, `{"schema":"","pending":0,"oldest_age_seconds":0,"put_off":0,"unbound":0,"dead":0,
		"open":[{"age":"","messages":0}],"open_age_seconds":0,"need_person":0,
		"leases":[{"instance":"","session":"","client_id":"","version":"","shards":0,"expires_in_seconds":0,"started_unix":0}]}`, encoded.String())
	full := &failingWriter{}
	require.Error(t, Status{}.WriteJSON(full))
	require.Error(t, Status{}.WriteTable(full))
}

// failingWriter is a pipe whose reader has gone.
type failingWriter struct{}

func (*failingWriter) Write([]byte) (int, error) { return 0, errAway }
