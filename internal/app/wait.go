package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// errMistake marks an error that waiting does not mend.
var errMistake = errors.New("waiting does not mend it")

// mistake marks err. The mark does not show in its text.
func mistake(err error) error { return mistaken{err} }

type mistaken struct{ error }

func (m mistaken) Unwrap() error        { return m.error }
func (m mistaken) Is(target error) bool { return target == errMistake }

// await tries until it succeeds, ctx is done, or a mistake comes to light. Until then the condition does not hold, and each
// new reason is logged once.
func (a *app) await(ctx context.Context, condition string, try func(context.Context) error) error {
	wait := relay.Backoff{Initial: 100 * time.Millisecond, Factor: 1.6, Jitter: 0.2, Max: 5 * time.Second}
	for failures := 0; ; failures++ {
		a.progress.Tick()
		err := a.once(ctx, try)
		if err == nil {
			a.set(ctx, condition, "")
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, errMistake) {
			return err
		}
		a.set(ctx, condition, OneLine(err))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait.Wait(failures)):
		}
	}
}

// oneTry bounds one try: a server that is frozen answers nothing, and the loop must be seen to be alive.
const oneTry = 20 * time.Second

func (a *app) once(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	return try(ctx)
}

// OneLine is the text of err without line breaks: pgx writes one line for each address it tried, and errors that were joined
// are one below the other.
func OneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\t' }), "; ")
}

// set says whether a condition of readiness holds, reason "" if it does, and logs what is news.
func (a *app) set(ctx context.Context, condition, reason string) {
	wasReady := a.conditions.Ready()
	if !a.conditions.Set(condition, reason) {
		return
	}
	if reason != "" {
		a.log.WarnContext(ctx, "waiting", slog.String("for", condition), slog.String("reason", reason))
	} else {
		a.log.InfoContext(ctx, "reached", slog.String("condition", condition))
	}
	if ready := a.conditions.Ready(); ready != wasReady {
		a.log.InfoContext(ctx, "readiness changed", slog.Bool("ready", ready))
	}
}
