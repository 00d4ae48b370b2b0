package postgres_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestBindTopic(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	want := relay.Topic{
		Name: "orders", Type: "transaction", Delivery: "exactly_once", OnDead: "block",
		Queues: []relay.Queue{{Broker: "broker-a", ID: 0}, {Broker: "eu:west:b", ID: 15}},
	}
	got, err := o.BindTopic(t.Context(), want)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, []string{"broker-a:0", "eu:west:b:15"}, query1[[]string](o, `SELECT queues FROM outbox_topic`))

	other := relay.Topic{Name: "orders", Type: "transaction", Delivery: "at_least_once", OnDead: "skip"}
	got, err = o.BindTopic(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, want, got, "the table is right")

	other.Name = "plain"
	got, err = o.BindTopic(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, other, got)
	require.True(t, query1[bool](o, `SELECT queues IS NULL FROM outbox_topic WHERE topic = 'plain'`))

	other.Name, other.Type = "odd", "carrier pigeon"
	_, err = o.BindTopic(t.Context(), other)
	require.ErrorContains(t, err, "bind topic odd")
}

func TestBindTopicOfTwoRelaysAtOnce(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	results := make([]relay.Topic, 8)
	var wg sync.WaitGroup
	for i := range results {
		onDead := []string{"block", "skip"}[i%2]
		wg.Go(func() {
			var err error
			results[i], err = o.BindTopic(t.Context(), relay.Topic{Name: "t", Type: "transaction", Delivery: "exactly_once", OnDead: onDead})
			require.NoError(t, err)
		})
	}
	wg.Wait()
	for _, r := range results {
		require.Equal(t, results[0], r)
	}
}

func TestBindTopicRefusesABadQueueList(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	for _, queue := range []string{"broker-a", ":3", "broker-a:", "broker-a:-1", "broker-a:x", "broker-a:99999999999"} {
		o.exec(`INSERT INTO outbox_topic (topic, queues) VALUES ($1, ARRAY[$1])`, queue)
		_, err := o.BindTopic(t.Context(), relay.Topic{Name: queue, Type: "transaction", Delivery: "exactly_once", OnDead: "block"})
		require.ErrorContains(t, err, "is not broker:number", queue)
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	origin, err := o.Origin(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, uuid.Nil, origin)
	require.Equal(t, query1[uuid.UUID](o, `SELECT origin FROM outbox_origin`), origin)
	o.exec(`DELETE FROM outbox_origin`)
	_, err = o.Origin(t.Context())
	require.ErrorContains(t, err, "read the origin")
}
