package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Of the settings that do not fit together, the one from the strongest source is blamed: it is most likely the one to mend.
func TestWhoIsBlamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		yaml    string
		environ []string
		args    []string
		want    string
	}{
		"the only one that was given": {
			yaml: "lease: {renew: 4s}",
			want: `relay.yaml:1: lease.renew: "4s": lease.renew (4s, relay.yaml:1) must be at most a third of lease.duration (10s, default)`,
		},
		"the other one": {
			yaml: "\nlease: {duration: 8s}",
			want: `relay.yaml:2: lease.duration: "8s": lease.renew (3s, default) must be at most a third of lease.duration (8s, relay.yaml:2)`,
		},
		"the first of one source": {
			yaml: "lease:\n  duration: 9s\n  renew: 5s",
			want: `relay.yaml:3: lease.renew: "5s": lease.renew (5s, relay.yaml:3) must be at most a third of lease.duration (9s, relay.yaml:2)`,
		},
		"a variable rather than the file": {
			yaml: "lease: {renew: 5s}", environ: []string{"OUTBOX_RELAY_LEASE_DURATION=11s"},
			want: `env OUTBOX_RELAY_LEASE_DURATION: lease.duration: "11s": lease.renew (5s, relay.yaml:1) must be at most a third of ` +
				`lease.duration (11s, env OUTBOX_RELAY_LEASE_DURATION)`,
		},
		"a flag rather than a variable": {
			environ: []string{"OUTBOX_RELAY_SEND_TIMEOUT=9s"}, args: []string{"--commit-timeout=1500ms"},
			want: `flag --commit-timeout: commit_timeout: "1.5s": window (10s, default) must be at least the sum of ` +
				`send_timeout (9s, env OUTBOX_RELAY_SEND_TIMEOUT) and commit_timeout (1.5s, flag --commit-timeout)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, "1 mistake in the settings:\n  "+test.want, mistakes(t, input(t, test.yaml, test.environ, test.args...), NeedNothing))
		})
	}
}

func TestSeveralRelationsAtOnce(t *testing.T) {
	t.Parallel()
	got := mistakes(t, input(t, "", nil, "--lease-renew=60s", "--poll-busy=1s", "--retry-max=10ms", "--window=1s"), NeedNothing)
	require.Contains(t, got, "4 mistakes in the settings:")
	require.Equal(t, 4, strings.Count(got, "\n"))
}

// Whatever durations are drawn: Load accepts them exactly if the rules about several settings, as they are documented, hold.
func TestRelationsHoldWhereLoadSucceeds(t *testing.T) {
	t.Parallel()
	ms := func(t *rapid.T, name string, low, high int) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(t, name)) * time.Millisecond
	}
	rapid.Check(t, func(t *rapid.T) {
		window := ms(t, "window", 1, 30) * 1000
		send, commit := ms(t, "send", 1000, 20000), ms(t, "commit", 100, 2900)
		lease, renew := ms(t, "lease", 1000, 60000), ms(t, "renew", 100, 20000)
		busy, idle := ms(t, "busy", 1, 1000), ms(t, "idle", 1, 1000)
		initial, longest := ms(t, "initial", 10, 5000), ms(t, "max", 10, 5000)
		var environ []string
		for name, d := range map[string]time.Duration{
			"WINDOW": window, "SEND_TIMEOUT": send, "COMMIT_TIMEOUT": commit, "LEASE_DURATION": lease, "LEASE_RENEW": renew,
			"POLL_BUSY": busy, "POLL_IDLE": idle, "RETRY_INITIAL": initial, "RETRY_MAX": longest,
		} {
			environ = append(environ, fmt.Sprintf("OUTBOX_RELAY_%s=%s", name, d))
		}
		broken := 0
		for _, bad := range []bool{window < send+commit, lease < 3*renew, idle < busy, longest < initial} {
			if bad {
				broken++
			}
		}
		_, err := Load(Input{Environ: environ}, NeedNothing)
		found, _ := err.(Mistakes) //nolint:errorlint // Load returns it unwrapped.
		if len(found) != broken {
			t.Fatalf("%d relations are broken, but: %v", broken, err)
		}
	})
}

func TestWarningsAtTheirLimits(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{
		"--send-timeout=5500ms":                    0,
		"--send-timeout=5499ms":                    1,
		"--send-timeout=15s --window=20s":          0,
		"--send-timeout=15001ms --window=20s":      1,
		"--shutdown-grace=8500ms":                  0,
		"--shutdown-grace=8499ms":                  1,
		"--nameservers=ns:1,localhost:1":           0,
		"--nameservers=127.0.0.1:1,[::1]:1":        0,
		"--nameservers=127.9.9.9:1":                0,
		"--nameservers=10.0.0.1:1,ns:1,10.0.0.2:1": 2,
		"--nameservers=[2001:db8::1]:1":            1,
		"--nameservers=0.0.0.0:1":                  1,
	} {
		c, err := Load(input(t, "", nil, strings.Fields(args)...), NeedNothing)
		require.NoError(t, err, args)
		require.Len(t, c.Warnings(), want, "%s: %v", args, c.Warnings())
	}
}
