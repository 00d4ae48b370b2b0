package relay

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// timeline notes what a broker is asked, and when since the start of the bubble.
type timeline struct {
	began time.Time
	mu    sync.Mutex
	steps []string
	at    map[string][]time.Duration
}

func newTimeline() *timeline {
	return &timeline{began: time.Now(), at: make(map[string][]time.Duration)}
}

func (tl *timeline) note(step string) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	if n := len(tl.steps); n == 0 || tl.steps[n-1] != step {
		tl.steps = append(tl.steps, step)
	}
	tl.at[step] = append(tl.at[step], time.Since(tl.began))
}

func (tl *timeline) times(step string) []time.Duration {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	return slices.Clone(tl.at[step])
}

// elapse lets time pass, and everybody else do what is due by then.
func elapse(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// watched is a bench whose broker notes what the resolver asks. The window of its halves is over at 10 s by the relay's clock
// and at 12 s by the broker's.
func watched(t *testing.T) (*bench, *timeline) {
	t.Helper()
	b, tl := newBench(t), newTimeline()
	b.mq.lookup = func(string, string) (bool, error) {
		tl.note("look up")
		return false, nil
	}
	b.mq.readBack = func(TopicQueue, int64, func(string)) (ReadProof, error) {
		tl.note("read")
		return ReadProof{Complete: true}, nil
	}
	b.mq.rollback = func(halves []StoredHalf) []Answer {
		tl.note("fence")
		answers := make([]Answer, len(halves))
		for i := range answers {
			if time.Since(tl.began) >= 12*time.Second {
				answers[i].Code = codeIllegalOperation
			}
		}
		return answers
	}
	b.mq.halves = func([]Half) []HalfAnswer {
		tl.note("barrier")
		return []HalfAnswer{storedAt(0, codeOK)}
	}
	b.mq.dispatched = func(offset int64) (bool, error) {
		tl.note("dispatched")
		assert.EqualValues(t, 1000, offset)
		return true, nil
	}
	return b, tl
}

// doubtful is a doubt about row id of topic t that was born now.
func (b *bench) doubtful(id int64) *doubt {
	o := &doubt{
		attempt: AttemptID{byte(id)}, row: id, key: Key{"t", "k"}, broker: "b", over: time.Now().Add(b.cfg.Window), since: time.Now(),
		queue: TopicQueue{"t", 0}, half: StoredHalf{Topic: "t", UniqKey: AttemptID{byte(id)}.UniqKey(0)},
	}
	b.intake.own(1, nil, []*doubt{o})
	b.resolver.add(o)
	return o
}

func TestDoubtIsLookedForFencedAndProven(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, tl := watched(t)
		b.doubtful(1)
		elapse(time.Minute)
		assert.Equal(t, []string{"look up", "read", "fence", "barrier", "dispatched", "read", "fence"}, tl.steps)
		assert.Equal(t, []time.Duration{0}, tl.times("look up"), "at once, and once")
		assert.GreaterOrEqual(t, tl.times("fence")[0], b.cfg.Window, "not before the window is over")
		fences := tl.times("fence")
		fenced := fences[len(fences)-2]
		assert.GreaterOrEqual(t, fences[len(fences)-1], fenced+b.cfg.AppendMargin, "and once more after the reading")
		assert.InDelta(t, 12*time.Second, fenced, float64(1100*time.Millisecond), "asked about every second until the broker refuses")
		assert.GreaterOrEqual(t, tl.times("barrier")[0], fenced+b.cfg.AppendMargin)
		assert.Less(t, tl.times("barrier")[0], fenced+b.cfg.AppendMargin+1100*time.Millisecond)
		assert.Equal(t, []Closing{{Attempt: AttemptID{1}, Struck: []int{0}}}, b.db.closings())
		assert.NotEmpty(t, b.db.fence(AttemptID{1}), "the next relay need not begin to wait again")
		assert.Empty(t, b.doubts("b"))
		read(b.intake)
		assert.True(t, b.intake.admit(ordered(1, "k")), "the row is pending again")
	})
}

