package relay

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowLedger is a ledger whose writes wait until the test lets them go.
func slowLedger(db *fakeStore) (l *ledger, logs logbook, goOn chan struct{}, broken *int) {
	logs, goOn, broken = newLogbook(), make(chan struct{}), new(int)
	then := db.write
	db.write = func(c []Closing, d []*Attempt) (Written, error) {
		<-goOn
		return then(c, d)
	}
	return &ledger{
		store: db, session: uuid.UUID{7}, requests: make(chan ledgerRequest), log: slog.New(logs), settling: func() {}, broken: func(n int) { *broken += n },
	}, logs, goOn, broken
}

func TestLedgerGathersWhatComesDuringAWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var groups [][2]int
		db := &fakeStore{write: func(c []Closing, d []*Attempt) (Written, error) {
			groups = append(groups, [2]int{len(c), len(d)})
			w := Written{Closed: make([]Closed, len(c)), Decided: make([]Decision, len(d))}
			for i, a := range d {
				w.Decided[i] = DecisionMade + Decision(a.ID[0]%3) // the request says what it gets
			}
			return w, nil
		}}
		l, _, goOn, _ := slowLedger(db)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- l.run(ctx) }()
		type reply struct {
			id       byte
			decision Decision
			err      error
		}
		replies := make(chan reply, 200)
		decide := func(id byte) {
			d, err := l.decide(ctx, &Attempt{ID: AttemptID{id}})
			replies <- reply{id, d, err}
		}
		go decide(0)
		synctest.Wait()
		for id := byte(1); id <= 70; id++ {
			go decide(id)
		}
		for range 30 {
			go func() { replies <- reply{err: closing(ctx, l), decision: DecisionMade} }()
		}
		synctest.Wait()
		assert.Empty(t, replies)
		close(goOn)
		for range 101 {
			r := <-replies
			require.NoError(t, r.err)
			assert.Equal(t, DecisionMade+Decision(r.id%3), r.decision, "each gets its own answer")
		}
		require.Len(t, groups, 3)
		assert.Equal(t, [2]int{0, 1}, groups[0])
		assert.Equal(t, groupLimit, groups[1][0]+groups[1][1])
		assert.Equal(t, [2]int{30, 71}, [2]int{groups[1][0] + groups[2][0], groups[0][1] + groups[1][1] + groups[2][1]})
		assert.Equal(t, uuid.UUID{7}, db.writer)
		cancel()
		require.NoError(t, <-ran)
	})
}

func TestLedgerErrorReachesEveryRequester(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &fakeStore{write: func(c []Closing, _ []*Attempt) (Written, error) {
			if len(c) == 0 {
				return Written{Decided: []Decision{DecisionMade}}, nil
			}
			return Written{}, errPostgres
		}}
		l, _, goOn, _ := slowLedger(db)
		work, end := context.WithCancelCause(t.Context())
		go func() { end(l.run(work)) }()
		failed := make(chan error, 10)
		go func() {
			_, err := l.decide(work, &Attempt{})
			assert.NoError(t, err, "the write before went well")
		}()
		synctest.Wait()
		for range 5 {
			go func() { failed <- closing(work, l) }()
			go func() {
				decision, err := l.decide(work, &Attempt{})
				assert.Zero(t, decision)
				failed <- err
			}()
		}
		synctest.Wait()
		close(goOn)
		for range 10 {
			require.ErrorIs(t, <-failed, errPostgres)
		}
		assert.Equal(t, 2, db.count("Write"), "all in one")
		require.ErrorIs(t, closing(work, l), errPostgres, "whoever comes later learns why")
		require.ErrorContains(t, context.Cause(work), "write 5 closings and 5 decisions")
	})
}

func TestLedgerDoesNotKeepARequesterWhoseSessionIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &fakeStore{write: func([]Closing, []*Attempt) (Written, error) { return Written{}, errPostgres }}
		l, _, goOn, _ := slowLedger(db)
		work, end := context.WithCancelCause(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- l.run(work) }()
		cause := errors.New("the lease")
		gone := make(chan error, 2)
		for range 2 { // one is being written, one waits
			go func() { gone <- closing(work, l) }()
			synctest.Wait()
		}
		end(cause)
		require.ErrorIs(t, <-gone, cause)
		require.ErrorIs(t, <-gone, cause)
		close(goOn)
		require.ErrorIs(t, <-ran, errPostgres)
	})
}

func TestBrokenPromiseIsReported(t *testing.T) {
	t.Parallel()
	db := &fakeStore{write: func([]Closing, []*Attempt) (Written, error) {
		return Written{Closed: []Closed{{}, {Broken: []int{3, 5}}}}, nil
	}}
	l, logs, goOn, broken := slowLedger(db)
	close(goOn)
	replies := make(chan ledgerReply, 2)
	fine, bad := Closing{Attempt: AttemptID{1}, All: true}, Closing{Attempt: AttemptID{2}, All: true}
	require.NoError(t, l.write(t.Context(), []ledgerRequest{{closing: &fine, reply: replies}, {closing: &bad, reply: replies}}))
	assert.Equal(t, 2, *broken)
	lines := logs.with("broken promise")
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], "alert=true")
	assert.Contains(t, lines[0], AttemptID{2}.String())
	assert.Contains(t, lines[0], "[3 5]")
	assert.Len(t, replies, 2, "the requesters go on")
}

func closing(ctx context.Context, l *ledger) error {
	_, err := l.close(ctx, Closing{})
	return err
}
