package txcheck_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outbox-relay/outbox-relay/txcheck"
)

// As time passes, the answer about a half changes once: to Rollback, the moment after its window, and for good. A broker that asks
// again is never told the contrary.
func TestTheAnswerChangesOnceAndForGood(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		setting := time.Duration(rapid.IntRange(1, 449).Draw(t, "setting")) * time.Second
		own := time.Duration(rapid.IntRange(0, 449).Draw(t, "of the half")) * time.Second
		at := now
		c, err := txcheck.New(txcheck.Options{Origin: ours, Window: setting, Clock: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		half := txcheck.Half{Origin: ours, Born: now, Window: own}
		window := own
		if window == 0 {
			window = setting
		}
		for range rapid.IntRange(1, 30).Draw(t, "questions") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "later")))
			half.Checks++
			want := txcheck.Unknown
			if at.Sub(now) > window {
				want = txcheck.Rollback
			}
			if got := c.Check(half); got != want {
				t.Fatalf("%s after it was born, with a window of %s: %s", at.Sub(now), window, got)
			}
		}
	})
}

func TestWindowToTheNanosecond(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]txcheck.Answer{
		10*time.Second - 1: txcheck.Unknown, 10 * time.Second: txcheck.Unknown, 10*time.Second + 1: txcheck.Rollback,
	} {
		require.Equal(t, want, newChecker(t, nil).Check(txcheck.Half{Origin: ours, Born: now.Add(-age)}), age)
	}
	zero := txcheck.Half{Origin: ours} // a half whose born time could not be read is of the year 1
	require.Equal(t, txcheck.Rollback, newChecker(t, nil).Check(zero), "it was sent long before any window that is open")
}

// A uuid is the same in any case; a text that only begins or ends like it is another.
func TestWhoseOriginItIs(t *testing.T) {
	t.Parallel()
	for origin, mine := range map[string]bool{
		"6F1C0A3E-5B7D-4A57-9F0E-0D3C7D2B8A11": true, "6f1c0a3e-5b7d-4a57-9f0e-0D3C7D2B8A11": true,
		ours + " ": false, " " + ours: false, ours[1:]: false, ours + "0": false, "{" + ours + "}": false,
		"6f1c0a3e5b7d4a579f0e0d3c7d2b8a11": false,
	} {
		want := txcheck.Unknown
		if mine {
			want = txcheck.Rollback
		}
		require.Equal(t, want, newChecker(t, nil).Check(txcheck.Half{Origin: origin, Born: now.Add(-time.Hour)}), "%q", origin)
	}
}
