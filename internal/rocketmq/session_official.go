package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	official "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// An officialSession is the official client's transaction producer, used for what makes a producer known to brokers: it registers the
// group, binds every topic at start (so that brokers can ask about half messages of an earlier life of the relay), sends
// heartbeats, and delivers check-backs.
//
// It sends no message, because the official client (rocketmq-client-go v2)
//
//   - cannot send half messages concurrently: SendMessageInTransaction is one call from half to commit;
//   - sends END_TRANSACTION and throws the broker's answer away, so that nobody knows whether a commit took place;
//   - retries a half under the same UNIQ_KEY, which leaves several halves of one id;
//   - dials every broker under one lock, so that a dead one stops the sends to all.
//
// Halves and commits go over package remoting. The two share the group and nothing else.
type officialSession struct {
	log      *slog.Logger
	group    string
	instance string // unique
	selector *probeSelector
	producer official.TransactionProducer
	checks   *checkbacks
}

// How long the official client may take over one step. It keeps these for the whole process.
const (
	sessionDial  = time.Second
	sessionRead  = time.Minute // must be above its heartbeat interval, 30 s
	sessionWrite = 5 * time.Second
)

// officialClient guards what the official client keeps for the whole process and reads without a lock: its logger and its
// timeouts. They are set before the first producer is made, and never again.
//
//nolint:gochecknoglobals // It guards globals of the official client.
var officialClient struct {
	sync.Mutex
	configured bool
}

// newOfficialSession makes a producer of the group; it does not connect.
func newOfficialSession(o *Options, instance string, nameServers []string, checks *checkbacks) (*officialSession, error) {
	s := &officialSession{
		log: o.Logger, group: o.Group, instance: instance, selector: newProbeSelector(), checks: checks,
	}
	options := []producer.Option{
		producer.WithGroupName(o.Group),
		producer.WithInstanceName(s.instance),
		producer.WithNsResolver(&resolver{nameServers: nameServers, lookup: net.DefaultResolver.LookupHost}),
		producer.WithQueueSelector(s.selector),
		producer.WithRetry(0),
		producer.WithCreateTopicKey(""), // else a topic that does not exist would be routed as TBW102
		producer.WithSendMsgTimeout(o.RequestTimeout),
	}
	if c := o.Credentials; c.AccessKey != "" {
		options = append(options, producer.WithCredentials(primitive.Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey}))
	}
	officialClient.Lock()
	defer officialClient.Unlock()
	if !officialClient.configured {
		rlog.SetLogger(&officialLog{o.Logger})
		options = append(options, producer.WithRemotingTimeout(sessionDial, sessionRead, sessionWrite))
	}
	p, err := producer.NewTransactionProducer(checks, options...)
	if err != nil {
		return nil, fmt.Errorf("make the producer of group %s: %w", o.Group, err)
	}
	officialClient.configured = true
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("start the producer of group %s: %w", o.Group, err)
	}
	s.producer = p
	return s, nil
}

// clientID is how brokers list this producer (mqadmin producerConnection).
func (s *officialSession) clientID() string { return clientIP() + "@" + s.instance }

// bind makes the brokers of the topics known to the official client, which then sends them heartbeats: the first one second
// after its start, and each 30 s. Only brokers that have had one can ask about half messages.
func (s *officialSession) bind(ctx context.Context, topics []string) error {
	result := make(chan error, 1)
	go func() { // its lookups do not heed a context
		var errs []error
		for _, topic := range topics {
			if err := s.probe(topic); err != nil {
				errs = append(errs, err)
			}
		}
		result <- errors.Join(errs...)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return unreachable(fmt.Errorf("bind the topics of group %s: %w", s.group, context.Cause(ctx)))
	}
}

// probe asks for a queue for a message and has the selector refuse to name one: the topic is then routed and refreshed, and
// nothing is sent. The call always returns an error, the same for topics that exist and others; whether the selector was
// offered queues makes the difference.
func (s *officialSession) probe(topic string) error {
	s.selector.forget(topic)
	_, err := s.producer.SendMessageInTransaction(context.Background(), primitive.NewMessage(topic, []byte("probe")))
	if s.selector.offered(topic) {
		return nil
	}
	return &TopicError{Topic: topic, Err: unreachable(fmt.Errorf("the session cannot route it: %w", err))}
}

func (s *officialSession) quiesce() { s.checks.stop() }

func (s *officialSession) close() error {
	if err := s.producer.Shutdown(); err != nil {
		return fmt.Errorf("shut down the producer of group %s: %w", s.group, err)
	}
	return nil
}

// A probeSelector refuses every message and remembers for which topics it was offered queues.
type probeSelector struct {
	mu     sync.Mutex
	queues map[string]int
}

func newProbeSelector() *probeSelector { return &probeSelector{queues: make(map[string]int)} }

// Select implements producer.QueueSelector.
func (p *probeSelector) Select(m *primitive.Message, queues []*primitive.MessageQueue, _ string) *primitive.MessageQueue {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queues[m.Topic] = len(queues)
	return nil
}

func (p *probeSelector) offered(topic string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queues[topic] > 0
}

func (p *probeSelector) forget(topic string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.queues, topic)
}
