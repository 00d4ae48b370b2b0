package rocketmq

import (
	"context"
	"errors"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Proxies returns those of the configured name servers that are proxies: they do not know GET_BROKER_CLUSTER_INFO, which every
// name server answers. What does not answer is not among them.
func (c *Client) Proxies(ctx context.Context) []string {
	var proxies []string
	for _, address := range c.servers.addresses {
		_, err := success(c.servers.pool.Call(ctx, address, c.servers.timeout, func(b *remoting.Batch) error {
			b.Begin(reqClusterInfo)
			return b.End(nil)
		}))
		if code := (*CodeError)(nil); errors.As(err, &code) && code.Code == codeNotSupported {
			proxies = append(proxies, address)
		}
	}
	return proxies
}
