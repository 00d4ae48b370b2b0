package rocketmq

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
)

// A session is what makes a producer known to brokers: it registers the group with every broker of the bound topics, at once
// and then by heartbeats, and delivers check-backs to the checker. It sends no message.
//
// There are two. The official client's is the rule (session_official.go). It never verifies a server's certificate, it signs
// without the security token, and it keeps the credentials that it was made with: where that will not do there is ours
// (session_own.go).
type session interface {
	// bind makes the brokers of the topics known to the session; later calls add topics.
	bind(ctx context.Context, topics []string) error
	// clientID is how brokers list this producer (mqadmin producerConnection).
	clientID() string
	// quiesce returns when no check-back is being answered and none will be any more.
	quiesce()
	// close ends the session.
	close() error
}

// newSession makes one session under an instance name.
func (c *Client) newSession(instance string) (session, error) {
	checks := &checkbacks{log: c.log, check: c.options.Check, onCheck: c.options.OnCheck, names: c.names, traces: c.traces}
	if c.options.ownSession() {
		return newOwnSession(&c.options, instance, c.keys, c.servers, checks)
	}
	return newOfficialSession(&c.options, instance, c.servers.addresses, checks)
}

// ownSession reports whether the session must be ours.
func (o *Options) ownSession() bool {
	return o.OwnSession || o.TLS != nil || o.CredentialsChange || o.Credentials.SecurityToken != ""
}

// clientIP is what the official client takes for its address: the first IPv4 one that is not a loopback.
func clientIP() string {
	interfaces, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
				return n.IP.To4().String()
			}
		}
	}
	return ""
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
