package config

import (
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
