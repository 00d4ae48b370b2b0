package main

import (
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/stretchr/testify/require"
)

// What the consumer does with messages is tested by examples/consumertest, together with the one in Java.
func TestDedupKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ property, keys, want string }{
		"the property":                 {"order-1", "order-1 ada", "order-1"},
		"the property alone":           {"order-1", "", "order-1"},
		"the first of the keys":        {"", "order-1 ada", "order-1"},
		"the only key":                 {"", "order-1", "order-1"},
		"neither: it is no outbox's":   {"", "", ""},
		"the property before the keys": {"order-1", "ada", "order-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &primitive.MessageExt{}
			if c.property != "" {
				m.WithProperty("outbox-dedup-key", c.property)
			}
			if c.keys != "" {
				m.WithProperty(primitive.PropertyKeys, c.keys)
			}
			got, err := dedupKey(m)
			require.Equal(t, c.want, got)
			require.Equal(t, c.want == "", err != nil)
		})
	}
}
