package rocketmq

import (
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Credentials are what a RocketMQ user signs requests with.
type Credentials = remoting.Credentials

// SetCredentials replaces the credentials: every request that is made after that is signed with the new ones, those of the
// session too.
func (c *Client) SetCredentials(to Credentials) {
	c.keys.Set(to)
	c.session.registerSoon() // their last heartbeats may have been refused
}
