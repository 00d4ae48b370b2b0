package rocketmq

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/txcheck"
)

// A guarded broker asks who its clients are and what they may do (ACL 2.0), and creates neither topics nor groups by itself.
type guarded struct {
	t      *testing.T
	ns     *stack.NameServer
	broker *stack.Broker
	admin  context.Context //nolint:containedctx // It carries the super user's credentials.
}

const guardedTopic = "guarded-orders"

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	access := stack.Access{AccessKey: "admin", SecretKey: "12345678"}
	o := stacktest.Options()
	o.Engine, o.Secure = stack.EngineNative, &stack.Secure{ACL: true, Access: access}
	o.BrokerConfig["autoCreateSubscriptionGroup"] = "false"
	g := &guarded{t: t, admin: stack.WithAccess(context.Background(), access)}
	var err error
	g.ns, err = stack.StartNameServer(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.ns.Close()) })
	g.broker, err = stack.StartBroker(t.Context(), g.ns, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.broker.Close()) })
	require.NoError(t, g.broker.CreateTopic(g.admin, guardedTopic, 1, "TRANSACTION"))
	return g
}

// enough is what docs/connecting.md grants.
func enough() map[string][]string {
	return map[string][]string{
		"Topic:" + guardedTopic: {"Pub", "Sub", "Get"}, "Topic:" + halfTopic: {"Get"}, "Group:" + readGroup: {"Sub"},
	}
}

// user makes a user who may do just this.
func (g *guarded) user(name string, rights map[string][]string) Credentials {
	g.t.Helper()
	c := Credentials{AccessKey: name, SecretKey: "secret-of-" + name}
	require.NoError(g.t, g.broker.SetUser(g.admin, c.AccessKey, c.SecretKey))
	for resource, actions := range rights {
		require.NoError(g.t, g.broker.Grant(g.admin, name, resource, actions...))
	}
	return c
}

func (g *guarded) options(c Credentials) Options {
	return Options{NameServers: g.ns.Addr, Group: "relays", Logger: discard(), Credentials: c}
}

// bench is a client that is bound to the topic.
func (g *guarded) bench(o Options) *bench {
	g.t.Helper()
	b := &bench{t: g.t, topic: guardedTopic, group: o.Group, address: g.broker.Addr, broker: g.broker.Name, Client: newClient(g.t, o)}
	require.NoError(g.t, b.Bind(g.t.Context(), []string{guardedTopic}))
	return b
}

// typeSeen is what can be seen of a topic's type: before 5.0 topics have none.
func typeSeen(messageType string) string {
	if stack.MessageTypes.Missing(stack.RocketMQVersion()) != "" {
		return ""
	}
	return messageType
}

// relayed does everything that the relay does with a broker.
func (b *bench) relayed() {
	b.t.Helper()
	ctx := b.t.Context()
	require.NoError(b.t, b.CheckAccess(ctx, []string{b.topic}))
	report, err := b.CheckTopic(ctx, b.topic)
	require.NoError(b.t, err)
	require.Empty(b.t, report.NotExact)
	require.Contains(b.t, []string{"TRANSACTION", typeSeen("TRANSACTION")}, report.MessageType, "some tests choose their own version")
	_, err = b.BrokerConfigs(ctx)
	require.NoError(b.t, err)
	end, err := b.MaxOffsets(ctx, b.address, []relay.TopicQueue{{Topic: b.topic, Queue: 0}})
	require.NoError(b.t, err)

	h := b.half()
	stored := b.store(h)
	at, err := b.StoredAt(ctx, b.address, stored)
	require.NoError(b.t, err)
	require.WithinDuration(b.t, time.Now(), at, time.Minute)
	require.Zero(b.t, b.commit(stored).Code)
	b.caughtUp()
	found := false
	proof, err := b.ReadBack(ctx, b.address, relay.TopicQueue{Topic: b.topic, Queue: 0}, end[0], func(key string) { found = found || key == h.UniqKey })
	require.NoError(b.t, err)
	require.True(b.t, proof.Complete && found, proof.Why)
	require.Eventually(b.t, func() bool {
		indexed, err := b.Lookup(ctx, b.address, b.topic, h.UniqKey)
		require.NoError(b.t, err)
		return indexed
	}, soon, 5*time.Millisecond)
	require.Zero(b.t, b.rollback(b.store(b.half())).Code)
}

func TestACL(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.ACL2)
	g := newGuarded(t)
	t.Run("refusals", func(t *testing.T) { testACLRefusals(t, g) })
	t.Run("rights", func(t *testing.T) { testACLRights(t, g) })
	t.Run("security token", func(t *testing.T) { testACLSecurityToken(t, g) })
	t.Run("sessions", func(t *testing.T) { testACLSession(t, g) })
	t.Run("rotation", func(t *testing.T) { testACLRotation(t, g) })
}

