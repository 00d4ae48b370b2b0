package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is one kind of fault.
type Kind struct {
	Name string
	// Relays is how many relays run at least while it happens.
	Relays int
	// LongWait marks a kind that always takes long: a long run does it less often.
	LongWait bool
	// Short marks a kind that is quick enough for the run that is part of the tests.
	Short bool
	// Patience is how long nothing may move after the fault has gone. Default: see patience.
	Patience time.Duration
	// Finale marks the kind after which nothing is as before: it has servers of its own, and comes last. It has no Inject.
	Finale bool
	// Inject makes the fault and returns when it has gone. It draws everything it chooses, so that the seed fixes it.
	Inject func(ctx context.Context, w *World, d *Draw) error
}

// errNotReached means that the fault did not happen, for example because the relay never came to the point where it was to
// be killed.
var errNotReached = errors.New("the fault did not happen")

// errStalled means that something did not go on while the fault lasted, though that fault must not keep it from doing so.
var errStalled = errors.New("it does not go on")

// Kinds is the closed registry of fault kinds.
func Kinds() []Kind {
	return slices.Concat(relayKinds(), pointKinds(), brokerKinds(), networkKinds(), postgresKinds(), clockKinds(), absenceKinds())
}

// Select returns the kinds whose names contain one of the words, separated by commas; all for no words.
func Select(kinds []Kind, words string) ([]Kind, error) {
	if words == "" {
		return kinds, nil
	}
	var selected []Kind
	for word := range strings.SplitSeq(words, ",") {
		word = strings.TrimSpace(word)
		found := false
		for _, k := range kinds {
			if !strings.Contains(k.Name, word) {
				continue
			}
			found = true
			if !slices.ContainsFunc(selected, func(s Kind) bool { return s.Name == k.Name }) {
				selected = append(selected, k)
			}
		}
		if !found {
			return nil, fmt.Errorf("no fault kind has %q in its name; they are %s", word, strings.Join(Names(kinds), ", "))
		}
	}
	return selected, nil
}

// Names returns the names of the kinds.
func Names(kinds []Kind) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return names
}

// Draw draws the parameters of one fault.
type Draw struct {
	*rand.Rand
}

// between returns a duration from lo to hi.
func (d *Draw) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(d.Int64N(int64(hi-lo)+1))
}

// pause waits, unless the run is over before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// until waits until the condition holds, at most so long; false means that it never did.
func until(ctx context.Context, atMost time.Duration, condition func() bool) (bool, error) {
	deadline := time.Now().Add(atMost)
	for !condition() {
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return false, err
		}
	}
	return true, nil
}
