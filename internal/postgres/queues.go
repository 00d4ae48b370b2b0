package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

const sqlTopics = `SELECT topic, type, delivery, on_dead, queues FROM {schema}.outbox_topic ORDER BY topic`

// Topics returns every topic that a relay has bound.
func (s *Store) Topics(ctx context.Context) ([]relay.Topic, error) {
	topics, err := s.readTopics(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("read the topics: %w", err)
	}
	return topics, nil
}

func (s *Store) readTopics(ctx context.Context, q querier) ([]relay.Topic, error) {
	rows, err := q.Query(ctx, s.sql(sqlTopics))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (relay.Topic, error) {
		var t relay.Topic
		var queues []string
		if err := row.Scan(&t.Name, &t.Type, &t.Delivery, &t.OnDead, &queues); err != nil {
			return t, err
		}
		var err error
		t.Queues, err = ParseQueues(queues)
		return t, err
	})
}

// What keeps a list of queues from being changed.
var (
	ErrUndecided = errors.New("messages of keys that would move are under way or in doubt")
	ErrWaiting   = errors.New("rows of keys that would move are pending")
)

// A QueueChange is what changing a topic's list of queues means.
type QueueChange struct {
	Was       []relay.Queue
	Now       []relay.Queue
	Undecided int64 // messages of keys that would move, of which it is not known whether they are on the topic
	Waiting   int64 // rows of keys that would move, pending or dead and blocking
}

// Rows that wait, and dead ones that others wait for.
const sqlWaitingKeys = `
SELECT ordering_key, count(*) FROM {schema}.outbox WHERE topic = $1 AND ordering_key <> '' GROUP BY 1
UNION ALL
SELECT ordering_key, count(*) FROM {schema}.outbox_dead WHERE topic = $1 AND ordering_key <> '' AND $2 = 'block' GROUP BY 1`

const sqlSetQueues = `UPDATE {schema}.outbox_topic SET queues = $2 WHERE topic = $1`

// SetQueues changes the fixed list of queues that a topic's ordering keys are hashed over. It refuses while it is not known
// what became of a message whose key would move, and, unless waiting rows may move too, while such a key has rows.
//
// Running relays hold the old list in memory. All leases are deleted in the same transaction, and none can be inserted
// meanwhile: nobody can decide on the old list once this is committed, a decision from before is seen here, and every session
// reads the list after its lease was inserted.
func (s *Store) SetQueues(ctx context.Context, topic string, queues []relay.Queue, waitingToo, dry bool) (QueueChange, error) {
	change := QueueChange{Now: queues}
	err := s.operate(ctx, func(tx pgx.Tx) error {
		was, err := s.boundTopic(ctx, tx, topic)
		if err != nil {
			return err
		}
		change.Was = was.Queues
		if slices.Equal(was.Queues, queues) {
			return nil
		}
		// A decision under way holds its lease: the DELETE waits for it, and what comes after it sees it.
		if _, err := tx.Exec(ctx, s.sql(sqlDeleteLeases)); err != nil {
			return fmt.Errorf("end the sessions: %w", err)
		}
		if err := s.countMoving(ctx, tx, was, &change); err != nil {
			return err
		}
		switch {
		case change.Undecided > 0:
			return fmt.Errorf("%w: %d", ErrUndecided, change.Undecided)
		case change.Waiting > 0 && !waitingToo:
			return fmt.Errorf("%w: %d", ErrWaiting, change.Waiting)
		case dry:
			return errDry
		}
		_, err = tx.Exec(ctx, s.sql(sqlSetQueues), topic, FormatQueues(queues))
		return err
	})
	if err != nil && !errors.Is(err, errDry) {
		return change, fmt.Errorf("change the queues of topic %s: %w", topic, err)
	}
	return change, nil
}

func (s *Store) boundTopic(ctx context.Context, tx pgx.Tx, name string) (relay.Topic, error) {
	topics, err := s.readTopics(ctx, tx)
	if err != nil {
		return relay.Topic{}, err
	}
	at := slices.IndexFunc(topics, func(t relay.Topic) bool { return t.Name == name })
	if at < 0 || len(topics[at].Queues) == 0 {
		return relay.Topic{}, errors.New("no relay has bound it yet: the first one writes the list")
	}
	return topics[at], nil
}

func (s *Store) countMoving(ctx context.Context, tx pgx.Tx, was relay.Topic, c *QueueChange) error {
	now := relay.Topic{Queues: c.Now}
	moves := func(key string) bool { return was.QueueOf(key) != now.QueueOf(key) }
	entries, err := s.openEntries(ctx, tx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Target.Topic == was.Name && e.Entry.OrderingKey != "" && moves(e.Entry.OrderingKey) {
			c.Undecided++
		}
	}
	rows, err := tx.Query(ctx, s.sql(sqlWaitingKeys), was.Name, was.OnDead)
	if err != nil {
		return fmt.Errorf("count rows that wait: %w", err)
	}
	var key string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		if moves(key) {
			c.Waiting += n
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count rows that wait: %w", err)
	}
	return nil
}
