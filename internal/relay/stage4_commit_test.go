package relay

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// committing runs commit and returns a channel that is closed when it returns.
func committing(b *batch) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.commit()
	}()
	return done
}

// out takes the commits that have been sent by now, in a bubble.
func (f *fakeBroker) out() map[int64]func(Answer) {
	synctest.Wait()
	sent := make(map[int64]func(Answer))
	for {
		select {
		case c := <-f.commits:
			sent[c.row] = c.answer
		default:
			return sent
		}
	}
}

func rows(sent map[int64]func(Answer)) []int64 {
	var rows []int64
	for row := range sent {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows
}

// verdicts says what became of each item: the verdict and the reason.
func verdicts(b *batch) map[int64]string {
	names := map[CommitVerdict]string{0: "none", CommitDone: "done", CommitRefused: "refused", CommitInDoubt: "in doubt"}
	v := make(map[int64]string)
	for _, it := range b.items {
		v[it.row.ID] = names[it.verdict]
		if it.reason != "" {
			v[it.row.ID] += " " + string(it.reason)
		}
	}
	return v
}

func TestCommitsOfAKeyTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		made := b.made(t, ordered(1, "k"), ordered(2, "k"), plain(3), ordered(4, "other"))
		done := committing(made)
		sent := b.mq.out()
		assert.Equal(t, []int64{1, 3, 4}, rows(sent))
		sent[3](Answer{})
		sent[4](Answer{})
		assert.Empty(t, b.mq.out(), "2 waits for the answer to 1")
		sent[1](Answer{})
		next := b.mq.out()
		assert.Equal(t, []int64{2}, rows(next))
		next[2](Answer{})
		<-done
		assert.Equal(t, map[int64]string{1: "done", 2: "done", 3: "done", 4: "done"}, verdicts(made))
	})
}

func TestCommitsOfAKeyTakeTurnsAcrossBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		one, two, three := b.made(t, ordered(1, "k")), b.made(t, ordered(2, "k")), b.made(t, ordered(3, "k"))
		third, second := committing(three), committing(two)
		assert.Empty(t, b.mq.out(), "1 has not been committed")
		first := committing(one)
		for row := int64(1); row <= 3; row++ {
			sent := b.mq.out()
			require.Equal(t, []int64{row}, rows(sent))
			sent[row](Answer{})
		}
		<-first
		<-second
		<-third
	})
}

func TestFailedCommitStopsTheKeyAcrossBatches(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]Answer{
		"refused window_over": {Code: codeIllegalOperation},
		"refused unreachable": {Err: errors.New("no connection")},
		"in doubt lost":       {Err: errors.New("reset"), Sent: true},
		"in doubt late":       {Took: DefaultConfig().CommitTimeout + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				one := b.made(t, ordered(1, "k"), ordered(2, "k"))
				two, three := b.made(t, ordered(3, "k"), plain(4)), b.made(t, ordered(5, "k"))
				first, second := committing(one), committing(two)
				sent := b.mq.out()
				assert.Equal(t, []int64{1, 4}, rows(sent))
				sent[1](answer)
				sent[4](Answer{})
				<-first
				<-second
				<-committing(three) // it had not begun
				assert.Empty(t, b.mq.out(), "nothing behind the failure is ever sent")
				assert.Equal(t, map[int64]string{1: name, 2: "refused predecessor"}, verdicts(one))
				assert.Equal(t, map[int64]string{3: "refused predecessor", 4: "done"}, verdicts(two))
				assert.Equal(t, map[int64]string{5: "refused predecessor"}, verdicts(three))
			})
		})
	}
}

func TestSessionOverInTheMiddleOfCommits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		one, two := b.made(t, ordered(1, "k"), ordered(2, "k"), plain(3)), b.made(t, ordered(4, "k"))
		first, second := committing(one), committing(two)
		sent := b.mq.out()
		assert.Equal(t, []int64{1, 3}, rows(sent))
		b.end(ErrSessionOver)
		<-second // nothing of it was sent
		synctest.Wait()
		select {
		case <-first:
			t.Fatal("the answers to 1 and 3 are not awaited")
		default:
		}
		sent[1](Answer{})
		sent[3](Answer{Code: codeIllegalOperation})
		<-first
		assert.Empty(t, b.mq.out(), "2 has had its turn, but it is too late")
		assert.Equal(t, map[int64]string{1: "done", 2: "refused session_over", 3: "refused window_over"}, verdicts(one))
		assert.Contains(t, []string{"refused session_over", "refused predecessor"}, verdicts(two)[4])
	})
}

func TestTurnThatComesWhenTheSessionIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b *bench
		b = newBench(t, func(c *Config) {
			c.At = func(p Point) {
				if p == PointCommitFirst {
					b.end(ErrSessionOver)
				}
			}
		})
		made := b.made(t, ordered(1, "k"), ordered(2, "k"))
		done := committing(made)
		b.mq.out()[1](Answer{})
		<-done
		assert.Empty(t, b.mq.out())
		assert.Equal(t, map[int64]string{1: "done", 2: "refused session_over"}, verdicts(made))
	})
}

func TestCommitsAreNotSent(t *testing.T) {
	t.Parallel()
	for reason, meanwhile := range map[Reason]func(*bench){
		ReasonSessionOver: func(b *bench) { b.end(ErrSessionOver) },
		ReasonWindowOver:  func(b *bench) { time.Sleep(b.cfg.Window) },
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				made := b.made(t, ordered(1, "k"), ordered(2, "k"), plain(3))
				meanwhile(b)
				<-committing(made)
				assert.Empty(t, b.mq.out())
				want := "refused " + string(reason)
				assert.Equal(t, want, verdicts(made)[1])
				assert.Equal(t, want, verdicts(made)[3])
				assert.Contains(t, []string{want, "refused predecessor"}, verdicts(made)[2])
			})
		})
	}
}

func TestWindowIsOverBeforeTheTurnComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		made := b.made(t, ordered(1, "k"), ordered(2, "k"), ordered(3, "k"))
		done := committing(made)
		sent := b.mq.out()
		time.Sleep(b.cfg.Window - time.Millisecond)
		sent[1](Answer{})
		next := b.mq.out()
		require.Equal(t, []int64{2}, rows(next), "a millisecond is left")
		time.Sleep(time.Millisecond)
		next[2](Answer{})
		<-done
		assert.Empty(t, b.mq.out())
		assert.Equal(t, map[int64]string{1: "done", 2: "done", 3: "refused window_over"}, verdicts(made))
	})
}

func TestAnswerWithinTheTimeoutIsCertain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		made := b.made(t, plain(1), plain(2))
		done := committing(made)
		sent := b.mq.out()
		sent[1](Answer{Took: b.cfg.CommitTimeout})
		sent[2](Answer{Took: b.cfg.CommitTimeout + 1})
		<-done
		assert.Equal(t, map[int64]string{1: "done", 2: "in doubt late"}, verdicts(made))
	})
}

// Whatever is answered in whatever order: every half is sent at most once; of a key those that are done come first, and nothing
// behind the first that is not was sent.
func TestCommitsInAnyOrderOfAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	answers := []Answer{{}, {}, {}, {Code: codeBusy}, {Err: errors.New("reset"), Sent: true}}
	rapid.Check(t, func(t *rapid.T) {
		b.intake = newIntake()
		keys := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 12).Draw(t, "keys")
		made := newBatch(b.session, batchKey{broker: "b", way: WayHalf})
		for i, key := range keys {
			row := plain(int64(i + 1))
			if key > 0 {
				row.OrderingKey = "k" + strconv.Itoa(key)
			}
			it := made.add(row, Queue{Broker: "b"})
			it.stored.LogOffset = row.ID
			b.intake.take(it)
		}
		made.built, made.attempt, made.term, made.events = time.Now(), &Attempt{}, term{window: time.Minute}, make(chan event, 2*len(keys))
		done := committing(made)
		sent := make(map[int64]bool)
		var waiting []sentCommit
		for finished := false; !finished; {
			if len(waiting) == 0 || rapid.Bool().Draw(t, "wait") {
				select {
				case c := <-b.mq.commits:
					if sent[c.row] {
						t.Fatalf("row %d is committed twice", c.row)
					}
					sent[c.row] = true
					waiting = append(waiting, c)
					continue
				case <-done:
					finished = true
				case <-time.After(time.Millisecond):
				}
			}
			if len(waiting) > 0 {
				i := rapid.IntRange(0, len(waiting)-1).Draw(t, "which")
				waiting[i].answer(rapid.SampledFrom(answers).Draw(t, "answer"))
				waiting = slices.Delete(waiting, i, i+1)
			}
		}
		stopped := make(map[string]bool)
		for _, it := range made.items {
			switch key := it.row.OrderingKey; {
			case it.verdict == 0:
				t.Fatalf("row %d has no verdict", it.row.ID)
			case key == "":
				if !sent[it.row.ID] {
					t.Fatalf("unordered row %d was not sent", it.row.ID)
				}
			case stopped[key]:
				if sent[it.row.ID] || it.verdict != CommitRefused || it.reason != ReasonPredecessor {
					t.Fatalf("row %d is behind a failure: sent %t, %s", it.row.ID, sent[it.row.ID], it.reason)
				}
			case it.verdict != CommitDone:
				stopped[key] = true
			}
		}
	})
}
