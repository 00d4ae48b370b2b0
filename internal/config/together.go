package config

import (
	"fmt"
	"net"
	"slices"
	"time"
)

// A relation is a rule about several settings.
type relation struct {
	keys []string
	text string // with one %s for each key
	ok   func(c *Config) bool
}

func relations() []relation {
	return slices.Concat(flowRelations(), credentialRelations(), tlsRelations())
}

func flowRelations() []relation {
	return []relation{
		{
			keys: []string{"lease.renew", "lease.duration"}, text: "%s must be at most a third of %s",
			ok: func(c *Config) bool { return 3*c.Lease.Renew <= c.Lease.Duration },
		},
		{
			keys: []string{"poll.busy", "poll.idle"}, text: "%s must be at most %s",
			ok: func(c *Config) bool { return c.Poll.Busy <= c.Poll.Idle },
		},
		{
			keys: []string{"retry.initial", "retry.max"}, text: "%s must be at most %s",
			ok: func(c *Config) bool { return c.Retry.Initial <= c.Retry.Max },
		},
		{
			// Otherwise a half that is answered at the last moment can never be committed: it is sent for nothing.
			keys: []string{"window", "send_timeout", "commit_timeout"}, text: "%s must be at least the sum of %s and %s",
			ok: func(c *Config) bool { return c.Window >= c.SendTimeout+c.CommitTimeout },
		},
	}
}

// checkTogether checks the rules about several settings, where each of them is right by itself. The mistake is reported at
// the strongest source: the one that was written last is most likely the one to mend.
func (l *loader) checkTogether(c *Config) {
	for _, r := range append(relations(), wireRelations()...) {
		blamed, shown, broken := "", []any{}, false
		for _, key := range r.keys {
			s, _ := l.setting(key)
			broken = broken || l.broken[key]
			shown = append(shown, key+" ("+l.given(s, c)+")")
			if blamed == "" || l.strongest(key) > l.strongest(blamed) {
				blamed = key
			}
		}
		if broken || r.ok(c) {
			continue
		}
		s, _ := l.setting(blamed)
		l.mistakes = append(l.mistakes, Mistake{
			Source: l.source(blamed), Key: blamed, Value: show(s.show(c), s.Secret), Rule: fmt.Sprintf(r.text, shown...),
		})
	}
}

// given is the value of a setting and where it comes from.
func (l *loader) given(s Setting, c *Config) string {
	source := l.source(s.Key)
	if source == "" {
		return "not set"
	}
	return s.show(c) + ", " + source
}

// warnings returns what is allowed but probably not meant.
func warnings(c *Config, environ []string) []string {
	var ws []string
	if c.SendTimeout < 5500*time.Millisecond || c.SendTimeout > 15*time.Second {
		ws = append(ws, fmt.Sprintf("send_timeout is %s: below 5.5s the broker's FLUSH_DISK_TIMEOUT (syncFlushTimeout, 5s) may never "+
			"be seen, far above it nothing is gained", showDuration(c.SendTimeout)))
	}
	if c.Shutdown.Grace < c.SendTimeout+c.CommitTimeout {
		ws = append(ws, fmt.Sprintf("shutdown.grace is %s, less than send_timeout and commit_timeout together: a stop may cut what is "+
			"in flight, which the next relay then has to look up", showDuration(c.Shutdown.Grace)))
	}
	for _, server := range c.NameServers {
		host, _, _ := net.SplitHostPort(server)
		if ip := net.ParseIP(host); ip != nil && !ip.IsLoopback() {
			ws = append(ws, fmt.Sprintf("name server %s is an address: a host name would follow it when it moves", server))
		}
	}
	return append(append(ws, wireWarnings(c)...), credentialWarnings(c, environ)...)
}
