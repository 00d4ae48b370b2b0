package proxy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(stacktest.M{M: m})
}

const soon = 20 * time.Second // a deadline for what takes milliseconds

func started(t *testing.T, start func(proxy.Options) (*proxy.Proxy, error), upstream string) *proxy.Proxy {
	t.Helper()
	p, err := start(proxy.Options{Listen: "127.0.0.1:0", Upstream: upstream, Seed: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func add(t *testing.T, p *proxy.Proxy, r proxy.Rule) {
	t.Helper()
	_, err := p.Add(r)
	require.NoError(t, err)
}

// counted waits until something has been counted n times.
func counted(t *testing.T, p *proxy.Proxy, act proxy.Act, kind proxy.Kind, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return p.Counts()[proxy.Count{Act: act, Kind: kind}] == n }, soon, time.Millisecond,
		"%s of %s: want %d, got %v", act, kind, n, p.Counts())
}
