package app

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
)

// Where the broker's transactionTimeOut is a window that is long enough, halves carry the least property, so that the broker's check
// service leaves them alone; where it is not, or another window is asked for, the whole one.
func TestImmunityFollowsTheBroker(t *testing.T) {
	t.Parallel()
	stacktest.Needs(t, stack.Fence)
	for name, tt := range map[string]struct {
		timeout string // transactionTimeOut in ms
		setting string
		want    string
	}{
		"as RocketMQ comes":         {"6000", "window: 10s", "1"},
		"less than half the window": {"4000", "window: 10s", "10"},
		"a longer window":           {"6000", "window: 30s", "30"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := newCluster(t, map[string]string{"transactionTimeOut": tt.timeout}, "b")
			w.insert(3)
			p := start(t, w.config(tt.setting))
			p.eventually("sent", func() bool { return w.count("outbox") == 0 })
			require.NoError(t, p.end())
			messages, err := stack.ReadTopic(t.Context(), w.nameServer, w.topic)
			require.NoError(t, err)
			require.Len(t, messages, 3)
			for _, m := range messages {
				require.Equal(t, tt.want, m.Properties["CHECK_IMMUNITY_TIME_IN_SECONDS"])
			}
		})
	}
}
