package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClockIsSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		due := make(chan int)
		result := make(chan error, 1)
		begin := time.Now()
		go func() {
			result <- clock(t.Context(), 200, time.Second, due)
			close(due)
		}()
		n := 0
		for got := range due {
			n++
			require.Equal(t, n, got)
			require.Equal(t, time.Duration(n)*5*time.Millisecond, time.Since(begin))
		}
		require.Equal(t, 200, n)
		require.NoError(t, <-result)
	})
}

func TestClockCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		due := make(chan int)
		go func() {
			_ = clock(t.Context(), 200, time.Second, due)
			close(due)
		}()
		time.Sleep(500 * time.Millisecond) // Virtual: nobody takes orders for half a second.
		begin, n := time.Now(), 0
		for range due {
			if n++; n == 100 {
				require.Zero(t, time.Since(begin), "what was late comes at once")
			}
		}
		require.Equal(t, 200, n, "and nothing is dropped")
	})
}

func TestClockStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		due := make(chan int)
		result := make(chan error, 1)
		go func() { result <- clock(ctx, 1, time.Hour, due) }()
		<-due
		cancel()
		require.ErrorIs(t, <-result, context.Canceled)
	})
}
