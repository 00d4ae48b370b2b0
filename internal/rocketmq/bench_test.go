package rocketmq

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// BenchmarkPump measures the connection layer alone: a half and its acknowledged commit for each operation, in batches, with a
// number of batches in flight, on a real broker that does not wait for its disk. Reported beside the time: messages a second,
// our own processor time for each, and what the broker refused as busy (code 2).
func BenchmarkPump(b *testing.B) {
	ns, err := stack.StartNameServer(b.Context(), stack.Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, ns.Close()) }()
	broker, err := stack.StartBroker(b.Context(), ns, stack.Options{BrokerConfig: map[string]string{
		"flushDiskType": "ASYNC_FLUSH", "waitTimeMillsInSendQueue": "5000", "mappedFileSizeCommitLog": "1073741824",
	}})
	require.NoError(b, err)
	defer func() { require.NoError(b, broker.Close()) }()
	require.NoError(b, broker.CreateTopic(b.Context(), "pump", 8, "TRANSACTION"))
	for _, c := range [][2]int{{1, 1}, {1, 64}, {50, 4}, {500, 1}, {500, 4}} {
		b.Run(fmt.Sprintf("batch=%d/flying=%d", c[0], c[1]), func(b *testing.B) {
			s := &bench{
				t: b, topic: "pump", address: broker.Addr,
				Client: newClient(b, Options{NameServers: ns.Addr, Group: "pump", SendTimeout: 30 * time.Second, Logger: discard()}),
			}
			pump(b, s, c[0], c[1])
		})
	}
}

func pump(b *testing.B, s *bench, size, flying int) {
	body := make([]byte, 256)
	rounds := make(chan int)
	var all sync.WaitGroup
	var busy atomic.Int64
	for range flying {
		all.Go(func() {
			for n := range rounds {
				s.pumpOnce(b, n, body, &busy)
			}
		})
	}
	s.pumpOnce(b, 1, body, &busy) // connects
	b.ResetTimer()
	before := processorTime()
	for done := 0; done < b.N; done += size {
		rounds <- min(size, b.N-done)
	}
	close(rounds)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(b.N), "cpu-µs/msg")
	b.ReportMetric(float64(busy.Load()), "busy")
}

func (s *bench) pumpOnce(b *testing.B, n int, body []byte, busy *atomic.Int64) {
	halves := make([]relay.Half, n)
	for i := range halves {
		halves[i] = s.half()
		halves[i].Queue, halves[i].Body = i%8, body
	}
	stored := make([]relay.StoredHalf, 0, n)
	for i, a := range s.Halves(b.Context(), s.address, halves) {
		switch {
		case a.Err != nil:
			b.Error(a.Err)
		case a.Stored:
			stored = append(stored, relay.StoredHalf{Topic: s.topic, UniqKey: halves[i].UniqKey, HalfOffset: a.HalfOffset, LogOffset: a.LogOffset})
		default:
			busy.Add(1)
		}
	}
	var answered sync.WaitGroup
	answered.Add(len(stored))
	s.Commit(s.address, stored, 30*time.Second, func(_ int, a relay.Answer) {
		switch {
		case a.Err != nil:
			b.Error(a.Err)
		case a.Code != 0:
			busy.Add(1)
		}
		answered.Done()
	})
	answered.Wait()
}

// processorTime is what this process has used; the broker is another.
func processorTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
