package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
	"github.com/outbox-relay/outbox-relay/outbox"
)

// examination is what of the topics and brokers was not looked at yet, because somebody did not answer.
type examination struct {
	access  []string // topics
	topics  []string
	brokers bool
}

func (e *examination) open() bool { return len(e.access) > 0 || len(e.topics) > 0 || e.brokers }

// examine looks whether the topics and brokers are such that exactly-once delivery can be promised. It returns what rules it
// out; what only weakens it is logged. Who does not answer is left for later: one broker that is down must not keep the rows
// of the others waiting.
func (a *app) examine(ctx context.Context, e *examination) error {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	if err := a.examineAccess(ctx, e); err != nil {
		return err
	}
	var faults []error
	later := []string{}
	for _, topic := range e.topics {
		report, err := a.client.CheckTopic(ctx, topic)
		if err != nil {
			later = append(later, topic)
			a.log.DebugContext(ctx, "topic not examined yet", slog.String("topic", topic), slog.String("error", OneLine(err)))
			continue
		}
		faults = append(faults, topicFault(a.topic(topic), report))
	}
	e.topics = later
	if e.brokers {
		faults = append(faults, proxyAsNameServer(a.client.Proxies(ctx)))
		brokers, err := a.client.BrokerConfigs(ctx)
		if err != nil {
			a.log.DebugContext(ctx, "brokers not examined yet", slog.String("error", OneLine(err)))
			return errors.Join(faults...)
		}
		faults = append(faults, proxiesAmong(brokers)...)
		e.brokers = false
		for _, b := range brokers {
			settings := relay.BrokerSettings{MaxBody: b.MaxMessageSize, TransactionTimeout: b.TransactionTimeout}
			a.brokers[b.Broker], a.examined[b.Broker] = settings, true
			if r := a.relay.Load(); r != nil {
				r.SetBroker(b.Broker, settings)
			}
			if fault := brokerFault(b); a.exact() {
				faults = append(faults, fault)
			} else if fault != nil {
				a.log.WarnContext(ctx, "broker", slog.String("broker", b.Broker), slog.String("warning", fault.Error()))
			}
			for _, w := range a.weaknesses(b) {
				a.log.WarnContext(ctx, "broker", slog.String("broker", b.Broker), slog.String("warning", w))
			}
		}
	}
	return errors.Join(faults...)
}

func topicFault(t relay.Topic, r rocketmq.TopicReport) error {
	var reasons []string
	// Brokers do not enforce the type, but proxies and consoles go by it. MIXED takes everything.
	if want := strings.ToUpper(t.Type); r.MessageType != "" && r.MessageType != want && r.MessageType != "MIXED" {
		reasons = append(reasons, fmt.Sprintf("its message.type is %s and must be %s for type %s (mqadmin updateTopic … -a +message.type=%s)",
			r.MessageType, want, t.Type, want))
	}
	if t.Exact() || t.Type != relay.TypeTransaction {
		reasons = append(reasons, r.NotExact...)
	}
	switch {
	case len(reasons) == 0:
		return nil
	case t.Exact():
		return fmt.Errorf("topic %s cannot be delivered to exactly once: %s", r.Topic, strings.Join(reasons, "; "))
	default:
		return fmt.Errorf("topic %s cannot be served: %s", r.Topic, strings.Join(reasons, "; "))
	}
}

func brokerFault(b rocketmq.BrokerConfig) error {
	if b.Version != "" && !b.HasFence() {
		return fmt.Errorf("broker %s is of version %s: before 5.1.4 a broker accepts a commit at any time, so exactly-once delivery cannot be promised",
			b.Broker, b.Version)
	}
	return nil
}

// weaknesses says what about a broker's configuration weakens the promise, or makes the relay slow.
func (a *app) weaknesses(b rocketmq.BrokerConfig) []string {
	if !b.Readable {
		return []string{"its configuration cannot be read: whether it keeps what it acknowledges, and how long it waits, is not checked"}
	}
	var ws []string
	warn := func(weak bool, format string, args ...any) {
		if weak {
			ws = append(ws, fmt.Sprintf(format, args...))
		}
	}
	warn(b.TransactionTimeout > a.cfg.Window, "window (%s) is below its transactionTimeOut (%s), which therefore holds instead",
		a.cfg.Window, b.TransactionTimeout)
	replicated := b.BrokerRole == "SYNC_MASTER" || b.AllAckInSync || b.InSyncReplicas > 1
	warn(replicated && b.SlaveTimeout > 0 && b.SlaveTimeout <= a.cfg.CommitTimeout,
		"commit_timeout (%s) is not below its slaveTimeout (%s): a commit that no slave has may count as confirmed", a.cfg.CommitTimeout, b.SlaveTimeout)
	synced := b.FlushDiskType == "SYNC_FLUSH"
	warn(synced && b.SyncFlushTimeout > 0 && b.SyncFlushTimeout <= a.cfg.CommitTimeout,
		"commit_timeout (%s) is not below its syncFlushTimeout (%s): a commit that is not on disk may count as confirmed", a.cfg.CommitTimeout, b.SyncFlushTimeout)
	warn(!synced && !b.AllAckInSync, "it acknowledges what is not on disk (flushDiskType %s): a power cut can lose confirmed messages", b.FlushDiskType)
	warn(b.MaxMessageSize > 0 && b.MaxMessageSize < outbox.MaxPayloadBytes,
		"its maxMessageSize (%d) is below what the library lets through (%d): larger rows are dead letters before they are sent", b.MaxMessageSize, outbox.MaxPayloadBytes)
	warn(b.FileReservedTime > 0 && b.FileReservedTime < 24*time.Hour,
		"it keeps messages for %s only: a commit in doubt for longer can never be decided", b.FileReservedTime)
	return ws
}
