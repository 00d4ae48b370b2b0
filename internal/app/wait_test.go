package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/telemetry"
	"github.com/outbox-relay/outbox-relay/migrations"
)

var errAway = errors.New("connection refused")

// The pauses grow to a few seconds and stay there: what comes back after hours is noticed at once, and what is away is not
// asked a hundred times a second.
func TestPausesBetweenTriesGrowAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := waiting()
		var tries []time.Time
		err := a.await(t.Context(), "thing", func(context.Context) error {
			tries = append(tries, time.Now())
			if len(tries) < 30 {
				return errAway
			}
			return nil
		})
		require.NoError(t, err)
		require.Len(t, tries, 30)
		base := 100 * time.Millisecond
		for i := 1; i < len(tries); i++ {
			pause := tries[i].Sub(tries[i-1])
			require.GreaterOrEqual(t, pause, base*8/10, "the pause before try %d", i)
			require.LessOrEqual(t, pause, base*12/10, "the pause before try %d", i)
			base = min(base*16/10, 5*time.Second)
		}
		require.Equal(t, 5*time.Second, base)
	})
}

// While it waits for hours, the loop is seen to be alive, and the log has one line.
func TestWaitingIsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		a := &app{
			log: telemetry.NewLogger(log, slog.LevelInfo, "json"), progress: telemetry.NewProgress(time.Now),
			conditions: telemetry.NewConditions("thing"),
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		var longest time.Duration
		err := a.await(ctx, "thing", func(context.Context) error {
			require.Zero(t, a.progress.Idle(), "each try is progress")
			time.Sleep(oneTry) // Virtual: each try takes as long as it may.
			longest = max(longest, a.progress.Idle())
			return errAway
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, longest+6*time.Second, time.Minute, "else /healthz would have the relay killed")
		require.Len(t, log.with(`"msg":"waiting"`), 1)
		require.False(t, a.conditions.Ready())
	})
}

func TestATryThatHangsIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, log := waiting()
		began, tries := time.Now(), 0
		err := a.await(t.Context(), "thing", func(ctx context.Context) error {
			if tries++; tries > 1 {
				return nil
			}
			<-ctx.Done() // A server that is frozen answers nothing.
			return ctx.Err()
		})
		require.NoError(t, err)
		require.Equal(t, 2, tries, "that its own time was over is a reason to try again")
		require.GreaterOrEqual(t, time.Since(began), oneTry)
		require.Less(t, time.Since(began), oneTry+time.Second)
		require.Len(t, log.with(`"msg":"waiting"`, `"reason":"context deadline exceeded"`), 1)
	})
}

func TestAStopEndsThePauseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := waiting()
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("told to")
		result := make(chan error, 1)
		tries := 0
		go func() {
			result <- a.await(ctx, "thing", func(context.Context) error {
				tries++
				return errAway
			})
		}()
		time.Sleep(time.Minute) // Virtual.
		synctest.Wait()
		before, at := tries, time.Now()
		cancel(why)
		require.ErrorIs(t, <-result, why, "the cause is returned, by which Run tells a stop from a failure")
		require.Zero(t, time.Since(at))
		require.Equal(t, before, tries, "nothing is tried once more")
	})
}

// A mistake that comes to light after an outage ends the wait all the same.
func TestMistakeAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, log := waiting()
		tries := 0
		err := a.await(t.Context(), "thing", func(context.Context) error {
			if tries++; tries < 3 {
				return errAway
			}
			return fmt.Errorf("bind: %w", mistake(errors.New("no such topic")))
		})
		require.EqualError(t, err, "bind: no such topic")
		require.Equal(t, 3, tries)
		require.Empty(t, log.with("no such topic"), "who ends for it says it")
	})
}

func TestMistakesAreMarkedInvisibly(t *testing.T) {
	t.Parallel()
	inner := fmt.Errorf("check: %w", migrations.ErrMissing)
	marked := fmt.Errorf("start: %w", mistake(inner))
	require.ErrorIs(t, marked, errMistake)
	require.ErrorIs(t, marked, migrations.ErrMissing)
	require.EqualError(t, marked, "start: "+inner.Error())
	require.NotErrorIs(t, inner, errMistake)
	require.ErrorIs(t, errors.Join(errAway, marked), errMistake)
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"one line": "one line", "a\nb": "a; b", "a\n\tb\n\tc": "a; b; c", "\n\na\n": "a", "": "", "a; b": "a; b", "\t": "",
	} {
		require.Equal(t, want, OneLine(errors.New(text)), "%q", text)
	}
	require.Equal(t, "connection refused; bind: away", OneLine(errors.Join(errAway, errors.New("bind: away"))))
}

func TestSchemaMistakes(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		migrations.ErrMissing, migrations.ErrDirty, migrations.ErrOlder, migrations.ErrNewer, fmt.Errorf("look: %w", migrations.ErrNewer),
		&pgconn.PgError{Code: "42501"}, fmt.Errorf("read: %w", &pgconn.PgError{Code: "42501", Message: "permission denied"}),
	} {
		require.True(t, isSchemaMistake(err), err.Error())
	}
	for _, err := range []error{
		errAway, context.DeadlineExceeded, &pgconn.PgError{Code: "57P03"}, // the server is starting up
		&pgconn.PgError{Code: "53300"}, // too many connections
		&pgconn.PgError{Code: "28P01"}, // a password that is being changed everywhere
	} {
		require.False(t, isSchemaMistake(err), err.Error())
	}
}

// Each change of a condition is one line, and a change of readiness another.
func TestChangesOfConditionsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	a, log := waiting()
	for _, step := range []struct {
		condition, reason string
		lines             int
	}{
		{"thing", "away", 1},
		{"thing", "away", 0},
		{"thing", "refused", 1},
		{"thing", "", 1},
		{"thing", "", 0},
		{"other", "", 2},
		{"other", "", 0},
		{"thing", "away", 2},
		{"other", "away", 1}, // it was not ready before
		{"nonsense", "away", 0},
		{"thing", "", 1},
		{"other", "", 2},
	} {
		before := len(log.with("msg"))
		a.set(t.Context(), step.condition, step.reason)
		require.Len(t, log.with("msg"), before+step.lines, "%v", step)
	}
	require.Len(t, log.with("readiness changed"), 3)
}
