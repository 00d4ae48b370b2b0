package rocketmq

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// heartbeatEvery is how often a broker hears of the group's producers; it forgets those it did not hear of for 120 s
// (ProducerManager.CHANNEL_EXPIRED_TIMEOUT). It must be below the idle limit of connections.
const heartbeatEvery = 30 * time.Second

// A session is what makes a producer known to brokers: it registers the group with every broker of the bound topics, at once and
// then by heartbeats, and answers their check-backs. It sends no message. It has a connection to each broker, apart from those
// that carry messages, because brokers ask on the connection that the heartbeat came on.
//
// The official client (rocketmq-client-go v2) has one too. It takes each check-back into a goroutine of its own and lets them
// wait: a broker that asked about 165,000 halves within seconds made 8,000 of them, and 267 MB. It verifies no certificate, signs
// without the security token, and keeps the credentials that it was made with. Why it does not send either:
//
//   - it cannot send half messages concurrently: SendMessageInTransaction is one call from half to commit;
//   - it sends END_TRANSACTION and throws the broker's answer away, so that nobody knows whether a commit took place;
//   - it retries a half under the same UNIQ_KEY, which leaves several halves of one id;
//   - it dials every broker under one lock, so that a dead one stops the sends to all.
type session struct {
	log      *slog.Logger
	servers  *nameServers
	brokers  *remoting.Pool
	timeout  time.Duration
	group    string
	id       string
	beat     []byte // body of a heartbeat
	checks   *checkbacks
	asked    chan checkback
	soon     chan struct{} // a connection was lost: register again
	stop     context.CancelFunc
	done     context.Context //nolint:containedctx // It is the session's life.
	working  sync.WaitGroup
	beating  sync.Mutex // held by the one who sends heartbeats
	mu       sync.Mutex
	topics   map[string]map[string]string // master by broker name, by topic
	troubled map[string]string            // what was logged last, by address
}

// newSession starts a session under an instance name. It connects when it is bound.
func (c *Client) newSession(instance string) (*session, error) {
	o, servers := &c.options, c.servers
	checks := &checkbacks{log: c.log, check: o.Check, onCheck: o.OnCheck, names: c.names, traces: c.traces}
	s := &session{
		log: o.Logger, servers: servers, timeout: o.RequestTimeout, group: o.Group, checks: checks,
		id:    clientIP() + "@" + instance,
		asked: make(chan checkback, checksWaiting), soon: make(chan struct{}, 1),
		topics: make(map[string]map[string]string), troubled: make(map[string]string),
	}
	var err error
	if s.beat, err = heartbeatOf(s.id, o.Group); err != nil {
		return nil, err
	}
	r := o.remoting(c.keys, true)
	r.Connections = 1
	r.OnRequest = s.request
	r.OnLost = func(string) { s.registerSoon() }
	// A broker that comes back is registered with by the request that finds out: it need not wait for the next heartbeat.
	r.Probe = func(b *remoting.Batch) { _ = s.addHeartbeat(b) }
	if s.brokers, err = remoting.NewPool(r); err != nil {
		return nil, fmt.Errorf("connections of the session: %w", err)
	}
	s.done, s.stop = context.WithCancel(context.Background())
	s.working.Go(s.answer)
	s.working.Go(s.heartbeats)
	return s, nil
}

// heartbeatOf encodes HeartbeatData.
func heartbeatOf(id, group string) ([]byte, error) {
	type producer struct {
		GroupName string `json:"groupName"`
	}
	return json.Marshal(struct {
		ClientID  string     `json:"clientID"`
		Producers []producer `json:"producerDataSet"`
		Consumers []string   `json:"consumerDataSet"` // empty, and not null: the broker walks through it
	}{id, []producer{{group}}, []string{}})
}

func (s *session) addHeartbeat(b *remoting.Batch) error {
	b.Begin(reqHeartbeat)
	return b.End(s.beat)
}

// bind registers with every master of the topics. One that does not answer is registered with as soon as it does.
func (s *session) bind(ctx context.Context, topics []string) error {
	for _, topic := range topics {
		if err := s.locate(ctx, topic); err != nil {
			return &TopicError{Topic: topic, Err: err}
		}
	}
	s.register(ctx)
	return nil
}

// locate asks for the masters of a topic.
func (s *session) locate(ctx context.Context, topic string) error {
	route, err := s.servers.route(ctx, topic)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.topics[topic] = route.masters
	return nil
}

// addresses returns the masters of all topics.
func (s *session) addresses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]bool)
	for _, masters := range s.topics {
		for _, address := range masters {
			all[address] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// register sends a heartbeat to every master, to all at once, and returns when each has answered or failed.
func (s *session) register(ctx context.Context) {
	s.beating.Lock()
	defer s.beating.Unlock()
	var all sync.WaitGroup
	for _, address := range s.addresses() {
		all.Go(func() {
			_, err := success(s.brokers.Call(ctx, address, s.timeout, s.addHeartbeat))
			if ctx.Err() == nil {
				s.report(address, err)
			}
		})
	}
	all.Wait()
}

// report logs what became of a heartbeat, where that is news.
func (s *session) report(address string, err error) {
	now := ""
	if err != nil {
		now = "not reachable"
		var code *CodeError
		if errors.As(err, &code) {
			now = code.Error()
		}
	}
	s.mu.Lock()
	before, known := s.troubled[address]
	s.troubled[address] = now
	s.mu.Unlock()
	switch {
	case known && before == now:
	case now == "":
		s.log.Info("registered with the broker", slog.String("address", address), slog.String("group", s.group))
	default:
		s.log.Warn("not registered with the broker, which therefore cannot ask about half messages", slog.String("address", address),
			slog.String("group", s.group), slog.String("error", err.Error()))
	}
}

func (s *session) registerSoon() {
	select {
	case s.soon <- struct{}{}:
	default:
	}
}

// heartbeats keeps the group registered, with the masters as they are routed then.
func (s *session) heartbeats() {
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.relocate()
		case <-s.soon:
		case <-s.done.Done():
			return
		}
		s.register(s.done)
	}
}

// relocate asks anew where the topics are. A route that cannot be had stays as it was.
func (s *session) relocate() {
	s.mu.Lock()
	topics := slices.Sorted(maps.Keys(s.topics))
	s.mu.Unlock()
	for _, topic := range topics {
		if err := s.locate(s.done, topic); err != nil && s.done.Err() == nil {
			s.log.Debug("the session cannot refresh a route", slog.String("topic", topic), slog.String("error", err.Error()))
		}
	}
}

// close tells the brokers. One that does not listen finds out by the end of the connection.
func (s *session) close() error {
	s.checks.stop()
	s.stop()
	s.working.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	var all sync.WaitGroup
	for _, address := range s.addresses() {
		if !s.brokers.Available(address) {
			continue
		}
		all.Go(func() {
			_, err := success(s.brokers.Call(ctx, address, s.timeout, func(b *remoting.Batch) error {
				b.Begin(reqUnregisterClient)
				b.String("clientID", s.id)
				b.String("producerGroup", s.group)
				return b.End(nil)
			}))
			if err != nil {
				s.log.Debug("not unregistered", slog.String("address", address), slog.String("error", err.Error()))
			}
		})
	}
	all.Wait()
	s.brokers.Close()
	return nil
}

// clientIP is this machine in a client id, as other clients choose it: the first IPv4 address that is not a loopback.
func clientIP() string {
	interfaces, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
				return n.IP.To4().String()
			}
		}
	}
	return ""
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
