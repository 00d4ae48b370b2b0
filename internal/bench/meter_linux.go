package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/child"
)

// clockTick is USER_HZ, which Linux fixes for programs on every architecture that Go runs on.
const clockTick = time.Second / 100

// settleDisks returns when what was written before is on the disks: behind a drain, the next commit would wait for its pages.
func settleDisks() { syscall.Sync() }

// processorTime is what a process has used in user and kernel mode, and with it every child that has ended and was waited
// for.
func processorTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const utime = 14 - 3 // as numbered by proc(5); the state, its field 3, is the first after the name
	if len(fields) < utime+4 {
		return 0, fmt.Errorf("processor time of process %d: %q", pid, stat)
	}
	ticks := int64(0)
	for _, field := range fields[utime : utime+4] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// familyTime is the processor time of a process and its children, with those that have ended. It never goes back: a child
// that ends is in its parent's account.
func familyTime(pid int) (time.Duration, error) {
	sum, err := processorTime(pid)
	if err != nil {
		return 0, err
	}
	for _, c := range child.Of(pid) {
		if one, err := processorTime(c); err == nil { // else it ended in between
			sum += one
		}
	}
	return sum, nil
}

// residentMemory returns what a process has in memory now and had at most, in bytes.
func residentMemory(pid int) (now, peak int64, err error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		switch name {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	return now, peak, nil
}
