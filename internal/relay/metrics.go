package relay

import (
	"context"
	"time"
)

// Metrics: TEMPORARY signatures as the stages call them; the metrics author replaces this file with the real instruments, keeping these methods.
type Metrics struct{}

func (*Metrics) Read(context.Context, int, time.Duration)      {}
func (*Metrics) HalfDuration(context.Context, time.Duration)   {}
func (*Metrics) Half(context.Context, Reason)                  {}
func (*Metrics) Decide(context.Context, int, time.Duration)    {}
func (*Metrics) CommitDuration(context.Context, time.Duration) {}
func (*Metrics) Commit(context.Context, Reason)                {}
func (*Metrics) Settle(context.Context, int, time.Duration)    {}
func (*Metrics) Sent(context.Context, string, time.Duration)   {}
func (*Metrics) PutOff(context.Context, Reason)                {}
func (*Metrics) Dead(context.Context, Reason)                  {}
func (*Metrics) Paused(string, string, Reason, bool)           {}
func (*Metrics) Resolved(context.Context, bool)                {}
func (*Metrics) Broken(context.Context, int)                   {}
func (*Metrics) Session(context.Context)                       {}
func (*Metrics) Backlog(Backlog)                               {}
func (*Metrics) InDoubt([]time.Duration)                       {}
