package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

// start is when the played run begins.
var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// played makes a play of n orders, one a second, that each took their number in milliseconds.
func played(n int) (*play, *bytes.Buffer) {
	out := &bytes.Buffer{}
	p := &play{settings: defaultSettings(), audit: audit.New(), out: &console{out: out}}
	for i := range n {
		id, at := fmt.Sprint(i), start.Add(time.Duration(i)*time.Second)
		p.audit.Committed(id, "c", int64(i), at)
		p.audit.Delivered(audit.Delivery{
			ID: id, Customer: "c", Number: int64(i), Offset: int64(i), At: at.Add(time.Duration(i) * time.Millisecond),
		})
	}
	return p, out
}

func TestReportOfAGoodRun(t *testing.T) {
	t.Parallel()
	p, out := played(5)
	p.audit.RolledBack("r")
	p.report(p.audit.Verdict())
	require.Equal(t, `
  committed                           5  
  delivered                           5  
  rolled back                         1  
  lost                                0  ok
  duplicated                          0  ok
  out of order                        0  ok
  rolled back but delivered           0  ok
  delivered, never written            0  ok
  offsets the consumer missed         0  ok

  COMMIT to consumer           messages       p50       p95       p99       max
  all                                 5    2.0 ms    4.0 ms    4.0 ms    4.0 ms

Everything that was committed arrived exactly once and in order; nothing that was rolled back did.
`, out.String())
}

// Each kind of violation is marked, in its own line, and the last line says it.
func TestReportMarksEveryViolation(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*audit.Verdict){
		"lost":                        func(v *audit.Verdict) { v.Lost = 3 },
		"duplicated":                  func(v *audit.Verdict) { v.Duplicated = 3 },
		"out of order":                func(v *audit.Verdict) { v.OutOfOrder = 3 },
		"rolled back but delivered":   func(v *audit.Verdict) { v.RolledBackDelivered = 3 },
		"delivered, never written":    func(v *audit.Verdict) { v.Unknown = 3 },
		"offsets the consumer missed": func(v *audit.Verdict) { v.Missed = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, out := played(3)
			v := p.audit.Verdict()
			change(&v)
			p.report(v)
			marked := regexp.MustCompile(`(?m)^  (.+?) +(\d+)  BROKEN: must be 0$`).FindAllStringSubmatch(out.String(), -1)
			require.Len(t, marked, 1)
			require.Equal(t, []string{name, "3"}, marked[0][1:])
			require.True(t, strings.HasSuffix(out.String(), "\nThe promise was BROKEN.\n"))
			require.NotContains(t, out.String(), "exactly once")
			require.Equal(t, 5, strings.Count(out.String(), "  ok\n"))
		})
	}
}

func TestReportOfRedeliveries(t *testing.T) {
	t.Parallel()
	p, out := played(2)
	v := p.audit.Verdict()
	p.report(v)
	require.NotContains(t, out.String(), "handed out again")
	out.Reset()
	v.Redelivered = 7
	p.report(v)
	require.Regexp(t, `(?m)^  handed out again by RocketMQ +7  $`, out.String())
	require.Contains(t, out.String(), "exactly once", "they are RocketMQ's business, and no violation")
}

// What was on the way during the outage, and during the warm-up, is told apart.
func TestReportOfLatencies(t *testing.T) {
	t.Parallel()
	p, out := played(100)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	p.warmUp = audit.Window{From: start.Add(-time.Second), To: at(9.5)}
	p.outage = audit.Window{From: at(59.5), To: at(61.75)}
	p.reportLatency()
	require.Equal(t, `
  COMMIT to consumer           messages       p50       p95       p99       max
  all                                90   54.0 ms   95.0 ms   99.0 ms   99.0 ms
  without the kill                   88   53.0 ms   95.0 ms   99.0 ms   99.0 ms
  (without those on the way at any time from the kill until 2.2 s later,
  when all that was there at the restart had been sent)
`, out.String())
}

// An outage that is longer than the relay was down, by the time that a decision takes, is explained.
func TestReportExplainsALongOutage(t *testing.T) {
	t.Parallel()
	for longer, explained := range map[time.Duration]bool{0: false, decisionTime: false, decisionTime + 1: true, time.Minute: true} {
		p, out := played(1)
		p.outage = audit.Window{From: start, To: start.Add(p.settings.down + longer)}
		p.reportLatency()
		require.Equal(t, explained, strings.Contains(out.String(), "The kill cut off commits whose answer was still to come."), longer)
	}
	p, out := played(1)
	p.reportLatency()
	require.NotContains(t, out.String(), "kill", "there was none")
}

func TestMilliseconds(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0.0 ms": 0, "0.1 ms": 149 * time.Microsecond, "0.2 ms": 151 * time.Microsecond, "1.0 ms": time.Millisecond, "60000.0 ms": time.Minute,
	} {
		require.Equal(t, want, ms(d))
	}
}
