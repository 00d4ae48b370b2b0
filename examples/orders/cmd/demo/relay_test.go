package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/child/childtest"
)

// script writes a program that stands for the relay's binary.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "outbox-relay")
	childtest.Script(t, path, text)
	return path
}

// scripted makes a relay of a script.
func scripted(t *testing.T, text string) *relay {
	t.Helper()
	r, err := newRelay(t.Context(), script(t, text), t.TempDir(), &servers{
		databaseURL: "postgres://h/orders_1", nameServer: "ns:9876", topic: "orders_1",
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.kill()) })
	return r
}

// log returns what the relay has logged, once there is a line.
func (r *relay) log(t *testing.T) string {
	t.Helper()
	var text []byte
	require.Eventually(t, func() bool {
		text, _ = os.ReadFile(r.logPath)
		return bytes.ContainsRune(text, '\n')
	}, 20*time.Second, 5*time.Millisecond)
	return string(text)
}

func TestTheRelayIsConfiguredByItsEnvironmentAlone(t *testing.T) {
	t.Parallel()
	r := scripted(t, `echo "$# $1 $OUTBOX_RELAY_DATABASE_URL $OUTBOX_RELAY_NAMESERVERS $OUTBOX_RELAY_TOPICS $OUTBOX_RELAY_GROUP $OUTBOX_RELAY_INSTANCE"; exec sleep 60`)
	require.NoError(t, r.start())
	require.Equal(t, "1 run postgres://h/orders_1 ns:9876 orders_1 orders_1 demo\n", r.log(t))
	listen := ""
	for _, variable := range r.env {
		if value, ok := strings.CutPrefix(variable, "OUTBOX_RELAY_HTTP_LISTEN="); ok {
			listen = value
		}
	}
	require.Equal(t, "http://"+listen+"/readyz", r.health)
	host, port, err := net.SplitHostPort(listen)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host, "nobody else is served")
	require.NotEqual(t, "0", port)
}

func TestStopInGoodOrder(t *testing.T) {
	t.Parallel()
	r := scripted(t, `trap 'echo stopping; exit 0' TERM; echo up; while :; do sleep 0.02; done`)
	require.NoError(t, r.start())
	require.Equal(t, "up\n", r.log(t))
	require.NoError(t, r.stop(t.Context()))
	require.Nil(t, r.process)
	require.Equal(t, "up\nstopping\n", r.log(t), "the log is appended to")
	require.NoError(t, r.kill(), "there is nothing left to kill")
}

func TestStopThatFails(t *testing.T) {
	t.Parallel()
	r := scripted(t, `trap 'exit 3' TERM; echo up; while :; do sleep 0.02; done`)
	require.NoError(t, r.start())
	r.log(t)
	require.EqualError(t, r.stop(t.Context()), "the relay ended on SIGTERM: exit status 3")
}

func TestStopThatTakesTooLong(t *testing.T) {
	t.Parallel()
	r := scripted(t, `trap '' TERM; echo up; while :; do sleep 0.02; done`)
	require.NoError(t, r.start())
	r.log(t)
	impatient, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("not after 20 ms"))
	defer cancel()
	require.EqualError(t, r.stop(impatient), "end the relay by SIGTERM: not after 20 ms")
	require.NotNil(t, r.process)
	require.NoError(t, r.kill())
	require.Nil(t, r.process)
}

func TestAwaitReady(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(health.Close)
	r := scripted(t, `exec sleep 60`)
	r.health = health.URL
	require.NoError(t, r.start())
	require.NoError(t, r.awaitReady(t.Context()))
	require.Equal(t, int64(3), asked.Load())
}

func TestAwaitReadyOfARelayThatEnds(t *testing.T) {
	t.Parallel()
	r := scripted(t, `exit 2`)
	require.NoError(t, r.start())
	require.EqualError(t, r.awaitReady(t.Context()), "the relay ended: exit status 2\nsee its log above")
}

func TestAwaitReadyIsInterrupted(t *testing.T) {
	t.Parallel()
	r := scripted(t, `exec sleep 60`)
	require.NoError(t, r.start())
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	require.EqualError(t, r.awaitReady(ctx), "interrupted")
}

func TestMigrateSaysWhatTheRelaySaid(t *testing.T) {
	t.Parallel()
	r := scripted(t, `echo "$*"; echo "no such database" >&2; exit 1`)
	require.EqualError(t, r.migrate(t.Context()), "outbox-relay migrate up: exit status 1\n  migrate up\n  no such database")
	require.NoError(t, scripted(t, `exit 0`).migrate(t.Context()))
}

func TestProgramThatIsMissing(t *testing.T) {
	t.Parallel()
	r := scripted(t, "")
	r.binary = filepath.Join(t.TempDir(), "missing")
	require.ErrorIs(t, r.migrate(t.Context()), os.ErrNotExist)
	require.ErrorIs(t, r.start(), os.ErrNotExist)
	r.logPath = t.TempDir()
	require.ErrorContains(t, r.start(), "open the relay's log: ")
}

func TestIndented(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "", " \n\t\n": "", "one": "\n  one", "one\n": "\n  one", "one\ntwo\n\n": "\n  one\n  two", "one\n  two": "\n  one\n    two",
	} {
		require.Equal(t, want, indented([]byte(given)), "%q", given)
	}
}

func TestLastLinesOfTheLog(t *testing.T) {
	t.Parallel()
	r := &relay{logPath: filepath.Join(t.TempDir(), "relay.log")}
	var out bytes.Buffer
	c := &console{out: &out}
	r.printLog(c)
	require.Empty(t, out.String(), "there is none")
	require.NoError(t, os.WriteFile(r.logPath, nil, 0o600))
	r.printLog(c)
	require.Empty(t, out.String(), "it is empty")

	var log strings.Builder
	for i := range 40 {
		fmt.Fprintf(&log, "line %d\n", i)
	}
	require.NoError(t, os.WriteFile(r.logPath, []byte(log.String()), 0o600))
	r.printLog(c)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 16)
	require.Equal(t, "the last lines of the relay's log:", lines[0])
	require.Equal(t, "  line 25", lines[1])
	require.Equal(t, "  line 39", lines[15])

	out.Reset()
	require.NoError(t, os.WriteFile(r.logPath, []byte("only one"), 0o600))
	r.printLog(c)
	require.Equal(t, "the last lines of the relay's log:\n  only one\n", out.String())
}
