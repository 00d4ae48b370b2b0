package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// dribble takes one byte at a time, as a terminal may: lines that are written at once must not mix in it.
type dribble struct{ bytes.Buffer }

func (d *dribble) Write(b []byte) (int, error) {
	for i := range b {
		d.WriteByte(b[i])
	}
	return len(b), nil
}

func TestLinesOfTheConsoleDoNotMix(t *testing.T) {
	t.Parallel()
	var out dribble
	c := &console{out: &out}
	log := c.logger()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				c.printf("%s\n", strings.Repeat(fmt.Sprint(i), 20))
				log.Info("logged", slog.Int("by", i))
			}
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 800)
	for _, line := range lines {
		require.Regexp(t, `^([0-7])*$|^msg=logged by=[0-7]$`, line)
		require.Equal(t, strings.Repeat(line[:1], len(line)) == line, !strings.HasPrefix(line, "msg"), line)
	}
}

func TestLoggerOfTheConsoleIsForPeople(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := (&console{out: &out}).logger()
	log.Info("fetching", slog.String("file", "rocketmq all.zip"))
	log.Debug("not this")
	log.With(slog.Int("pid", 7)).Warn("slow")
	require.Equal(t, "msg=fetching file=\"rocketmq all.zip\"\nmsg=slow pid=7\n", out.String())
}

// gone is a terminal that was closed.
type gone struct{ err error }

func (g gone) Write([]byte) (int, error) { return 0, g.err }

func TestAClosedTerminalIsNoReasonToStop(t *testing.T) {
	t.Parallel()
	c := &console{out: gone{io.ErrClosedPipe}}
	require.NotPanics(t, func() { c.printf("%d\n", 1) })
	_, err := c.Write([]byte("x"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}