// Each way to be refused has a text of its own that names the setting or the command that mends it.
func testACLRefusals(t *testing.T, g *guarded) {
	good := g.user("refused", enough())
	nothing := g.user("beginner", nil)
	for name, test := range map[string]struct {
		credentials Credentials
		want        []string
	}{
		"missing": {Credentials{}, []string{"asks for credentials: set credentials.access_key and credentials.secret_key"}},
		"wrong secret": {Credentials{AccessKey: "refused", SecretKey: "wrong"}, []string{
			"does not accept credentials.secret_key of the user refused", "mqadmin updateUser -b " + g.broker.Addr + " -u refused -p SECRET",
		}},
		"unknown user": {Credentials{AccessKey: "nobody", SecretKey: "x"}, []string{
			"does not know the user nobody of credentials.access_key", "mqadmin createUser -b " + g.broker.Addr + " -u nobody -p SECRET",
		}},
		"no rights": {nothing, []string{
			"does not allow the user beginner Get on Topic:guarded-orders", "Pub on Topic:guarded-orders (to send and commit)",
			"Sub on Group:TOOLS_CONSUMER", "Get on Topic:RMQ_SYS_TRANS_HALF_TOPIC",
			"mqadmin createAcl -b " + g.broker.Addr + " -s User:beginner -r Topic:guarded-orders -a Pub,Sub,Get -d Allow",
			"mqadmin createAcl -b " + g.broker.Addr + " -s User:beginner -r Group:TOOLS_CONSUMER -a Sub -d Allow",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, g.options(test.credentials))
			err := c.CheckAccess(t.Context(), []string{guardedTopic})
			require.ErrorIs(t, err, ErrAccess)
			require.NotErrorIs(t, err, ErrUnreachable)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "secret-of")
			require.NotContains(t, err.Error(), "wrong\"")
		})
	}
	require.NoError(t, newClient(t, g.options(good)).CheckAccess(t.Context(), []string{guardedTopic}))
}

// The documented rights are enough for everything that the relay does, and without any one of them the start says so.
func testACLRights(t *testing.T, g *guarded) {
	g.t = t
	b := g.bench(g.options(g.user("exact", enough())))
	b.relayed()
	for resource, actions := range enough() {
		for _, without := range actions {
			var rest []string
			for _, action := range actions {
				if action != without {
					rest = append(rest, action)
				}
			}
			if rest == nil {
				require.NoError(t, g.broker.Revoke(g.admin, "exact", resource))
			} else {
				require.NoError(t, g.broker.Grant(g.admin, "exact", resource, rest...))
			}
			err := b.CheckAccess(t.Context(), []string{guardedTopic})
			require.ErrorIs(t, err, ErrAccess, "%s without %s", resource, without)
			require.ErrorContains(t, err, "does not allow the user exact "+without+" on "+resource)
			require.Equal(t, 1, strings.Count(err.Error(), " on "+resource), "nothing else is missing: %v", err)
			require.NoError(t, g.broker.Grant(g.admin, "exact", resource, actions...))
			require.NoError(t, b.CheckAccess(t.Context(), []string{guardedTopic}))
		}
	}
}

// A security token is an ext field as any other, sent and signed with every request.
func testACLSecurityToken(t *testing.T, g *guarded) {
	g.t = t
	c := g.user("temporary", enough())
	c.SecurityToken = "a-token"
	g.bench(g.options(c)).relayed()
}

// The session registers the group, and is asked about halves, with credentials.
func testACLSession(t *testing.T, g *guarded) {
	g.t = t
	var seen asked
	o := g.options(g.user("session", enough()))
	o.Group = "relays-session"
	o.OnCheck = seen.add
	o.Check = func(txcheck.Half) txcheck.Answer { return txcheck.Rollback }
	b := g.bench(o)
	h := b.half()
	h.Immunity = time.Second
	b.store(h)
	require.Eventually(t, func() bool { return seen.count(h.UniqKey) > 0 }, 2*soon, 10*time.Millisecond)
}

// The user's secret is changed on the broker, then here: everything goes on, on the same connections, the session too.
func testACLRotation(t *testing.T, g *guarded) {
	g.t = t
	credentials := g.user("rotating", enough())
	var seen asked
	o := g.options(credentials)
	o.Group = "rotating-relays"
	o.OnCheck = seen.add
	o.Check = func(txcheck.Half) txcheck.Answer { return txcheck.Rollback }
	b := g.bench(o)
	b.relayed()
	id := b.ClientID()

	require.NoError(t, g.broker.SetUser(g.admin, "rotating", "another secret"))
	require.Eventually(t, func() bool {
		return b.Halves(t.Context(), b.address, []relay.Half{b.half()})[0].Code == codeNoPermission
	}, soon, 5*time.Millisecond, "the old secret is refused")
	require.ErrorIs(t, b.CheckAccess(t.Context(), []string{guardedTopic}), ErrAccess)

	credentials.SecretKey = "another secret"
	b.SetCredentials(credentials)
	b.relayed()
	seen.clear()
	h := b.half()
	h.Immunity = time.Second
	b.store(h)
	require.Eventually(t, func() bool { return seen.count(h.UniqKey) > 0 }, 2*soon, 10*time.Millisecond, "asked after the change")
	require.Equal(t, id, b.ClientID())
}

// Where the broker asks nobody who he is there is nothing to complain about, with credentials or without.
func TestAccessToABrokerWithoutACL(t *testing.T) {
	t.Parallel()
	for _, credentials := range []Credentials{{}, {AccessKey: "somebody", SecretKey: "x"}} {
		b := newBench(t, 1, func(o *Options) { o.Credentials = credentials })
		require.NoError(t, b.CheckAccess(t.Context(), []string{b.topic}))
	}
	c := newClient(t, Options{NameServers: "127.0.0.1:1", Group: "g", Logger: discard()})
	err := c.CheckAccess(t.Context(), []string{"orders"})
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotErrorIs(t, err, ErrAccess)
}

// What is asked at start stores nothing: the broker refuses the queue.
func TestAccessIsAskedForWithoutATrace(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	cmd, err := b.brokers.Call(t.Context(), b.address, soon, func(batch *remoting.Batch) error { return sendNowhere(b.topic)(b.Client, batch) })
	require.NoError(t, err)
	require.NotZero(t, cmd.Code) // 1, and 29 from 5.5 on
	require.Contains(t, cmd.Remark(), "queueId")
	require.False(t, isDenial(cmd.Code, cmd.Remark()))
}
