package relay

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTopicsAreBoundOnce(t *testing.T) {
	t.Parallel()
	r, db, mq, _ := newRelay(t)
	mq.routed = func(string) []Queue { return []Queue{{"b2", 0}, {"b1", 10}, {"b1", 2}} }
	var wanted []Topic
	db.bind = func(want Topic) (Topic, error) {
		wanted = append(wanted, want)
		return want, nil
	}
	for range 2 {
		require.NoError(t, r.begin(t.Context()))
	}
	require.Len(t, wanted, 2)
	assert.Equal(t, []Queue{{"b1", 2}, {"b1", 10}, {"b2", 0}}, wanted[0].Queues, "the same list whoever is first")
	assert.Equal(t, map[string]Topic{"t": wanted[0], "u": wanted[1]}, r.topics)
	assert.Equal(t, 1, db.count("Origin"))
	assert.Equal(t, uuid.UUID{1}.String(), r.origin)
}

func TestOutboxTopicIsRightWhereTheSettingsDiffer(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Topic){
		"on_dead":  func(topic *Topic) { topic.OnDead = OnDeadSkip },
		"delivery": func(topic *Topic) { topic.Delivery = "at_least_once" },
		"queues":   func(topic *Topic) { topic.Queues = []Queue{{"old", 7}} }, // an operator's act, no difference to warn of
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, db, _, logs := newRelay(t, func(c *Config) { c.Topics = c.Topics[:1] })
			var kept Topic
			db.bind = func(want Topic) (Topic, error) {
				change(&want)
				kept = want
				return kept, nil
			}
			require.NoError(t, r.begin(t.Context()))
			assert.Equal(t, kept, r.topics["t"])
			warned := logs.with("the settings of a topic differ")
			if name == "queues" {
				assert.Empty(t, warned)
			} else {
				assert.Len(t, warned, 1)
			}
		})
	}
}

func TestBindingThatWaitingDoesNotMend(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Topic){
		`is of type "fifo"`: func(topic *Topic) { topic.Type = "fifo" },
		"has no queues":     func(topic *Topic) { topic.Queues = nil },
		"in namespace":      func(topic *Topic) { topic.Namespace = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, db, _, _ := newRelay(t)
			db.bind = func(want Topic) (Topic, error) {
				change(&want)
				return want, nil
			}
			err := r.begin(t.Context())
			require.ErrorIs(t, err, ErrBinding)
			require.ErrorContains(t, err, name)
			assert.Empty(t, r.topics)
		})
	}
}

func TestBindingIsTriedAgain(t *testing.T) {
	t.Parallel()
	r, db, mq, _ := newRelay(t)
	step := func(says string) {
		t.Helper()
		err := r.begin(t.Context())
		require.ErrorContains(t, err, says)
		require.NotErrorIs(t, err, ErrBinding, "waiting may mend it")
	}
	db.origin = func() (uuid.UUID, error) { return uuid.UUID{}, errPostgres }
	step("origin")
	db.origin = nil
	mq.routed = func(topic string) []Queue { return map[string][]Queue{"t": {{"b", 0}}}[topic] }
	step("bind topic u: it has no route")
	mq.routed = nil
	db.bind = func(want Topic) (Topic, error) { return Topic{}, errors.New("timeout of " + want.Name) }
	step("bind topic u: timeout of u")
	db.bind = nil
	require.NoError(t, r.begin(t.Context()))
	assert.Equal(t, 3, db.count("BindTopic"), "t was bound at the first try")
	assert.Len(t, r.topics, 2)
}

// Whoever changes the list of queues deletes the leases: what is read before there is a lease may be outdated.
func TestTopicsAndOriginAreReadAgainOnceTheLeaseStands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	moved := []Queue{{"b", 1}, {"c", 0}}
	b.db.bind = func(want Topic) (Topic, error) {
		assert.Equal(t, 1, b.db.count("OpenSession"), "not before")
		want.Queues = moved
		return want, nil
	}
	require.NoError(t, b.open(t.Context()))
	assert.Equal(t, moved, b.topics["t"].Queues)

	b.db.bind = func(want Topic) (Topic, error) {
		want.Queues = nil
		return want, nil
	}
	require.ErrorIs(t, b.open(t.Context()), ErrBinding)
	b.db.bind = nil
	b.db.origin = func() (uuid.UUID, error) { return uuid.UUID{2}, nil }
	require.ErrorIs(t, b.open(t.Context()), ErrMoved, "the process has told the checker another origin")
}

func TestRunReturnsWhenTheOutboxWasMoved(t *testing.T) {
	t.Parallel()
	r, db, _, _ := newRelay(t)
	db.origin = func() (uuid.UUID, error) { return uuid.UUID{}, ErrMoved }
	require.ErrorIs(t, r.Run(t.Context()), ErrMoved)
	assert.Zero(t, db.count("OpenSession"))
}
