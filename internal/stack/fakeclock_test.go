package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// storedAhead sends a message and returns how far ahead of this machine's clock the
// broker's was when it stored it.
func storedAhead(t *testing.T, b *Broker, topic string) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	sent := time.Now()
	answer, _, err := exchangeWith(ctx, b.Addr, 10, map[string]string{
		"producerGroup": "clock", "topic": topic, "defaultTopic": "TBW102", "defaultTopicQueueNums": "1", "queueId": "0",
		"sysFlag": "0", "bornTimestamp": strconv.FormatInt(sent.UnixMilli(), 10), "flag": "0", "properties": "",
		"reconsumeTimes": "0",
	}, []byte("x"))
	if err != nil {
		return 0, err
	}
	if answer.Code != 0 {
		return 0, fmt.Errorf("answer %d: %s", answer.Code, answer.Remark)
	}
	messages, err := ReadTopic(ctx, b.nameServer, topic)
	if err != nil {
		return 0, err
	}
	return messages[len(messages)-1].Stored.Sub(sent), nil
}

func TestBrokersClockMoves(t *testing.T) {
	t.Parallel()
	_, b := newBroker(t, Options{Engine: EngineNative, FakeClock: true})
	require.NoError(t, b.CreateTopic(t.Context(), "clock", 1, "NORMAL"))
	near := func(want time.Duration) func() bool {
		return func() bool {
			ahead, err := storedAhead(t, b, "clock")
			if err != nil { // what waits while the clock is set seems to have waited for an hour, and is refused
				t.Log(err)
			}
			return err == nil && (ahead-want).Abs() < 20*time.Second
		}
	}
	begin := time.Now()
	require.Eventually(t, near(0), 30*time.Second, 50*time.Millisecond)
	for _, offset := range []time.Duration{5 * time.Minute, -5 * time.Minute, time.Hour} {
		require.NoError(t, b.SetClock(offset))
		require.Eventually(t, near(offset), 30*time.Second, 50*time.Millisecond, "%s", offset)
		t.Logf("%s after %s", offset, time.Since(begin))
	}
	pid := b.PID()
	require.NoError(t, b.Kill())
	require.NoError(t, b.Start(t.Context()))
	require.Eventually(t, near(time.Hour), 30*time.Second, 50*time.Millisecond, "it keeps the offset over a kill")
	left, err := filepath.Glob("/dev/shm/*faketime*_" + strconv.Itoa(pid))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestClockOfAnOrdinaryBrokerIsTrue(t *testing.T) {
	t.Parallel()
	b := &Broker{Name: "broker-a"}
	require.ErrorContains(t, b.SetClock(time.Second), "set the clock of broker-a: it was started without Options.FakeClock")
}
