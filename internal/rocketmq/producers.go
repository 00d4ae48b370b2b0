package rocketmq

import (
	"context"
	"errors"
	"strconv"
)

// producers are the sessions of a client: as many producers of the group as Options.Producers says. One is enough to be asked
// about half messages; a broker asks them in turn.
type producers struct{ each []*session }

// instanceNames names the producers: unique in the cluster, because brokers list a producer as address@instance, and many
// containers share addresses and process ids.
func instanceNames(o *Options) []string {
	names := make([]string, o.Producers)
	for i := range names {
		names[i] = o.Instance
		if i > 0 {
			names[i] += "-" + strconv.Itoa(i+1)
		}
		names[i] += "#" + randomHex(4)
	}
	return names
}

// newProducers makes and starts them.
func (c *Client) newProducers() (*producers, error) {
	p := &producers{}
	for _, instance := range c.instances {
		s, err := c.newSession(instance)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		c.options.OnProducer()
		p.each = append(p.each, s)
	}
	return p, nil
}

// clientIDs is how brokers list the producers (mqadmin producerConnection).
func clientIDs(instances []string) []string {
	ip := clientIP()
	ids := make([]string, len(instances))
	for i, instance := range instances {
		ids[i] = ip + "@" + instance
	}
	return ids
}

// bind makes the brokers of the topics known to every producer.
func (p *producers) bind(ctx context.Context, topics []string) error {
	for _, s := range p.each {
		if err := s.bind(ctx, topics); err != nil {
			return err
		}
	}
	return nil
}

// registerSoon has every producer send a heartbeat now.
func (p *producers) registerSoon() {
	if p == nil {
		return
	}
	for _, s := range p.each {
		s.registerSoon()
	}
}

func (p *producers) close() error {
	var errs []error
	for _, s := range p.each {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
