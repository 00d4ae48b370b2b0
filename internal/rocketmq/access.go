package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// ErrAccess means that a server does not let us in, or not do what the relay must do. Waiting does not mend it; the text says what does.
var ErrAccess = errors.New("no access")

// A right is what a user must be allowed to do, by ACL 2.0: an action on a resource.
type right struct{ action, resource string }

// A probe is a harmless request that is refused where a right is missing.
type probe struct {
	right right
	why   string
	fill  func(c *Client, b *remoting.Batch) error
}

// probes are one request for each right that the relay needs for a topic. docs/connecting.md lists them.
func probes(topic string) []probe {
	of := "Topic:" + topic
	return []probe{
		{right{"Get", of}, "to see where queues end and to look up messages", askEnd(topic)},
		{right{"Pub", of}, "to send and commit", sendNowhere(topic)},
		{right{"Sub", of}, "to read back what became of a commit", pullFrom(topic)},
		// For a retry topic the broker asks for the right to the group only.
		{right{"Sub", "Group:" + readGroup}, "to read back what became of a commit", pullFrom("%RETRY%" + readGroup)},
		{right{"Get", "Topic:" + halfTopic}, "to see how far the broker's dispatcher is", askEnd(halfTopic)},
	}
}

// keeperProbes are those for the topic on which a broker keeps delayed messages.
func keeperProbes(keeper string) []probe {
	of := "Topic:" + keeper
	return []probe{
		{right{"Get", of}, "to see where delayed messages are kept", askEnd(keeper)},
		{right{"Sub", of}, "to read back what became of a delayed message", pullFrom(keeper)},
	}
}

func askEnd(topic string) func(*Client, *remoting.Batch) error {
	return func(_ *Client, b *remoting.Batch) error {
		b.Begin(reqGetMaxOffset)
		b.String("topic", topic)
		b.Int("queueId", 0)
		return b.End(nil)
	}
}

// sendNowhere sends a half message to a queue that cannot exist, which the broker refuses once it has found the right to send.
// It would stay invisible if it were stored. (The right to END_TRANSACTION is the same; ACL 1.0 does not ask for it.)
func sendNowhere(topic string) func(*Client, *remoting.Batch) error {
	return func(c *Client, b *remoting.Batch) error {
		b.Begin(reqSendMessageV2)
		b.String("a", c.options.Group)
		b.String("b", topic)
		b.String("c", "TBW102")
		b.Int("d", 4)
		b.Int("e", math.MaxInt32) // the queue
		b.Int("f", transactionPrepared)
		b.Int("g", time.Now().UnixMilli())
		b.Int("h", 0)
		b.String("i", "TRAN_MSG"+string(nameEnd)+"true"+string(valueEnd)+"PGROUP"+string(nameEnd)+c.options.Group+string(valueEnd))
		b.Int("j", 0)
		b.Bool("k", false)
		b.Int("l", 0)
		b.Bool("m", false)
		return b.End([]byte("probe"))
	}
}

func pullFrom(topic string) func(*Client, *remoting.Batch) error {
	return func(_ *Client, b *remoting.Batch) error { return pullRequest(b, topic, 0, 0, 1) }
}

// CheckAccess looks whether the masters of the topics let us in, and do there what the relay must do; delayed are those topics
// whose messages are delayed. It returns everything that is wrong, joined, as ErrAccess; without that, an error means that
// somebody did not answer.
func (c *Client) CheckAccess(ctx context.Context, topics []string, delayed ...string) error {
	var faults, silent []error
	masters := make(map[string]*visit)
	for _, topic := range topics {
		route, err := c.servers.route(ctx, topic)
		if errors.Is(err, ErrAccess) {
			return &TopicError{Topic: topic, Err: err}
		}
		if err != nil {
			silent = append(silent, &TopicError{Topic: topic, Err: err})
			continue
		}
		for broker, address := range route.masters {
			if masters[broker] == nil {
				masters[broker] = &visit{address: address}
			}
			masters[broker].add(topic, slices.Contains(delayed, topic))
		}
	}
	for _, broker := range slices.Sorted(maps.Keys(masters)) {
		switch err := c.visit(ctx, broker, masters[broker]); {
		case errors.Is(err, ErrAccess):
			faults = append(faults, err)
		case err != nil:
			silent = append(silent, err)
		}
	}
	return errors.Join(append(faults, silent...)...)
}

