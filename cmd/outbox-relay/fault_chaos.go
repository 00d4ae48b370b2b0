//go:build chaos

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/app"
	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// The variables of a program that was built for the fault harness. They are not settings: a released program does not read
// them.
const (
	// killVariable is hits@point: the process ends itself with SIGKILL when it comes to the point for the hits-th time.
	killVariable = "CHAOS_KILL"
	// clockVariable names a file with a duration, such as -3m: how wrong the clock is. It is read anew every 100 ms.
	clockVariable = "CHAOS_CLOCK"
)

func addFaults(p *app.Process, getenv func(string) string) error {
	if text := getenv(killVariable); text != "" {
		at, err := killAt(text)
		if err != nil {
			return fmt.Errorf("%s=%s: %w", killVariable, text, err)
		}
		p.At = at
	}
	if file := getenv(clockVariable); file != "" {
		p.Clock = (&wrongClock{file: file}).now
	}
	return nil
}

func killAt(text string) (func(relay.Point), error) {
	count, name, _ := strings.Cut(text, "@")
	hits, err := strconv.ParseInt(count, 10, 32)
	if err != nil || !slices.Contains(relay.Points(), relay.Point(name)) {
		return nil, fmt.Errorf("is not hits@point with one of the points %q", relay.Points())
	}
	var come atomic.Int64
	return func(p relay.Point) {
		if p != relay.Point(name) || come.Add(1) != hits {
			return
		}
		if p == relay.PointSettling { // the point lies before the write: while it is under way is a little later
			go func() {
				time.Sleep(rand.N(3 * time.Millisecond))
				die()
			}()
			return
		}
		die()
	}, nil
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing runs on
}

// wrongClock is the real one and an offset from a file.
type wrongClock struct {
	file   string
	read   atomic.Int64 // when, in unix nanoseconds
	offset atomic.Int64
}

func (c *wrongClock) now() time.Time {
	now := time.Now()
	if now.UnixNano()-c.read.Load() > int64(100*time.Millisecond) {
		c.read.Store(now.UnixNano())
		if text, err := os.ReadFile(c.file); err == nil {
			if d, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
				c.offset.Store(int64(d))
			}
		}
	}
	return now.Add(time.Duration(c.offset.Load()))
}
