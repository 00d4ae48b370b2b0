package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// fakeClockFile is where libfaketime looks for the offset, in the broker's folder.
const fakeClockFile = "clock"

// errClockIsTrue is the answer to SetClock on a broker without [Options.FakeClock].
var errClockIsTrue = errors.New("it was started without Options.FakeClock")

// findFakeTime returns libfaketime. The variant for threads is the wrong one: it
// takes a lock in each call, and a JVM asks for the time in signal handlers.
func findFakeTime() (string, error) {
	for _, pattern := range []string{"/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 { // The patterns are well-formed.
			return found[0], nil
		}
	}
	return "", &MissingError{What: []Prerequisite{FakeTime}, Native: true}
}

// fakeClock prepares a clock that SetClock can move and returns the variables
// that make a JVM obey it. What the JVM measures durations with stays true, as it
// does when somebody sets a machine's clock; so do the times of files.
func fakeClock(dir *workDir) (environ []string, err error) {
	library, err := findFakeTime()
	if err != nil {
		return nil, err
	}
	path := dir.join(fakeClockFile)
	if err := writeOffset(path, 0); err != nil {
		return nil, err
	}
	return []string{
		"LD_PRELOAD=" + library,
		"FAKETIME_TIMESTAMP_FILE=" + path,
		"FAKETIME_CACHE_DURATION=1", // Seconds until it looks at the file again.
		"FAKETIME_DONT_FAKE_MONOTONIC=1",
		"FAKETIME_FORCE_MONOTONIC_FIX=0", // With it each timed wait of a JVM hangs: 70 s to start instead of 3 s.
		"NO_FAKE_STAT=1",
	}, nil
}

// writeOffset replaces the file in one step: libfaketime ends a program that
// reads half of one.
func writeOffset(path string, offset time.Duration) error {
	content := fmt.Sprintf("%+.3f\n", offset.Seconds())
	next := path + ".next"
	if err := os.WriteFile(next, []byte(content), 0o644); err != nil {
		return fmt.Errorf("write the offset of the clock: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replace the offset of the clock: %w", err)
	}
	return nil
}

// SetClock moves the broker's clock to offset from the true time, forwards or
// backwards. The broker, which must have been started with [Options.FakeClock],
// notices within about a second; it keeps the offset over restarts.
func (b *Broker) SetClock(offset time.Duration) error {
	if b.clock == "" {
		return fmt.Errorf("set the clock of %s: %w", b.Name, errClockIsTrue)
	}
	return writeOffset(b.clock, offset)
}

// sweepFakeTime removes what libfaketime of a killed process leaves in shared
// memory: it stops the next process that is given the same number.
func sweepFakeTime(pid int) {
	for _, name := range []string{"faketime_shm_", "sem.faketime_sem_"} {
		_ = os.Remove(filepath.Join("/dev/shm", name+strconv.Itoa(pid))) // It need not be there.
	}
}
