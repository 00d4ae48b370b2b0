package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"500ms": 500 * time.Millisecond, " 10s ": 10 * time.Second, "7d": 168 * time.Hour, "1.5d": 36 * time.Hour, "1h30m": 90 * time.Minute,
		"0": 0,
	} {
		got, faults := duration().parse(text)
		require.Empty(t, faults, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "10", "d", "NaNd", "1e9d", "ten seconds"} {
		_, faults := duration().parse(text)
		require.NotEmpty(t, faults, text)
	}
	for want, d := range map[string]time.Duration{"7d": 168 * time.Hour, "36h": 36 * time.Hour, "2m": 2 * time.Minute, "1h30m": 90 * time.Minute, "2.5s": 2500 * time.Millisecond, "0s": 0} {
		require.Equal(t, want, showDuration(d))
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"65536": 65536, "512KiB": 512 << 10, "8MiB": 8 << 20, "8mb": 8 << 20, "1.5MiB": 3 << 19} {
		got, faults := size().parse(text)
		require.Empty(t, faults, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "much", "8XB"} {
		_, faults := size().parse(text)
		require.NotEmpty(t, faults, text)
	}
	for want, n := range map[string]int64{"0": 0, "1": 1, "1KiB": 1024, "1536KiB": 3 << 19, "2GiB": 2 << 30} {
		require.Equal(t, want, showSize(n))
	}
}

func TestScalarText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		raw  any
		want string
	}{
		{" a ", "a"},
		{"", ""},
		{7, "7"},
		{int64(-7), "-7"},
		{uint64(1 << 63), "9223372036854775808"},
		{true, "true"},
		{false, "false"},
		{0.25, "0.25"},
		{1e21, "1000000000000000000000"},
		{1.0, "1"},
		{"\r\n a b\n", "a b"},
	} {
		got, ok := scalarText(test.raw)
		require.True(t, ok, "%v", test.raw)
		require.Equal(t, test.want, got)
	}
	for _, raw := range []any{nil, []any{"a"}, map[string]any{}, time.Time{}, []byte("a")} {
		_, ok := scalarText(raw)
		require.False(t, ok, "%v", raw)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"0": 0, "7": 7, "-7": -7, "+7": 7, "007": 7} {
		got, faults := integer().parse(text)
		require.Empty(t, faults, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "7.0", "7e0", "0x7", "seven", "7 8", "99999999999999999999", "1_000"} {
		_, faults := integer().parse(text)
		require.Equal(t, []fault{{rule: "must be a whole number"}}, faults, text)
	}
	for text, want := range map[string]float64{"0": 0, "1.6": 1.6, ".5": 0.5, "1e-1": 0.1, "-2": -2} {
		got, faults := decimal().parse(text)
		require.Empty(t, faults, text)
		require.InDelta(t, want, got, 0)
	}
	for _, text := range []string{"", "NaN", "Inf", "-inf", "1e999", "1,6", "half"} {
		_, faults := decimal().parse(text)
		require.Equal(t, []fault{{rule: "must be a number"}}, faults, text)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{"debug": -4, "info": 0, "Warn": 4, "ERROR": 8} {
		got, faults := level().parse(text)
		require.Empty(t, faults, text)
		require.Equal(t, want, got)
		require.Equal(t, strings.ToLower(text), level().show(got))
	}
	for _, text := range []string{"", "trace", "fatal", "0", "warning"} {
		_, faults := level().parse(text)
		require.Equal(t, []fault{{rule: "must be debug, info, warn or error"}}, faults, text)
	}
}

// FuzzDurationText: what is read is shown such that the same is read again.
func FuzzDurationText(f *testing.F) {
	for _, text := range []string{"1.5d", "7d", "1h30m", "-1d", "1e3d", "0x1p4d", "infd", "d", "9223372036854775807ns", "106752d", "1us1µs"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDuration(text)
		if err != nil || d < 0 {
			return
		}
		again, err := parseDuration(showDuration(d))
		require.NoError(t, err)
		require.Equal(t, d, again)
	})
}

// FuzzSizeText is the same for sizes that are within the limits of any setting.
func FuzzSizeText(f *testing.F) {
	for _, text := range []string{"64KiB", "1.5MiB", "8mb", "1 GB", "0", "-1", "1e3", "9999999999PiB", "0x10", "1.KiB"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, faults := size().parse(text)
		if len(faults) > 0 || n < 0 || n > 1<<40 {
			return
		}
		again, faults := size().parse(showSize(n))
		require.Empty(t, faults)
		require.Equal(t, n, again)
	})
}

// FuzzDuration: what is shown is read back as the same value.
func FuzzDuration(f *testing.F) {
	f.Add(int64(time.Hour))
	f.Add(int64(36 * time.Hour))
	f.Add(int64(1))
	f.Fuzz(func(t *testing.T, n int64) {
		if d := time.Duration(n); d >= 0 {
			got, err := parseDuration(showDuration(d))
			require.NoError(t, err)
			require.Equal(t, d, got)
		}
	})
}

// FuzzFile: no YAML makes Load panic.
func FuzzFile(f *testing.F) {
	f.Add(minimal)
	f.Add("a: &x [1]\nb: *x\n<<: {c: 1}")
	f.Add("topics: [{name: 1}, ~, [2]]\n? [k]\n: v")
	f.Fuzz(func(t *testing.T, yaml string) {
		raw, lines, err := parseYAML([]byte(yaml))
		if err != nil {
			return
		}
		l := &loader{settings: Settings(), need: NeedNothing, broken: map[string]bool{}}
		l.addDefaults()
		at := func(key string) string { lines.find(key); return "" }
		l.add(l.known(raw, at), func(key, path string) string { return at(key + path) })
		l.checkTogether(l.build())
	})
}
