package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/relay"
)

const sqlInsertTopic = `
INSERT INTO {schema}.outbox_topic (topic, type, mode, namespace, delivery, on_dead, queues) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (topic) DO NOTHING`

// A statement of its own, so that it sees the row of another relay that the INSERT has waited for.
const sqlTopic = `SELECT type, mode, namespace, delivery, on_dead, queues FROM {schema}.outbox_topic WHERE topic = $1`

// BindTopic returns the topic's row, having inserted want if there was none.
func (s *Store) BindTopic(ctx context.Context, want relay.Topic) (relay.Topic, error) {
	batch := &pgx.Batch{}
	batch.Queue(s.sql(sqlInsertTopic), want.Name, want.Type, want.Mode, want.Namespace, want.Delivery, want.OnDead, FormatQueues(want.Queues))
	batch.Queue(s.sql(sqlTopic), want.Name)
	topic := relay.Topic{Name: want.Name}
	var queues []string
	err := s.pipeline(ctx, batch, func(results pgx.BatchResults) error {
		if _, err := results.Exec(); err != nil {
			return err
		}
		return results.QueryRow().Scan(&topic.Type, &topic.Mode, &topic.Namespace, &topic.Delivery, &topic.OnDead, &queues)
	})
	if err == nil {
		topic.Queues, err = ParseQueues(queues)
	}
	if err != nil {
		return relay.Topic{}, fmt.Errorf("bind topic %s: %w", want.Name, err)
	}
	return topic, nil
}

// FormatQueues writes queues as the column holds them: broker:queue, nil where there are none.
func FormatQueues(queues []relay.Queue) []string {
	var texts []string
	for _, q := range queues {
		texts = append(texts, q.Broker+":"+strconv.Itoa(q.ID))
	}
	return texts
}

// ParseQueues reads them back. A broker's name may hold colons; the queue's number follows the last.
func ParseQueues(texts []string) ([]relay.Queue, error) {
	var queues []relay.Queue
	for _, text := range texts {
		colon := strings.LastIndexByte(text, ':')
		if colon < 1 {
			return nil, fmt.Errorf("queue %q is not broker:number", text)
		}
		id, err := strconv.ParseUint(text[colon+1:], 10, 31)
		if err != nil {
			return nil, fmt.Errorf("queue %q is not broker:number: %w", text, err)
		}
		queues = append(queues, relay.Queue{Broker: text[:colon], ID: int(id)})
	}
	return queues, nil
}
