package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
)

// Discover finds the masters that are registered at the name servers, and how they flush.
func Discover(ctx context.Context, access rocketmq.Options) (_ []Broker, err error) {
	client, err := rocketmq.New(access)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	masters, err := client.Masters(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the brokers: %w", err)
	}
	pool, err := newPool(access.Remoting(true))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	w := &Bench{pool: pool}
	var brokers []Broker
	for _, name := range slices.Sorted(maps.Keys(masters)) {
		config, err := w.brokerConfig(ctx, masters[name])
		if err != nil {
			return nil, fmt.Errorf("ask the broker %s how it flushes: %w", name, err)
		}
		b := Broker{Name: name, Address: masters[name], Flush: Async}
		if config["flushDiskType"] == "SYNC_FLUSH" {
			b.Flush = Sync
		}
		brokers = append(brokers, b)
	}
	if len(brokers) == 0 {
		return nil, errors.New("no master is registered at the name servers")
	}
	return brokers, nil
}

// Announce says what a run will make on the servers, before it does.
func (c Config) Announce(out io.Writer, database string) error {
	var brokers []string
	for _, b := range c.Servers.Brokers {
		brokers = append(brokers, fmt.Sprintf("%s at %s (%s flush)", b.Name, b.Address, b.Flush))
	}
	_, err := fmt.Fprintf(out, `This benchmark works in
  the database  %s
  the brokers   %s
There it makes, for each of %d cases in %d rounds, schemas and topics named %s and eight
random digits, with up to %d rows, and removes them when the case is over, also when it is
interrupted. Nothing else is touched; whatever else uses these servers meanwhile is slowed down.
`, database, strings.Join(brokers, ", "), len(c.Cases), c.Repeat, prefix, c.Scale.rows(c.mostRows()))
	return err
}

func (c Config) mostRows() int {
	most := 1
	for _, one := range c.Cases {
		most = max(most, one.Rows)
	}
	return most
}
