package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"
)

// oneTopicGone is a broker on which one topic was deleted, and whose queues hold what is listed.
type oneTopicGone struct {
	Broker
	gone    string
	onTopic map[string]bool
	proof   ReadProof
	half    int64
}

func (b *oneTopicGone) Address(string) (string, bool) { return "a", true }
func (b *oneTopicGone) Lookup(_ context.Context, _, topic, _ string) (bool, error) {
	if topic == b.gone {
		return false, errors.New("17 topic not exist")
	}
	return false, nil
}

func (b *oneTopicGone) MaxOffsets(context.Context, string, []TopicQueue) ([]int64, error) {
	return []int64{10}, nil
}

func (b *oneTopicGone) ReadBack(_ context.Context, _ string, q TopicQueue, from int64, found func(string)) (ReadProof, error) {
	if q.Topic == b.gone {
		return ReadProof{}, errors.New("17 topic not exist")
	}
	if from < 5 {
		return ReadProof{Why: "messages were deleted"}, nil
	}
	for key := range b.onTopic {
		found(key)
	}
	return b.proof, nil
}

func (b *oneTopicGone) Rollback(_ context.Context, _ string, halves []StoredHalf) []Answer {
	answers := make([]Answer, len(halves))
	for i := range answers {
		answers[i].Code = codeIllegalOperation
	}
	return answers
}

func (b *oneTopicGone) Halves(_ context.Context, _ string, halves []Half) []HalfAnswer {
	if halves[0].Topic == b.gone {
		return []HalfAnswer{{Answer: Answer{Code: codeTopicNotExist}}}
	}
	return []HalfAnswer{{Stored: true, HalfOffset: b.half}}
}
func (b *oneTopicGone) Dispatched(context.Context, string, int64) (bool, error) { return true, nil }
func (b *oneTopicGone) Forget(string, []StoredHalf)                             {}

// notebook is a ledger that takes notes.
type notebook struct {
	Store
	mu       sync.Mutex
	closings []Closing
}

func (n *notebook) NoteFence(context.Context, []AttemptID, string) error { return nil }

func (n *notebook) Write(_ context.Context, _ uuid.UUID, closings []Closing, _ []*Attempt) (Written, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closings = append(n.closings, closings...)
	return Written{Closed: make([]Closed, len(closings))}, nil
}

func testSession(t *testing.T, broker Broker, store Store) *session {
	t.Helper()
	cfg := DefaultConfig()
	cfg.AppendMargin = 0
	metrics, err := NewMetrics(noop.Meter{})
	require.NoError(t, err)
	r := &Relay{cfg: cfg, broker: broker, store: store, metrics: metrics, log: slog.New(slog.DiscardHandler)}
	r.clocks = newClocks(cfg, broker, r.log, metrics)
	s := r.newSession(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.ledger.run(s.work)
	}()
	t.Cleanup(func() {
		s.end(nil)
		<-done
	})
	return s
}

func TestDoubtsDoNotHoldEachOtherUp(t *testing.T) {
	t.Parallel()
	old := time.Now().Add(-time.Hour)
	of := func(id byte, topic, key string, from int64) *doubt {
		return &doubt{
			attempt: AttemptID{id}, broker: "b", queue: TopicQueue{Topic: topic}, half: StoredHalf{Topic: topic, UniqKey: key},
			readFrom: from, over: old, row: int64(id),
		}
	}
	gone, found := of(1, "gone", "A", 9), of(2, "fine", "B", 9)
	expired, absent := of(3, "fine", "C", 1), of(4, "fine", "D", 6)
	expiredButThere := of(5, "fine", "E", 2)
	store := &notebook{}
	s := testSession(t, &oneTopicGone{gone: "gone", onTopic: map[string]bool{"B": true, "E": true}, proof: ReadProof{Complete: true}}, store)
	d := &docket{s: s, broker: "b", mu: &s.resolver.mu, concluding: newGate(), open: []*doubt{gone, found, expired, absent, expiredButThere}}

	_, err := d.round(s.work, d.list())
	require.ErrorContains(t, err, "topic not exist")
	require.ErrorContains(t, err, "messages were deleted")
	_, err = d.round(s.work, d.list())
	require.Error(t, err)
	assert.ElementsMatch(t, []*doubt{gone, expired}, d.open, "only what cannot be proven stays open")
	byAttempt := make(map[AttemptID]Closing)
	for _, c := range store.closings {
		byAttempt[c.Attempt] = c
	}
	assert.Equal(t, map[AttemptID]Closing{
		{2}: {Attempt: AttemptID{2}, Settled: []int{0}},
		{4}: {Attempt: AttemptID{4}, Struck: []int{0}},
		{5}: {Attempt: AttemptID{5}, Settled: []int{0}},
	}, byAttempt)
}

func TestFenceOfAnotherMasterProvesNothing(t *testing.T) {
	t.Parallel()
	o := &doubt{fenced: time.Now().Add(-time.Minute), fencedBy: "old:10911"}
	assert.Empty(t, ripe([]*doubt{o}, "new:10911", time.Second))
	assert.Len(t, ripe([]*doubt{o}, "old:10911", time.Second), 1)
	assert.Empty(t, ripe([]*doubt{o}, "old:10911", 2*time.Minute), "what it accepted before may not be written yet")
}

// frozen is a Postgres that takes a query and never answers.
type frozen struct{ Store }

func (frozen) Origin(context.Context) (uuid.UUID, error)     { return uuid.New(), nil }
func (frozen) CloseSession(context.Context, uuid.UUID) error { return errors.New("frozen") }
func (frozen) OpenSession(ctx context.Context, _ Session, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestRelayStopsWhilePostgresIsFrozen(t *testing.T) {
	t.Parallel()
	metrics, err := NewMetrics(noop.Meter{})
	require.NoError(t, err)
	opening := make(chan struct{}, 1)
	r := &Relay{
		cfg: DefaultConfig(), store: frozen{}, metrics: metrics, log: slog.New(slog.DiscardHandler),
		progress: func() {
			select {
			case opening <- struct{}{}:
			default:
			}
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-opening
	cancel()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(5 * time.Second):
		t.Fatal("Run does not end")
	}
}
