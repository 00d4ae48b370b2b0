package relay

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
)

// ledger gathers the decisions and closings of all batches: while one write is at Postgres the next ones collect, and go
// together in one transaction. So the settle of one batch shares its round trip with the decide of another.
type ledger struct {
	store    Ledger
	session  uuid.UUID
	requests chan ledgerRequest
	log      *slog.Logger
	broken   func(n int)
	doubled  func(n int)
	settling func() // called before entries are closed
}

// ledgerRequest holds either a closing or a decision.
type ledgerRequest struct {
	closing  *Closing
	decision *Attempt
	reply    chan<- ledgerReply
}

type ledgerReply struct {
	decision Decision
	closed   Closed
	err      error
}

// groupLimit bounds one write.
const groupLimit = 64

// run writes until the session is over. An error leaves the outcome of a write unknown, and ends the session.
func (l *ledger) run(work context.Context) error {
	for {
		select {
		case <-work.Done():
			return nil
		case first := <-l.requests:
			if err := l.write(work, l.gather(first)); err != nil {
				return err
			}
		}
	}
}

func (l *ledger) gather(first ledgerRequest) []ledgerRequest {
	group := []ledgerRequest{first}
	for len(group) < groupLimit {
		select {
		case next := <-l.requests:
			group = append(group, next)
		default:
			return group
		}
	}
	return group
}

func (l *ledger) write(work context.Context, group []ledgerRequest) error {
	var closings []Closing
	var decisions []*Attempt
	for _, r := range group {
		if r.closing != nil {
			closings = append(closings, *r.closing)
		} else {
			decisions = append(decisions, r.decision)
		}
	}
	if len(closings) > 0 {
		l.settling()
	}
	written, err := l.store.Write(work, l.session, closings, decisions)
	if err != nil {
		err = fmt.Errorf("write %d closings and %d decisions: %w", len(closings), len(decisions), err)
	} else {
		l.watch(closings, written.Closed)
	}
	nextDecided, nextClosed := 0, 0
	for _, r := range group {
		reply := ledgerReply{err: err}
		switch {
		case err != nil:
		case r.decision != nil:
			reply.decision = written.Decided[nextDecided]
			nextDecided++
		default:
			reply.closed = written.Closed[nextClosed]
			nextClosed++
		}
		r.reply <- reply // has room for it
	}
	return err
}

// watch looks for the one thing that must never happen: a confirmed message whose entry had been struck. Its row was pending
// again, and may have been sent a second time.
func (l *ledger) watch(closings []Closing, closed []Closed) {
	for i, c := range closed {
		switch {
		case len(c.Broken) == 0:
		case closings[i].Lenient:
			l.doubled(len(c.Broken))
			l.log.Warn("the broker confirmed messages that had been given up: they are on their topics a second time",
				slog.String("attempt", closings[i].Attempt.String()), slog.Any("entries", c.Broken))
		default:
			l.broken(len(c.Broken))
			l.log.Error("broken promise: the broker confirmed messages that had been given up", slog.Bool("alert", true),
				slog.String("attempt", closings[i].Attempt.String()), slog.Any("entries", c.Broken))
		}
	}
}

func (l *ledger) decide(ctx context.Context, a *Attempt) (Decision, error) {
	reply, err := l.ask(ctx, ledgerRequest{decision: a})
	return reply.decision, err
}

func (l *ledger) close(ctx context.Context, c Closing) (Closed, error) {
	reply, err := l.ask(ctx, ledgerRequest{closing: &c})
	return reply.closed, err
}

// ask returns an error if the outcome is unknown.
func (l *ledger) ask(ctx context.Context, r ledgerRequest) (ledgerReply, error) {
	replies := make(chan ledgerReply, 1)
	r.reply = replies
	select {
	case l.requests <- r:
	case <-ctx.Done():
		return ledgerReply{}, context.Cause(ctx)
	}
	select {
	case reply := <-replies:
		return reply, reply.err
	case <-ctx.Done():
		return ledgerReply{}, context.Cause(ctx)
	}
}
