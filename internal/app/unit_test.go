package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
	"github.com/outbox-relay/outbox-relay/internal/telemetry"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestClosersRunInReverseAndAllOfThem(t *testing.T) {
	t.Parallel()
	var order []string
	c := closers{log: discard()}
	end := func(name string, err error) {
		c.add(name, func(context.Context) error {
			order = append(order, name)
			return err
		})
	}
	broken := errors.New("broken")
	end("first", nil)
	end("second", broken)
	end("third", nil)
	err := c.close(t.Context())
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "close second: broken")
	require.Equal(t, []string{"third", "second", "first"}, order)
	require.NoError(t, c.close(t.Context()), "nothing is closed twice")
	require.Len(t, order, 3)
}

func TestCloserThatHangsIsLeftBehind(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	closed := make(chan struct{}, 1)
	c := closers{log: discard()}
	c.add("hasty", func(context.Context) error {
		closed <- struct{}{}
		return nil
	})
	c.add("stuck", func(context.Context) error {
		<-release
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, c.close(ctx), "close stuck: context deadline exceeded")
	<-closed
}

// waiting makes an app that can await, and its log.
func waiting() (*app, *lines) {
	log := &lines{}
	return &app{
		log: telemetry.NewLogger(log, slog.LevelInfo, "json"), progress: telemetry.NewProgress(time.Now),
		conditions: telemetry.NewConditions("thing", "other"),
	}, log
}

func TestAwaitLogsEachReasonOnce(t *testing.T) {
	t.Parallel()
	a, log := waiting()
	tries := 0
	err := a.await(t.Context(), "thing", func(context.Context) error {
		tries++
		switch {
		case tries < 4:
			return errors.New("refused\n\tby all")
		case tries < 5:
			return errors.New("timed out")
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 5, tries)
	require.Len(t, log.with(`"msg":"waiting"`, `"for":"thing"`, `"reason":"refused; by all"`), 1)
	require.Len(t, log.with(`"msg":"waiting"`, `"reason":"timed out"`), 1)
	require.Len(t, log.with(`"msg":"reached"`, `"condition":"thing"`), 1)
	require.Empty(t, log.with("readiness changed"), "the other condition does not hold")
	a.set(t.Context(), "other", "")
	require.Len(t, log.with("readiness changed", `"ready":true`), 1)
	a.set(t.Context(), "thing", "lost")
	require.Len(t, log.with("readiness changed", `"ready":false`), 1)
}

func TestAwaitEndsForMistakesAndStops(t *testing.T) {
	t.Parallel()
	a, _ := waiting()
	wrong := errors.New("wrong")
	err := a.await(t.Context(), "thing", func(context.Context) error { return mistake(wrong) })
	require.ErrorIs(t, err, wrong)
	require.EqualError(t, err, "wrong")
	require.False(t, a.conditions.Ready())

	ctx, cancel := context.WithCancel(t.Context())
	err = a.await(ctx, "thing", func(context.Context) error {
		cancel()
		return errors.New("away")
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestWhatRulesExactlyOnceOut(t *testing.T) {
	t.Parallel()
	exact := relay.Topic{Type: relay.TypeTransaction, Delivery: relay.ExactlyOnce}
	for _, fine := range []rocketmq.TopicReport{{Topic: "t"}, {Topic: "t", MessageType: "TRANSACTION"}, {Topic: "t", MessageType: "MIXED"}} {
		require.NoError(t, topicFault(exact, fine))
	}
	err := topicFault(exact, rocketmq.TopicReport{Topic: "t", MessageType: "DELAY", NotExact: []string{"one", "two"}})
	require.ErrorContains(t, err, "topic t cannot be delivered to exactly once: its message.type is DELAY")
	require.ErrorContains(t, err, "; one; two")

	for version, fenced := range map[string]bool{"V5_3_3": true, "V5_1_4": true, "": true, "V5_1_0": false, "V4_9_7": false} {
		err := brokerFault(rocketmq.BrokerConfig{Broker: "b0", Version: version})
		if fenced {
			require.NoError(t, err, version)
		} else {
			require.ErrorContains(t, err, "broker b0 is of version "+version)
		}
	}
}

func TestWhatWeakensThePromise(t *testing.T) {
	t.Parallel()
	a := &app{cfg: &config.Config{Window: 10 * time.Second, CommitTimeout: 2500 * time.Millisecond}}
	good := rocketmq.BrokerConfig{
		Readable: true, TransactionTimeout: 6 * time.Second, SlaveTimeout: 3 * time.Second, SyncFlushTimeout: 5 * time.Second,
		FlushDiskType: "SYNC_FLUSH", BrokerRole: "SYNC_MASTER", FileReservedTime: 72 * time.Hour, MaxMessageSize: 4 << 20, InSyncReplicas: 2,
	}
	require.Empty(t, a.weaknesses(good))
	for want, change := range map[string]func(*rocketmq.BrokerConfig){
		"configuration cannot be read":                 func(b *rocketmq.BrokerConfig) { b.Readable = false },
		"window (10s) is below its transactionTimeOut": func(b *rocketmq.BrokerConfig) { b.TransactionTimeout = 11 * time.Second },
		"not below its slaveTimeout (1s)":              func(b *rocketmq.BrokerConfig) { b.SlaveTimeout = time.Second },
		"not below its syncFlushTimeout (1ms)":         func(b *rocketmq.BrokerConfig) { b.SyncFlushTimeout = time.Millisecond },
		"not on disk (flushDiskType ASYNC_FLUSH)":      func(b *rocketmq.BrokerConfig) { b.FlushDiskType = "ASYNC_FLUSH" },
		"its maxMessageSize (65536) is below":          func(b *rocketmq.BrokerConfig) { b.MaxMessageSize = 65536 },
		"it keeps messages for 1h0m0s only":            func(b *rocketmq.BrokerConfig) { b.FileReservedTime = time.Hour },
	} {
		b := good
		change(&b)
		ws := a.weaknesses(b)
		require.Len(t, ws, 1, want)
		require.Contains(t, ws[0], want)
	}
	alone := good
	alone.BrokerRole, alone.InSyncReplicas, alone.SlaveTimeout = "ASYNC_MASTER", 1, time.Millisecond
	require.Empty(t, a.weaknesses(alone), "it waits for no slave")
	replicated := good
	replicated.FlushDiskType, replicated.AllAckInSync, replicated.SyncFlushTimeout = "ASYNC_FLUSH", true, time.Millisecond
	require.Empty(t, a.weaknesses(replicated), "it waits for no disk, and keeps what it acknowledged elsewhere")
}

func TestGroupThatIsSharedIsAnAlert(t *testing.T) {
	t.Parallel()
	metrics, err := relay.NewMetrics(noop.Meter{})
	require.NoError(t, err)
	log := &lines{}
	a := &app{log: telemetry.NewLogger(log, slog.LevelInfo, "json"), metrics: metrics}
	a.foreign(txcheck.Half{Group: "g", Origin: "not ours", Topic: "t"})
	require.Len(t, log.with("the producer group is shared", `"origin":"not ours"`, `"alert":true`), 1)
}

func TestEverySettingReachesTheRelay(t *testing.T) {
	t.Parallel()
	client, err := rocketmq.New(rocketmq.Options{NameServers: "127.0.0.1:1", Group: "g", Logger: discard()})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	a := &app{version: "v1", client: client, cfg: &config.Config{
		Instance: "i", Topics: []config.Topic{{Name: "t", Type: "transaction", OnDead: "skip", Delivery: "exactly_once"}},
		Batch: config.Batch{Rows: 11, Bytes: 12, InFlight: 13}, Send: config.Send{Messages: 31, Bytes: 32}, Poll: config.Poll{Busy: 14, Idle: 15}, Window: 16 * time.Second,
		AppendMargin: 17, CommitTimeout: 18, Lease: config.Lease{Duration: 190, Renew: 20}, Retention: 21,
		Retry: config.Retry{Initial: 22, Factor: 2.3, Jitter: 0.24, Max: 25}, Log: config.Log{Sends: true},
	}}
	got := a.relayConfig()
	want := relay.Config{
		Instance: "i", Version: "v1", Topics: []relay.Topic{{Name: "t", Type: relay.TypeTransaction, OnDead: relay.OnDeadSkip, Delivery: relay.ExactlyOnce}},
		BatchRows: 11, BatchBytes: 12, InFlight: 13, SendMessages: 31, SendBytes: 32, PollBusy: 14, PollIdle: 15, Window: 16 * time.Second, AppendMargin: 17, CommitTimeout: 18,
		Lease: 190, Renew: 20, Retention: 21, Retry: relay.Backoff{Initial: 22, Factor: 2.3, Jitter: 0.24, Max: 25}, LogSends: true,
	}
	require.Equal(t, want, got)
	require.NoError(t, got.Validate())
}

// The defaults are written down twice, for users and for the flow's own tests; they must be the same.
func TestDefaultsAreTheRelaysOwn(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(config.Input{}, config.NeedNothing)
	require.NoError(t, err)
	client, err := rocketmq.New(rocketmq.Options{NameServers: "127.0.0.1:1", Group: "g", Logger: discard()})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	got := (&app{client: client, cfg: cfg}).relayConfig()
	want := relay.DefaultConfig()
	want.Instance, want.Topics = got.Instance, got.Topics
	require.Equal(t, want, got)
}
