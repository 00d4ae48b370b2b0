package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTermOfAHalf(t *testing.T) {
	t.Parallel()
	whole := term{10 * time.Second, 10 * time.Second}
	for name, tt := range map[string]struct {
		timeout time.Duration // transactionTimeOut
		change  func(*Config)
		want    term
	}{
		"nobody may ask the broker":                      {0, nil, whole},
		"as RocketMQ comes":                              {6 * time.Second, nil, term{6 * time.Second, time.Second}},
		"the broker waits longer than the window":        {time.Minute, nil, term{10 * time.Second, time.Second}},
		"less than half the window":                      {4900 * time.Millisecond, nil, whole},
		"less than two commits may take":                 {3 * time.Second, func(c *Config) { c.Window = 5 * time.Second }, term{5 * time.Second, 5 * time.Second}},
		"not of whole seconds":                           {5900 * time.Millisecond, nil, term{5900 * time.Millisecond, time.Second}},
		"a longer window is asked for than the broker's": {6 * time.Second, func(c *Config) { c.Window = 30 * time.Second }, term{30 * time.Second, 30 * time.Second}},
		"everything is quick":                            {time.Second, func(c *Config) { c.Window, c.CommitTimeout = time.Second, 100*time.Millisecond }, term{time.Second, time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *Config) {
				if tt.change != nil {
					tt.change(c)
				}
			})
			b.SetBroker("b", BrokerSettings{TransactionTimeout: tt.timeout})
			assert.Equal(t, tt.want, b.term("b"))
			assert.Equal(t, b.cfg.Window, b.term("another").immunity)
		})
	}
}

// A commit that comes too late for the short window, wherever that is noticed, gets the broker's halves the whole one for a
// while. The ledger has had the whole one all along.
func TestLateCommitGetsTheWholeWindow(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]func(*batch){
		"the broker refuses": func(made *batch) { answer(made, answerRefused) },
		"not even sent": func(made *batch) {
			made.built = made.built.Add(-6 * time.Second)
			made.events = make(chan event, 2*len(made.items))
			made.commit()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.SetBroker("b", BrokerSettings{TransactionTimeout: 6 * time.Second})
				made := b.taken(plain(1))
				require.True(t, made.build())
				require.Equal(t, time.Second, made.items[0].half.Immunity)
				require.Equal(t, b.cfg.Window, made.attempt.Window)
				late(made)
				made.settle()
				require.Equal(t, ReasonWindowOver, made.items[0].reason)
				assert.Equal(t, term{b.cfg.Window, b.cfg.Window}, b.term("b"))
				time.Sleep(lateFor)
				assert.Equal(t, term{6 * time.Second, time.Second}, b.term("b"))
			})
		})
	}
}
