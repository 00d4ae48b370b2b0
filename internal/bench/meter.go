package bench

import (
	"syscall"
	"time"
)

// A meter reads the processor time of everybody who works: of those that do not run here it knows nothing.
type meter struct {
	relays   []*relay
	postgres int
	brokers  []Broker
}

// usage is processor time so far; what is not known is missing.
type usage map[Measure]time.Duration

func (m meter) read() usage {
	u := usage{}
	add := func(what Measure, pid int, of func(int) (time.Duration, error)) {
		if pid == 0 {
			return
		}
		if t, err := of(pid); err == nil {
			u[what] += t
		}
	}
	for _, r := range m.relays {
		add(RelayCPU, r.pid(), processorTime)
	}
	add(PostgresCPU, m.postgres, familyTime)
	for _, b := range m.brokers {
		add(BrokerCPU, b.PID, processorTime)
	}
	return u
}

// since adds what was used since before, for n messages, to the values.
func (u usage) since(before usage, n int, v Values) {
	all := 0.0
	for what, t := range u {
		used := per100k((t - before[what]).Seconds(), n)
		v[what] = used
		all += used
	}
	if len(u) > 1 {
		v[AllCPU] = all
	}
}

// ownTime is the processor time of this process.
func ownTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

const megabyte = 1 << 20

// peakMemory adds the largest peak among the relays.
func peakMemory(relays []*relay, v Values) {
	for _, r := range relays {
		if _, peak, err := residentMemory(r.pid()); err == nil {
			v[Memory] = max(v[Memory], float64(peak)/megabyte)
		}
	}
}
