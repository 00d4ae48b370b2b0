package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/telemetry"
)

// Every end has what the ends before it left of the time: several that hang do not add up to more than all may take.
func TestClosersShareTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []time.Duration
		c := closers{log: discard()}
		for i := range 3 {
			c.add(fmt.Sprint("part ", i), func(ctx context.Context) error {
				deadline, ok := ctx.Deadline()
				require.True(t, ok)
				left = append(left, time.Until(deadline))
				time.Sleep(2 * time.Second) // Virtual.
				return nil
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		require.NoError(t, c.close(ctx))
		require.Equal(t, []time.Duration{10 * time.Second, 8 * time.Second, 6 * time.Second}, left)
		require.Equal(t, 6*time.Second, time.Since(began))
	})
}

func TestClosersThatHangAreLeftBehindTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		quick := make(chan struct{}, 1)
		c := closers{log: discard()}
		for _, name := range []string{"one", "two"} {
			c.add(name, func(context.Context) error {
				<-release
				return nil
			})
		}
		c.add("quick", func(context.Context) error {
			quick <- struct{}{}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), teardown)
		defer cancel()
		began := time.Now()
		err := c.close(ctx)
		require.Equal(t, teardown, time.Since(began))
		require.EqualError(t, err, "close two: context deadline exceeded\nclose one: context deadline exceeded")
		require.Empty(t, c.list)
		<-quick
		close(release)
	})
}

func TestClosersLogWhatTheyClosed(t *testing.T) {
	t.Parallel()
	log := &lines{}
	c := closers{log: telemetry.NewLogger(log, slog.LevelDebug, "json")}
	c.add("good", func(context.Context) error { return nil })
	c.add("bad", func(context.Context) error { return errors.New("it broke") })
	require.EqualError(t, c.close(t.Context()), "close bad: it broke")
	require.Len(t, log.with(`"msg":"closed"`), 1)
	require.Len(t, log.with(`"msg":"closed"`, `"part":"good"`), 1)
}

func TestNothingToClose(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, (&closers{log: discard()}).close(ctx), "that the time is over matters to nobody")
}
