package app

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/config"
	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
)

// brokers are what an operator's command sees of RocketMQ. It opens no session: a command is no producer of the group.
type brokers struct {
	client  *rocketmq.Client  // nil if no name servers are configured
	masters map[string]string // by broker name; nil if no name server answers
	unknown error             // why masters is nil
}

// askBrokers asks the name servers, if any are configured. That none answers is no error: a broker that is gone may have taken
// them along.
func askBrokers(ctx context.Context, cfg *config.Config) (*brokers, error) {
	if len(cfg.NameServers) == 0 {
		return &brokers{unknown: errNoNameServers}, nil
	}
	client, err := rocketmq.New(Access(cfg))
	if err != nil {
		return nil, err
	}
	b := &brokers{client: client}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b.masters, b.unknown = client.Masters(ctx)
	return b, nil
}

// Access is how a command connects to name servers and brokers, with credentials and TLS.
func Access(cfg *config.Config) rocketmq.Options {
	options := rocketmq.Options{
		NameServers: strings.Join(cfg.NameServers, ";"), Group: cfg.Group, Namespace: cfg.Namespace, Instance: cfg.Instance,
		Logger: slog.New(slog.DiscardHandler),
	}
	secure(&options, cfg)
	return options
}

// known reports whether it is known which brokers are registered.
func (b *brokers) known() bool { return b.masters != nil }

func (b *brokers) master(broker string) (address string, registered bool) {
	address, registered = b.masters[broker]
	return address, registered
}

func (b *brokers) close() {
	if b.client != nil {
		_ = b.client.Close() // there was no session
	}
}

// queues returns the writable queues of a topic.
func (b *brokers) queues(ctx context.Context, topic string) ([]relay.Queue, error) {
	if b.client == nil {
		return nil, errNoNameServers
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	queues, err := b.client.WritableQueues(ctx, topic)
	relay.SortQueues(queues)
	return queues, err
}
