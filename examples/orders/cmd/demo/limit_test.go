package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSettingsAtTheirLimits(t *testing.T) {
	t.Parallel()
	for arg, rule := range map[string]string{
		"-duration=8001ms":          "",
		"-duration=8s":              "-kill-after must be at least 0 and below -duration",
		"-duration=0 -kill-after=0": "-duration must be above 0",
		"-rate=0.1":                 "",
		"-rate=5000":                "",
		"-rate=5000.1":              "-rate must be above 0 and at most 5000",
		"-rate=-1":                  "-rate must be above 0 and at most 5000",
		"-rate=NaN":                 "-rate must be above 0 and at most 5000",
		"-rollback=0":               "",
		"-rollback=0.999":           "",
		"-rollback=1":               "-rollback must be at least 0 and below 1",
		"-rollback=-0.1":            "-rollback must be at least 0 and below 1",
		"-rollback=NaN":             "-rollback must be at least 0 and below 1",
		"-customers=1":              "",
		"-customers=0":              "-customers must be above 0",
		"-kill-after=0":             "",
		"-kill-after=19999ms":       "",
		"-kill-after=-1ns":          "-kill-after must be at least 0 and below -duration",
		"-down=0":                   "",
		"-down=-1s":                 "-down must be at least 0",
		"-drain=1ns":                "",
		"-drain=0":                  "-drain must be above 0",
		"-linger=0":                 "",
		"-linger=-1s":               "-linger must be at least 0",
		"-consumer=java":            "",
		"-consumer=rust":            "-consumer must be demo, go or java",
	} {
		_, err := parseSettings(strings.Fields(arg), none, new(bytes.Buffer))
		if rule == "" {
			require.NoError(t, err, arg)
		} else if strings.HasPrefix(arg, "-duration=0") {
			require.ErrorContains(t, err, rule, arg) // The kill is not before the end either.
		} else {
			require.EqualError(t, err, rule, arg)
		}
	}
}

// Every flag has a variable, and every variable has a flag that wins over it.
func TestEverySettingByFlagAndVariable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		weak, strong string
		got          func(settings) any
		want         [2]any
	}{
		"duration":   {"30s", "40s", func(s settings) any { return s.duration }, [2]any{30 * time.Second, 40 * time.Second}},
		"rate":       {"3", "4.5", func(s settings) any { return s.rate }, [2]any{3.0, 4.5}},
		"rollback":   {"0.3", "0", func(s settings) any { return s.rollback }, [2]any{0.3, 0.0}},
		"customers":  {"3", "4", func(s settings) any { return s.customers }, [2]any{3, 4}},
		"kill-after": {"3s", "0", func(s settings) any { return s.killAfter }, [2]any{3 * time.Second, time.Duration(0)}},
		"down":       {"3s", "0s", func(s settings) any { return s.down }, [2]any{3 * time.Second, time.Duration(0)}},
		"drain":      {"3s", "4m", func(s settings) any { return s.drain }, [2]any{3 * time.Second, 4 * time.Minute}},
		"linger":     {"30s", "4ms", func(s settings) any { return s.linger }, [2]any{30 * time.Second, 4 * time.Millisecond}},
		"relay":      {"/a", "/b", func(s settings) any { return s.relay }, [2]any{"/a", "/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variable := "OUTBOX_DEMO_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			getenv := func(asked string) string {
				if asked == variable {
					return test.weak
				}
				return ""
			}
			s, err := parseSettings(nil, getenv, new(bytes.Buffer))
			require.NoError(t, err)
			require.Equal(t, test.want[0], test.got(s))
			s, err = parseSettings([]string{"-" + name, test.strong}, getenv, new(bytes.Buffer))
			require.NoError(t, err)
			require.Equal(t, test.want[1], test.got(s))

			var out bytes.Buffer
			_, err = parseSettings([]string{"-h"}, none, &out)
			require.Error(t, err)
			require.Regexp(t, fmt.Sprintf(`(?m)^  -%s\b`, name), out.String())
		})
	}
}

func TestExitCodesOfTheCommandLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, exitOK, run([]string{"-help"}))
	for _, args := range [][]string{{"-rate=0"}, {"-rate=fast"}, {"-speed=1"}, {"now"}, {"-duration"}} {
		require.Equal(t, exitFailed, run(args), "%v: nothing is started", args)
	}
	require.Len(t, map[int]bool{exitOK: true, exitBroken: true, exitFailed: true, exitInterrupted: true}, 4, "a broken promise is told from a failure")
}

func TestCustomersAndStock(t *testing.T) {
	t.Parallel()
	names := customerNames(1000)
	require.Equal(t, "customer-001", names[0])
	require.Equal(t, "customer-1000", names[999])
	seen := map[string]bool{}
	for _, name := range names {
		require.False(t, seen[name], "each is an ordering key of its own: %s", name)
		seen[name] = true
	}
	require.Empty(t, customerNames(0))

	amounts := stock()
	require.Len(t, amounts, items+1)
	require.Contains(t, amounts, soldOut)
	for name, amount := range amounts {
		require.Equal(t, name == soldOut, amount == 0, name)
	}
	for i := range items {
		require.Contains(t, amounts, item(i), "every item that is ordered is in stock")
	}
}

func TestRandomNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		name := random()
		require.Regexp(t, `^[0-9a-f]{12}$`, name, "it is part of a database's and of a topic's name")
		require.False(t, seen[name])
		seen[name] = true
	}
}
