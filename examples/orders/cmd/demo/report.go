package main

import (
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/examples/orders/internal/audit"
)

// decisionTime is how long a commit can be in doubt with the relay's default settings: its window, 10 s, less what had passed
// of it at the kill.
const decisionTime = 8 * time.Second

// report prints the table.
func (p *play) report(v audit.Verdict) {
	line := func(name string, n int, must string) {
		mark := ""
		if must != "" {
			mark = "ok"
			if n != 0 {
				mark = "BROKEN: must be 0"
			}
		}
		p.out.printf("  %-28s %8d  %s\n", name, n, mark)
	}
	p.out.printf("\n")
	line("committed", v.Committed, "")
	line("delivered", v.Delivered, "")
	line("rolled back", v.RolledBack, "")
	line("lost", v.Lost, "0")
	line("duplicated", v.Duplicated, "0")
	line("out of order", v.OutOfOrder, "0")
	line("rolled back but delivered", v.RolledBackDelivered, "0")
	line("delivered, never written", v.Unknown, "0")
	line("offsets the consumer missed", v.Missed, "0")
	if v.Redelivered > 0 {
		line("handed out again by RocketMQ", v.Redelivered, "")
	}
	p.reportLatency()
	p.out.printf("\n")
	if v.OK() {
		p.out.printf("Everything that was committed arrived exactly once and in order; nothing that was rolled back did.\n")
	} else {
		p.out.printf("The promise was BROKEN.\n")
	}
}

func (p *play) reportLatency() {
	row := func(name string, l audit.Latency) {
		p.out.printf("  %-28s %8d %9s %9s %9s %9s\n", name, l.Count, ms(l.P50), ms(l.P95), ms(l.P99), ms(l.Max))
	}
	p.out.printf("\n  %-28s %8s %9s %9s %9s %9s\n", "COMMIT to consumer", "messages", "p50", "p95", "p99", "max")
	row("all", p.audit.Latency(p.warmUp))
	if p.outage.From.IsZero() {
		return
	}
	row("without the kill", p.audit.Latency(p.warmUp, p.outage))
	outage := p.outage.To.Sub(p.outage.From)
	p.out.printf("  (without those on the way at any time from the kill until %.1f s later,\n"+
		"  when all that was there at the restart had been sent)\n", outage.Seconds())
	if outage > p.settings.down+decisionTime {
		p.out.printf("  The kill cut off commits whose answer was still to come. Whether they took effect is certain only\n" +
			"  when the broker can accept them no longer; until then they hold up the orders of their customers.\n")
	}
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
