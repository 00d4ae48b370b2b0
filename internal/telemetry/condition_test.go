package telemetry

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// After any sequence of changes, each condition is as it was set last, the list keeps its order, and ready means that all hold.
func TestConditionsAfterAnyChanges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"database", "topics", "session"}
		c := NewConditions(names...)
		last := map[string]string{"database": "not yet", "topics": "not yet", "session": "not yet"}
		for range rapid.IntRange(0, 30).Draw(t, "changes") {
			name := rapid.SampledFrom(append(names, "unknown")).Draw(t, "name")
			reason := rapid.SampledFrom([]string{"", "away", "refused"}).Draw(t, "reason")
			was, known := last[name]
			if changed := c.Set(name, reason); changed != (known && was != reason) {
				t.Fatalf("%s from %q to %q is news: %t", name, was, reason, changed)
			}
			if known {
				last[name] = reason
			}
		}
		all := true
		for i, one := range c.Conditions() {
			want := last[names[i]]
			if one != (Condition{Name: names[i], OK: want == "", Reason: want}) {
				t.Fatalf("%v, but %q was set", one, want)
			}
			all = all && want == ""
		}
		if c.Ready() != all {
			t.Fatalf("ready: %t, but %v", c.Ready(), c.Conditions())
		}
	})
}

func TestConditionsAreCopied(t *testing.T) {
	t.Parallel()
	c := NewConditions("database")
	c.Conditions()[0].OK = true
	require.False(t, c.Ready(), "a copy was changed")
	require.True(t, NewConditions().Ready(), "where nothing must hold, everything does")
}

// Of many that say the same at once, one learns that it is news: it is logged once.
func TestOneOfManyTellsTheNews(t *testing.T) {
	t.Parallel()
	c := NewConditions("database")
	news := make(chan bool, 64)
	var wg sync.WaitGroup
	for range cap(news) {
		wg.Go(func() { news <- c.Set("database", "") })
	}
	wg.Wait()
	close(news)
	n := 0
	for changed := range news {
		if changed {
			n++
		}
	}
	require.Equal(t, 1, n)
}

func TestProgressCountsFromTheLastTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewProgress(time.Now)
		require.Zero(t, p.Idle(), "it starts with a tick")
		time.Sleep(time.Hour) // Virtual.
		require.Equal(t, time.Hour, p.Idle())
		p.Tick()
		require.Zero(t, p.Idle())
		time.Sleep(time.Second)
		require.Equal(t, time.Second, p.Idle())
	})
}

// A wall clock that is set back, where there is no monotonic one, makes the idle time negative: that is alive.
func TestClockThatIsSetBackKillsNobody(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	p := NewProgress(c.Now)
	c.Add(-time.Hour)
	code, _ := get(t, Handler(http.NotFoundHandler(), p, NewConditions()), "/healthz")
	require.Equal(t, http.StatusOK, code)
}

// A relay's life as a probe sees it: started, ready, its broker lost, found again, stuck.
func TestWhatProbesSee(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	p, conditions := NewProgress(c.Now), NewConditions("database", "session")
	h := Handler(http.NotFoundHandler(), p, conditions)
	for _, step := range []struct {
		what         string
		do           func()
		alive, ready int
	}{
		{"started", func() {}, 200, 503},
		{"database reached", func() { conditions.Set("database", "") }, 200, 503},
		{"session open", func() { conditions.Set("session", "") }, 200, 200},
		{"session lost", func() { conditions.Set("session", "no session is open") }, 200, 503},
		{"an hour of trying", func() { c.Add(time.Hour); p.Tick() }, 200, 503},
		{"session open again", func() { conditions.Set("session", "") }, 200, 200},
		{"the loop at its longest", func() { c.Add(maxIdle) }, 200, 200},
		{"the loop is stuck", func() { c.Add(1) }, 503, 200},
		{"it goes on", p.Tick, 200, 200},
	} {
		step.do()
		alive, _ := get(t, h, "/healthz")
		ready, _ := get(t, h, "/readyz")
		require.Equal(t, step.alive, alive, "%s: /healthz", step.what)
		require.Equal(t, step.ready, ready, "%s: /readyz", step.what)
	}
}

func TestAnswersSayWhatTheyAreAndAreNotCached(t *testing.T) {
	t.Parallel()
	conditions := NewConditions("database")
	h := Handler(http.NotFoundHandler(), NewProgress(time.Now), conditions)
	for _, path := range []string{"/healthz", "/readyz"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		require.Equal(t, "application/json", w.Header().Get("Content-Type"), path)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"), path)
		require.True(t, strings.HasSuffix(w.Body.String(), "\n"), path)
	}
	// A reason is text from elsewhere: it must not break the JSON.
	conditions.Set("database", "\"}\n\x00<script>")
	_, body := get(t, h, "/readyz")
	require.JSONEq(t, `{"ready":false,"conditions":[{"name":"database","ok":false,"reason":"\"}\n\u0000<script>"}]}`, body)

	for method, want := range map[string]int{
		http.MethodHead: 200, http.MethodPost: 405, http.MethodPut: 405, http.MethodDelete: 405, http.MethodOptions: 405,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/healthz", nil))
		require.Equal(t, want, w.Code, method)
	}
	for _, path := range []string{"/", "/healthz/", "/readyz/x", "/Healthz", "/debug/pprof/"} {
		code, _ := get(t, h, path)
		require.Contains(t, []int{404, 301, 307}, code, path)
		require.False(t, slices.Contains([]int{200, 503}, code), path)
	}
}
