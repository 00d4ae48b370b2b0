package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRules(t *testing.T) {
	t.Parallel()
	number := between(1, 5, func(n int) string { return string(rune('0' + n)) })
	require.Equal(t, "1 to 5", number.text)
	for n, ok := range map[int]bool{0: false, 1: true, 3: true, 5: true, 6: false, -1: false} {
		require.Equal(t, ok, number.ok(n), n)
	}
	seconds := wholeSeconds()
	for d, ok := range map[time.Duration]bool{0: true, time.Second: true, time.Hour: true, time.Nanosecond: false, 1500 * time.Millisecond: false, -time.Second: true} {
		require.Equal(t, ok, seconds.ok(d), d)
	}
	word := oneOf("json", "text")
	require.Equal(t, "json or text", word.text)
	for s, ok := range map[string]bool{"json": true, "text": true, "": false, "JSON": false, "json ": false, "json or text": false} {
		require.Equal(t, ok, word.ok(s), s)
	}
	other := notOneOf("DEFAULT", "TOOLS")
	for s, ok := range map[string]bool{"DEFAULT": false, "TOOLS": false, "": true, "default": true, "DEFAULT2": true} {
		require.Equal(t, ok, other.ok(s), s)
	}
	prefix := notPrefixed("pg_")
	for s, ok := range map[string]bool{"pg_": false, "pg_x": false, "pg": true, "PG_x": true, "my_pg_x": true, "": true} {
		require.Equal(t, ok, prefix.ok(s), s)
	}
	require.Equal(t, "1 to 5, none of RocketMQ's own, such as 7", ruleText([]rule[int]{number, {text: "none of RocketMQ's own, such as 7"}}))
	require.Empty(t, ruleText[int](nil))
}

// A name that ends with a line break must not pass for one without.
func TestPatternsMatchTheWholeText(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"group", "instance"} {
		s, ok := (&loader{settings: Settings()}).setting(key)
		require.True(t, ok)
		for _, bad := range []string{"a\nb", "\x00", "a b", "", "ä", "a/b", "a:b", "a@b"} {
			require.NotEmpty(t, s.apply(&Config{}, bad), "%s %q", key, bad)
		}
		c := &Config{}
		require.Empty(t, s.apply(c, " fine-1 "))
		require.Equal(t, "fine-1", s.show(c))
	}
}

// A value that breaks a rule is not stored.
func TestWrongValuesAreNotStored(t *testing.T) {
	t.Parallel()
	for _, s := range Settings() {
		for _, bad := range bounds()[s.Key].bad {
			c := &Config{}
			before := s.show(c)
			if len(s.apply(c, bad)) > 0 { // The others break a rule about several.
				require.Equal(t, before, s.show(c), "%s %q", s.Key, bad)
			}
		}
	}
}

// No value of any form makes a setting panic, and it is either stored or has a fault.
func TestAnyValueIsStoredOrHasAFault(t *testing.T) {
	t.Parallel()
	settings := Settings()
	leaf := rapid.OneOf(
		rapid.Map(rapid.String(), func(v string) any { return v }),
		rapid.Map(rapid.Int(), func(v int) any { return v }),
		rapid.Map(rapid.Uint64(), func(v uint64) any { return v }),
		rapid.Map(rapid.Float64(), func(v float64) any { return v }),
		rapid.Map(rapid.Bool(), func(v bool) any { return v }),
		rapid.Just[any](nil),
		rapid.Just[any](time.Unix(0, 0)),
		rapid.SampledFrom([]any{"10s", "a:1", "7d", "1MiB", ":9090", "orders:skip", "postgres://h/d", "-0", "1e400"}),
	)
	value := rapid.OneOf(
		leaf,
		rapid.Map(rapid.SliceOfN(leaf, 0, 3), func(v []any) any { return v }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"name", "type", "on_dead", "delivery", "x"}), leaf, 0, 3), func(v map[string]any) any { return v }),
	)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(settings).Draw(t, "setting")
		raw := value.Draw(t, "value")
		c := &Config{}
		faults := s.apply(c, raw)
		for _, f := range faults {
			if f.rule == "" {
				t.Fatalf("%s: %#v: a fault without a rule", s.Key, raw)
			}
		}
		if len(faults) > 0 || s.Key == "database.url" { // which is not shown as it was given
			return
		}
		again := &Config{}
		if text := s.show(c); text != "" {
			if faults := s.apply(again, text); len(faults) > 0 {
				t.Fatalf("%s: %#v is shown as %q, which has faults: %v", s.Key, raw, text, faults)
			}
			if got := s.show(again); got != text {
				t.Fatalf("%s: %q became %q", s.Key, text, got)
			}
		}
	})
}
