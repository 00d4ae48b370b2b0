package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// build builds the demo as a user runs it. The race detector stays out: the official client's consumer races with itself.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "demo")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(output))
	return binary
}

// TestDemo is the demo, shorter: real servers, the real relay, a kill in the middle.
func TestDemo(t *testing.T) {
	t.Parallel()
	for _, consumer := range []string{consumerDemo, consumerGo, consumerJava} {
		t.Run(consumer, func(t *testing.T) {
			t.Parallel()
			testDemo(t, consumer)
		})
	}
}

func testDemo(t *testing.T, consumer string) {
	t.Helper()
	if consumer == consumerJava {
		for _, program := range []string{"mvn", "javac"} {
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("%s is not installed (on Debian: apt-get install maven default-jdk-headless)", program)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, build(t), "-duration=6s", "-kill-after=2s", "-down=500ms", "-linger=1s", "-consumer="+consumer)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	t.Log(out.String())
	require.NoError(t, err, "exit status 0")

	value := func(name string) int {
		found := regexp.MustCompile(`(?m)^  ` + name + ` +(\d+)`).FindStringSubmatch(out.String())
		require.NotNil(t, found, name)
		n, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		return n
	}
	require.Greater(t, value("committed"), 900)
	require.Equal(t, value("committed"), value("delivered"))
	require.Positive(t, value("rolled back"))
	for _, name := range []string{"lost", "duplicated", "out of order", "rolled back but delivered"} {
		require.Zero(t, value(name), name)
	}
	for _, want := range []string{"KILL", "RESTART", "CAUGHT UP", "without the kill", "exactly once"} {
		require.Contains(t, out.String(), want)
	}
	if consumer != consumerDemo {
		require.Contains(t, out.String(), "The consumer has applied "+strconv.Itoa(value("committed"))+" orders to its own table.")
	}
}

// TestDemoInterrupted presses Ctrl-C while everything runs.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), build(t), "-duration=1h", "-kill-after=1s")
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var errors bytes.Buffer
	cmd.Stderr = &errors
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(output)
	for lines.Scan() && !strings.Contains(lines.Text(), "RESTART") {
		t.Log(lines.Text())
	}
	children := childrenOf(t, cmd.Process.Pid)
	require.NotEmpty(t, children, "the relay, at least")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() {
		t.Log(lines.Text())
	}

	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit, errors.String())
	require.Equal(t, exitInterrupted, exit.ExitCode())
	require.Contains(t, errors.String(), "interrupted, everything is stopped and removed")
	for _, pid := range children {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d is left", pid)
	}
}

// childrenOf reads /proc/<pid>/stat of every process: "pid (name) state parent …".
func childrenOf(t *testing.T, parent int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var pids []int
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // It has ended.
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if fields[1] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	return pids
}

func TestDemoSaysWhatFailed(t *testing.T) {
	t.Parallel()
	s := defaultSettings()
	var err error
	s.relay, err = exec.LookPath("false")
	require.NoError(t, err)
	var out bytes.Buffer
	_, err = demo(t.Context(), s, &console{out: &out})
	require.ErrorContains(t, err, "outbox-relay migrate up: exit status 1")
}