func TestDoubtThatIsFoundAtOnceIsSettledAtOnce(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"index", "queue"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, tl := watched(t)
				uniqKey := AttemptID{1}.UniqKey(0)
				b.mq.lookup = func(topic, asked string) (bool, error) {
					return where == "index" && topic == "t" && asked == uniqKey, nil
				}
				b.mq.readBack = func(_ TopicQueue, _ int64, found func(string)) (ReadProof, error) {
					if where == "queue" {
						found("ANOTHER")
						found(uniqKey)
					}
					return ReadProof{}, nil // found proves, complete or not
				}
				b.doubtful(1)
				synctest.Wait()
				assert.Equal(t, []Closing{{Attempt: AttemptID{1}, Settled: []int{0}}}, b.db.closings())
				assert.Empty(t, tl.times("fence"))
				read(b.intake)
				assert.NotContains(t, b.intake.blocks, Key{"t", "k"}, "the key is free")
			})
		})
	}
}

func TestLongQueueIsNotReadBeforeTheFence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, tl := watched(t)
		b.mq.maxOffsets = func([]TopicQueue) ([]int64, error) { return []int64{shortReading + 1}, nil }
		b.doubtful(1)
		elapse(time.Minute)
		require.Len(t, tl.times("read"), 1)
		assert.Greater(t, tl.times("read")[0], 12*time.Second)
		assert.Len(t, b.db.closings(), 1)
	})
}

func TestDoubtStaysOpenWhileItCannotBeProven(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	for says, change := range map[string]func(*fakeBroker){
		"no master of broker b answers": func(f *fakeBroker) { f.address = func(string) (string, bool) { return "", false } },
		"look up": func(f *fakeBroker) {
			f.lookup = func(string, string) (bool, error) { return false, broken }
			f.unfenced()
		},
		"ask for the end": func(f *fakeBroker) {
			f.maxOffsets = func([]TopicQueue) ([]int64, error) { return nil, broken }
			f.unfenced()
		},
		"probe the window": func(f *fakeBroker) {
			f.rollback = func([]StoredHalf) []Answer { return []Answer{{Err: broken}} }
		},
		"still does not refuse: code 0": func(f *fakeBroker) { f.unfenced() },
		"as a barrier": func(f *fakeBroker) {
			f.halves = func([]Half) []HalfAnswer { return []HalfAnswer{{Answer: Answer{Code: codeBusy}}} }
		},
		"how far the dispatcher is": func(f *fakeBroker) { f.dispatched = func(int64) (bool, error) { return false, broken } },
		"did not pass a half":       func(f *fakeBroker) { f.dispatched = func(int64) (bool, error) { return false, nil } },
		"read back t/0": func(f *fakeBroker) {
			f.readBack = func(TopicQueue, int64, func(string)) (ReadProof, error) { return ReadProof{}, broken }
		},
		"absent: a gap": func(f *fakeBroker) {
			f.readBack = func(TopicQueue, int64, func(string)) (ReadProof, error) { return ReadProof{Why: "a gap"}, nil }
		},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, _ := watched(t)
				change(b.mq)
				b.doubtful(1)
				elapse(5 * time.Minute)
				assert.Len(t, b.doubts("b"), 1)
				assert.Empty(t, b.db.closings())
				read(b.intake)
				assert.False(t, b.intake.admit(ordered(2, "k")), "its key is blocked")
				assert.True(t, b.intake.admit(ordered(3, "other")))
				assert.NotEmpty(t, b.logs.with(says))
			})
		})
	}
}

// unfenced makes the broker accept every rollback, as one without the fence does.
func (f *fakeBroker) unfenced() {
	f.rollback = func(halves []StoredHalf) []Answer { return make([]Answer, len(halves)) }
}

