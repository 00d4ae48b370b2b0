package stack

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFeaturesOfVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][]Feature{
		RocketMQ49:             {},
		"5.1.0":                {AdjustableChecks, InSyncReplicas, MessageTypes, Timers},
		RocketMQ51:             {AdjustableChecks, Fence, InSyncReplicas, MessageTypes, Timers},
		DefaultRocketMQVersion: Features(),
		RocketMQ55:             Features(),
		"5.10.0":               Features(),
	} {
		got := []Feature{}
		for _, f := range Features() {
			if f.Missing(version) == "" {
				got = append(got, f)
			}
		}
		require.ElementsMatch(t, want, got, version)
	}
	require.Equal(t, "RocketMQ 4.9.7 has not got message.type, which came with 5.0.0: topics have no attributes", MessageTypes.Missing("4.9.7"))
	require.NotEmpty(t, Feature("nonsense").Missing("5.3.3"))
}

// A broker of each version says itself that it is one, and registers. TestMatrix… are what is then run on it.
func TestVersionOfAServer(t *testing.T) {
	t.Parallel()
	for _, version := range []string{RocketMQ49, RocketMQ55} {
		opts := Options{RocketMQVersion: version}
		_, b := newBroker(t, opts)
		require.EventuallyWithT(t, func(c *assert.CollectT) { // one that has just started answers an exception
			name, err := call(t.Context(), b.Addr, getBrokerRuntime, nil)
			require.NoError(c, err)
			require.Contains(c, string(name), "V"+strings.ReplaceAll(version, ".", "_"))
		}, 30*time.Second, 200*time.Millisecond)
		require.NoError(t, b.CreateTopic(t.Context(), "orders", 2, "TRANSACTION"), "on %s", version)
		require.NoError(t, b.Close())
	}
}