// A visit is what is asked of one broker.
type visit struct {
	address string
	probes  []probe
	delays  bool // messages
}

func (v *visit) add(topic string, delayed bool) {
	v.probes = append(v.probes, probes(topic)...)
	v.delays = v.delays || delayed
}

func (c *Client) visit(ctx context.Context, broker string, v *visit) error {
	if v.delays {
		delays, err := c.Delays(ctx, v.address)
		if err != nil {
			return err
		}
		v.probes = append(v.probes, keeperProbes(delays.Keeper())...)
	}
	return c.accessTo(ctx, broker, v.address, v.probes)
}

// accessTo looks at one broker.
func (c *Client) accessTo(ctx context.Context, broker, address string, needed []probe) error {
	where := fmt.Sprintf("broker %s at %s", broker, address)
	var missing []probe
	old := false // ACL 1.0
	asked := make(map[right]bool)
	for i, p := range needed {
		if asked[p.right] {
			continue // topics have some in common
		}
		asked[p.right] = true
		cmd, err := c.brokers.Call(ctx, address, c.options.RequestTimeout, func(b *remoting.Batch) error { return p.fill(c, b) })
		if err != nil {
			return fmt.Errorf("%s: %w", where, c.explain(ctx, address, c.options.TLS != nil, unreachable(err)))
		}
		denied := isDenial(cmd.Code, cmd.Remark())
		resource := deniedResource(cmd.Remark())
		if denied && resource == "" {
			return fmt.Errorf("%w: %s %s", ErrAccess, where, c.unauthenticated(address, cmd.Remark()))
		}
		old = old || denied && cmd.Code == codeSystemError
		// A pull may be refused for the group, which is probed by itself.
		if denied && resource == p.right.resource {
			missing = append(missing, p)
		}
		if i == 0 && !denied && c.keys.Get().AccessKey == "" {
			break // it asks nobody who he is
		}
	}
	if len(missing) == 0 {
		return nil
	}
	user := c.keys.Get().AccessKey
	return fmt.Errorf("%w: %s does not allow the user %s %s", ErrAccess, where, user, missingText(missing, func(resource string) string {
		if old {
			return grantCommandOld(address, user, resource)
		}
		return grantCommand(address, user, resource)
	}))
}

// missingText names every right that is missing and the commands that grant them.
func missingText(missing []probe, grant func(resource string) string) string {
	var what, commands []string
	for _, p := range missing {
		what = append(what, fmt.Sprintf("%s on %s (%s)", p.right.action, p.right.resource, p.why))
		if command := grant(p.right.resource); !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	return strings.Join(what, ", ") + ": " + strings.Join(commands, "; ")
}

// grantCommand grants everything that the relay needs of a resource: what mqadmin sets replaces what there was.
func grantCommand(address, user, resource string) string {
	actions := "Pub,Sub,Get"
	switch resource {
	case "Group:" + readGroup:
		actions = "Sub"
	case "Topic:" + halfTopic:
		actions = "Get"
	}
	return fmt.Sprintf("mqadmin createAcl -b %s -s User:%s -r %s -a %s -d Allow", address, user, resource, actions)
}

// grantCommandOld does the same for ACL 1.0, which knows no right to Get.
func grantCommandOld(address, user, resource string) string {
	kind, name, _ := strings.Cut(resource, ":")
	if kind == "Group" {
		return fmt.Sprintf("mqadmin updateAclConfig -b %s -a %s -s SECRET -g %s=SUB", address, user, name)
	}
	return fmt.Sprintf("mqadmin updateAclConfig -b %s -a %s -s SECRET -t '%s=PUB|SUB'", address, user, name)
}
