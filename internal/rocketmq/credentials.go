package rocketmq

import (
	"errors"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Credentials are what a RocketMQ user signs requests with.
type Credentials = remoting.Credentials

// errFixedCredentials is the answer to SetCredentials without Options.CredentialsChange.
var errFixedCredentials = errors.New("the session of the official client keeps the credentials that it was made with")

// SetCredentials replaces the credentials: every request that is made after that is signed with the new ones, those of the
// session too.
func (c *Client) SetCredentials(to Credentials) error {
	if c.session != nil && !c.options.ownSession() {
		return errFixedCredentials
	}
	c.keys.Set(to)
	c.session.registerSoon() // their last heartbeats may have been refused
	return nil
}