func TestTroubleIsLoggedOnceAndPatienceGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, tl := watched(t)
		b.mq.rollback = func([]StoredHalf) []Answer {
			tl.note("fence")
			if time.Since(tl.began) > 3*time.Minute {
				return []Answer{{Err: errors.New("second trouble")}}
			}
			return []Answer{{Err: errors.New("first trouble")}}
		}
		b.doubtful(1)
		elapse(3 * time.Minute)
		at, waits := tl.times("fence"), make([]time.Duration, 0, 8)
		for i := range 8 {
			waits = append(waits, (at[i+1]-at[i])/time.Millisecond)
		}
		assert.Equal(t, []time.Duration{500, 1000, 2000, 4000, 8000, 16000, 30000, 30000}, waits, "milliseconds")
		assert.Len(t, b.logs.with("first trouble"), 1)
		elapse(2 * time.Minute)
		lines := b.logs.with("second trouble")
		require.Len(t, lines, 1, "something new")
		assert.Contains(t, lines[0], "alert=true", "it has been open for more than a minute")
		assert.Contains(t, lines[0], "entries=1")
		assert.NotContains(t, b.logs.with("first trouble")[0], "alert=true")
	})
}

func TestPatienceIsNewAfterSuccess(t *testing.T) {
	t.Parallel()
	var p patience
	for range 20 {
		p.next()
	}
	assert.Equal(t, 30*time.Second, p.next())
	p.reset()
	assert.Equal(t, 500*time.Millisecond, p.next())
}

func TestBrokersDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := watched(t)
		b.mq.address = func(broker string) (string, bool) { return broker, broker != "away" }
		away := b.doubtful(1)
		away.broker = "b" // the docket is chosen when it is added
		o := &doubt{attempt: AttemptID{2}, row: 2, broker: "away", over: time.Now().Add(b.cfg.Window), since: time.Now(), queue: TopicQueue{"t", 0}}
		b.resolver.add(o)
		elapse(time.Minute)
		assert.Len(t, b.doubts("away"), 1)
		assert.Empty(t, b.doubts("b"))
		assert.Equal(t, []time.Duration{time.Minute}, b.resolver.ages())
	})
}

func TestDocketIsOpenedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := watched(t)
		for id := int64(1); id <= 3; id++ {
			b.doubtful(id)
			elapse(time.Minute)
			assert.Len(t, b.db.closings(), int(id))
			assert.Empty(t, b.resolver.dockets, "nothing is kept for a broker without doubts")
		}
	})
}

func TestDoubtsThatComeDuringARoundAreNotForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := watched(t)
		for id := int64(1); id <= 20; id++ {
			b.doubtful(id)
			elapse(700 * time.Millisecond)
		}
		elapse(time.Minute)
		assert.Len(t, b.db.closings(), 20)
		read(b.intake)
		assert.Empty(t, b.intake.under())
		assert.Empty(t, b.intake.blocks)
	})
}

func TestConclusionThatCannotBeWrittenIsCarried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := watched(t)
		b.db.write = func([]Closing, []*Attempt) (Written, error) { return Written{}, errPostgres }
		b.doubtful(1)
		elapse(time.Minute)
		require.Error(t, b.work.Err())
		assert.Equal(t, []Closing{{Attempt: AttemptID{1}, Struck: []int{0}}}, b.carriedNow())
		read(b.intake)
		assert.False(t, b.intake.admit(ordered(1, "k")))
	})
}

func TestNoDoubtIsTakenInAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, tl := watched(t)
		b.doubtful(1)
		synctest.Wait()
		b.stop()
		b.doubtful(2)
		elapse(time.Minute)
		assert.Empty(t, tl.times("fence"), "the dockets have ended; the ledger keeps what is open")
		assert.Len(t, b.doubts("b"), 1)
	})
}

func TestWakeIsNoLaterThanTheNextStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		assert.Equal(t, time.Second, wake(nil, 5*time.Second))
		born := &doubt{over: now.Add(300 * time.Millisecond)}
		assert.Equal(t, 300*time.Millisecond, wake([]*doubt{born}, 5*time.Second))
		fenced := &doubt{over: now.Add(-time.Hour), fenced: now.Add(-4800 * time.Millisecond)}
		assert.Equal(t, 200*time.Millisecond, wake([]*doubt{born, fenced}, 5*time.Second))
		late := &doubt{over: now.Add(-time.Hour)}
		assert.Equal(t, 50*time.Millisecond, wake([]*doubt{born, fenced, late}, 5*time.Second), "not in a tight loop")
	})
}

func TestOldestGoesByBirth(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a, b, c := &doubt{over: now}, &doubt{over: now.Add(-time.Minute)}, &doubt{over: now.Add(time.Minute)}
	assert.Same(t, b, oldest([]*doubt{a, b, c}))
}

func TestBarrierIsForgottenAndSaysWhose(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var sent Half
	b.mq.halves = func(halves []Half) []HalfAnswer {
		sent = halves[0]
		return []HalfAnswer{storedAt(77, codeFlushDiskTimeout)} // stored is stored
	}
	d := &docket{s: b.session, broker: "b"}
	require.NoError(t, d.barrier(t.Context(), "a", []*doubt{{queue: TopicQueue{"t", 3}}}))
	assert.Equal(t, []int64{77}, b.mq.forgot())
	assert.Equal(t, "t", sent.Topic)
	assert.Equal(t, 3, sent.Queue)
	assert.Equal(t, []Property{{PropertyOrigin, b.origin}}, sent.Properties, "the checker rolls it back")
	assert.NotEmpty(t, sent.Body)
	assert.Len(t, strings.TrimSpace(sent.UniqKey), 32)
}

// A broker that refused a commit as late and then sets its clock back would accept it. The reading in between proves nothing.
func TestClockSetBackBetweenTheFenceAndTheEndOfTheReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, tl := watched(t)
		back := false // from the first reading behind the barrier until 40 s
		reads := 0
		b.mq.readBack = func(TopicQueue, int64, func(string)) (ReadProof, error) {
			tl.note("read")
			reads++
			back = reads >= 2
			return ReadProof{Complete: true}, nil
		}
		rollback := b.mq.rollback
		b.mq.rollback = func(halves []StoredHalf) []Answer {
			if back && time.Since(tl.began) < 40*time.Second {
				tl.note("fence")
				return []Answer{{Code: codeOK}}
			}
			return rollback(halves)
		}
		b.doubtful(1)
		elapse(39 * time.Second)
		assert.Empty(t, b.db.closings(), "not absent: a commit that is on its way would be accepted")
		assert.Len(t, b.logs.with("its clock was set back"), 1)
		assert.Empty(t, b.db.fence(AttemptID{1}), "nor is another relay to believe it")
		elapse(time.Minute)
		assert.Equal(t, []Closing{{Attempt: AttemptID{1}, Struck: []int{0}}}, b.db.closings())
		assert.Equal(t, []string{
			"look up", "read", "fence", "barrier", "dispatched", "read", "fence", "barrier", "dispatched", "read", "fence",
		}, tl.steps, "fenced, waited and read once more")
		barriers := tl.times("barrier")
		assert.GreaterOrEqual(t, barriers[1], 40*time.Second+b.cfg.AppendMargin)
	})
}

// What the second probe does not answer is not believed either, and asked again without waiting for another fence.
func TestSecondProbeWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]Answer{"lost": answerLost, "busy": {Code: codeBusy}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, tl := watched(t)
				rollback, failed := b.mq.rollback, false
				b.mq.rollback = func(halves []StoredHalf) []Answer {
					answers := rollback(halves)
					if len(tl.times("read")) == 2 && !failed {
						failed = true
						return []Answer{a}
					}
					return answers
				}
				b.doubtful(1)
				elapse(17200 * time.Millisecond)
				require.True(t, failed)
				assert.Empty(t, b.db.closings())
				elapse(3 * time.Second)
				assert.Equal(t, []Closing{{Attempt: AttemptID{1}, Struck: []int{0}}}, b.db.closings())
			})
		})
	}
}
