package flowtest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

// A victim is a relay in a process of its own, so that it can be killed for real. It is this test binary, started again.
type victim struct {
	URL, NameServer, Group string
	Config                 relay.Config
	Point                  relay.Point // where it kills itself with SIGKILL, "" = nowhere
	Hits                   int32       // at which time it gets there, from 1
}

const victimVariable = "OUTBOX_FLOWTEST_VICTIM"

// runVictim is the main of the victim's process.
func runVictim(text string) int {
	var v victim
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	var hits atomic.Int32
	v.Config.At = func(p relay.Point) {
		if p == v.Point && hits.Add(1) == v.Hits {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // nothing runs on
		}
	}
	log := slog.New(slog.DiscardHandler)
	ctx := context.Background()
	parts, err := connect(ctx, v.URL, v.NameServer, v.Group, v.Config, log, nil)
	if err == nil {
		var r *relay.Relay
		if r, err = parts.relay(v.Config, parts.client, log); err == nil {
			err = r.Run(ctx)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// victim starts a relay in a process of its own. It is killed at the end of the test if it still lives.
func (w *world) victim(point relay.Point, hits int32, change ...func(*relay.Config)) *exec.Cmd {
	w.t.Helper()
	cfg := w.settings()
	for _, c := range change {
		c(&cfg)
	}
	text, err := json.Marshal(victim{URL: w.url, NameServer: w.nameServer, Group: w.group, Config: cfg, Point: point, Hits: hits})
	require.NoError(w.t, err)
	self, err := os.Executable()
	require.NoError(w.t, err)
	cmd := exec.Command(self) //nolint:noctx // killed below
	cmd.Env = append(os.Environ(), victimVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(w.t, cmd.Start())
	w.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd
}

// dies waits until the victim has killed itself.
func (w *world) dies(cmd *exec.Cmd) {
	w.t.Helper()
	err := cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(w.t, err, &exit)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(w.t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, "the victim ended by itself: %v", err)
}
