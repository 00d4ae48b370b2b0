package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPollAsksUntilYes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, asked := time.Now(), 0
		require.NoError(t, poll(t.Context(), func() (bool, error) {
			asked++
			return asked == 5, nil
		}))
		require.Equal(t, 5, asked)
		require.Equal(t, 80*time.Millisecond, time.Since(begin), "the first time at once, then every 20 ms")
	})
}

func TestPollStopsAtAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, asked := errors.New("broken"), 0
		require.ErrorIs(t, poll(t.Context(), func() (bool, error) {
			asked++
			return asked == 1, broken
		}), broken)
		require.Equal(t, 1, asked)
	})
}

// Whose time is over is told why, even if what failed last says only that the context was done.
func TestPollTellsWhyTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := errors.New("not after a second")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, late)
		defer cancel()
		begin := time.Now()
		require.Equal(t, late, poll(ctx, func() (bool, error) { return false, nil }))
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, late, poll(ctx, func() (bool, error) { return false, ctx.Err() }))
		require.Equal(t, late, poll(ctx, func() (bool, error) { return true, nil }), "that it was reached too late is too late")
	})
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		require.NoError(t, sleep(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(begin))

		why := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			time.Sleep(time.Minute)
			cancel(why)
		}()
		begin = time.Now()
		require.Equal(t, why, sleep(ctx, time.Hour))
		require.Equal(t, time.Minute, time.Since(begin))
	})
}

// The first order of each customer must arrive before anything is measured; if it does not, the demo says so.
func TestAwaitComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := played(3)
		require.NoError(t, p.awaitComplete(t.Context()))
		p.audit.Committed("late", "c", 9, time.Now())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, p.awaitComplete(ctx), context.DeadlineExceeded)
	})
}

func TestProgressPrintsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, out := played(0)
		w := startProgress(t.Context(), p)
		time.Sleep(900 * time.Millisecond) // Virtual, and before the first line, which would look into the database.
		w.event("KILL", "the relay is dead")
		time.Sleep(50 * time.Millisecond)
		w.event("RESTART", "it is started again")
		w.stop()
		w.stop() // is no harm
		require.Equal(t, "          committed  rolled back  delivered  backlog\n"+
			"   0.9 s --- KILL: the relay is dead\n"+
			"   0.9 s --- RESTART: it is started again\n", out.String())
	})
}
