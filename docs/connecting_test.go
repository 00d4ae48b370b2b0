package docs_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq"
	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// TestDocumentedRightsAreEnough types what docs/connecting.md shows, on a broker with ACL 2.0. That nothing of it can be left out
// is shown by TestACL.
func TestDocumentedRightsAreEnough(t *testing.T) {
	t.Parallel()
	access := stack.Access{AccessKey: "admin", SecretKey: "12345678"}
	o := stacktest.Options()
	o.Engine, o.Secure = stack.EngineNative, &stack.Secure{ACL: true, Access: access}
	o.BrokerConfig["autoCreateSubscriptionGroup"] = "false"
	ns, err := stack.StartNameServer(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	broker, err := stack.StartBroker(t.Context(), ns, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broker.Close()) })
	require.NoError(t, broker.CreateTopic(stack.WithAccess(context.Background(), access), "orders", 4, "TRANSACTION"))

	shown := blocks(section(t, "docs/connecting.md", "## The smallest set of rights"), "text")
	require.Len(t, shown, 1)
	commands := strings.Split(strings.TrimSpace(shown[0]), "\n")
	require.Len(t, commands, 4)
	for _, command := range commands {
		words := strings.Fields(strings.ReplaceAll(command, "127.0.0.1:10911", broker.Addr))
		require.Equal(t, "mqadmin", words[0])
		out, err := stack.Admin(t.Context(), ns.Addr, o, words[1:]...)
		require.NoError(t, err, command)
		require.Regexp(t, `(?i)success`, out, command)
	}

	client, err := rocketmq.New(rocketmq.Options{
		NameServers: ns.Addr, Group: "outbox-relay", Logger: slog.New(slog.DiscardHandler),
		Credentials: rocketmq.Credentials{AccessKey: "relay", SecretKey: "SECRET"},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	require.NoError(t, client.CheckAccess(t.Context(), []string{"orders"}))
	report, err := client.CheckTopic(t.Context(), "orders")
	require.NoError(t, err)
	require.Empty(t, report.NotExact)
}
