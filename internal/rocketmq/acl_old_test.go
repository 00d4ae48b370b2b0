package rocketmq

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

const oldAccounts = `accounts:
- {accessKey: administrator, secretKey: "12345678", admin: true}
- accessKey: relay-user
  secretKey: "12345678"
  defaultTopicPerm: DENY
  defaultGroupPerm: DENY
  topicPerms: ["guarded-orders=PUB|SUB"]
  groupPerms: ["TOOLS_CONSUMER=SUB"]
- {accessKey: poor-user, secretKey: "12345678", defaultTopicPerm: DENY, defaultGroupPerm: DENY}
`

// Brokers of before 5.3 refuse with an exception, and know rights to PUB and SUB only.
func TestACLOfBefore(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(home, "conf"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(home, "conf", "plain_acl.yml"), []byte(oldAccounts), 0o600))
	access := stack.Access{AccessKey: "administrator", SecretKey: "12345678"}
	o := stacktest.Options()
	o.RocketMQVersion = stack.RocketMQ51
	o.Engine, o.Secure = stack.EngineNative, &stack.Secure{Access: access}
	o.JVM = []string{"-Drocketmq.acl.plain.file=/conf/plain_acl.yml", "-Drocketmq.home.dir=" + home}
	o.BrokerConfig["aclEnable"], o.BrokerConfig["autoCreateSubscriptionGroup"] = "true", "false"
	g := &guarded{t: t, admin: stack.WithAccess(context.Background(), access)}
	var err error
	g.ns, err = stack.StartNameServer(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.ns.Close()) })
	g.broker, err = stack.StartBroker(t.Context(), g.ns, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.broker.Close()) })
	require.NoError(t, g.broker.CreateTopic(g.admin, guardedTopic, 1, "TRANSACTION"))

	for want, credentials := range map[string]Credentials{
		"asks for credentials: set credentials.access_key": {},
		"does not accept credentials.secret_key of the user relay-user: correct it, or set it on the broker: mqadmin updateAclConfig": {
			AccessKey: "relay-user", SecretKey: "wrong",
		},
		"does not know the user nobody-user of credentials.access_key": {AccessKey: "nobody-user", SecretKey: "x"},
		"does not allow the user poor-user Pub on Topic:guarded-orders (to send and commit), Sub on Topic:guarded-orders (to read back what became of a commit), " +
			"Sub on Group:TOOLS_CONSUMER (to read back what became of a commit): mqadmin updateAclConfig": {AccessKey: "poor-user", SecretKey: "12345678"},
	} {
		err := newClient(t, g.options(credentials)).CheckAccess(t.Context(), []string{guardedTopic})
		require.ErrorIs(t, err, ErrAccess)
		require.ErrorContains(t, err, want)
	}
	b := g.bench(g.options(Credentials{AccessKey: "relay-user", SecretKey: "12345678"}))
	b.relayed()
}
