package rocketmq

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// BenchmarkPump measures the connection layer alone on a real broker: a half and its acknowledged commit for each operation,
// in batches, with a number of batches in flight.
func BenchmarkPump(b *testing.B) {
	for _, size := range []int{1, 50, 500} {
		for _, flying := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("batch=%d/flying=%d", size, flying), func(b *testing.B) { pump(b, size, flying) })
		}
	}
}

func pump(b *testing.B, size, flying int) {
	s := newBench(b, 8)
	body := make([]byte, 256)
	rounds := make(chan int)
	var all sync.WaitGroup
	for range flying {
		all.Go(func() {
			for n := range rounds {
				s.pumpOnce(b, n, body)
			}
		})
	}
	b.ResetTimer()
	for done := 0; done < b.N; done += size {
		rounds <- min(size, b.N-done)
	}
	close(rounds)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func (s *bench) pumpOnce(b *testing.B, n int, body []byte) {
	halves := make([]relay.Half, n)
	for i := range halves {
		halves[i] = s.half()
		halves[i].Queue, halves[i].Body = i%8, body
	}
	stored := make([]relay.StoredHalf, n)
	for i, a := range s.Halves(b.Context(), s.address, halves) {
		require.NoError(b, a.Err)
		require.True(b, a.Stored, "%d %s", a.Code, a.Remark)
		stored[i] = relay.StoredHalf{Topic: s.topic, UniqKey: halves[i].UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset}
	}
	var answered sync.WaitGroup
	answered.Add(n)
	s.Commit(s.address, stored, 10*time.Second, func(_ int, a relay.Answer) {
		if a.Err != nil || a.Code != 0 {
			b.Errorf("commit: %+v", a)
		}
		answered.Done()
	})
	answered.Wait()
}
