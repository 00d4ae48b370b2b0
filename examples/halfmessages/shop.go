package halfmessages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/txcheck"
	"github.com/outbox-relay/outbox-relay/txcheck/listener"
)

// Schema makes the service's table. The marker table is one of the outbox's: outbox-relay migrate up.
const Schema = `CREATE TABLE orders (id text PRIMARY KEY, cents bigint NOT NULL CHECK (cents > 0))`

// Config is where the service works.
type Config struct {
	Database   string
	NameServer string
	Group      string
	Topic      string
	Log        *slog.Logger
}

// Shop takes orders.
type Shop struct {
	topic    string
	db       *pgxpool.Pool
	markers  *txcheck.Markers
	listener *listener.Listener
	producer rocketmq.TransactionProducer
}

// Open connects the service. From then on brokers can ask it what became of half messages, those of an earlier life included.
func Open(ctx context.Context, c Config) (shop *Shop, err error) {
	s := &Shop{topic: c.Topic}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.db, err = pgxpool.New(ctx, c.Database); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if s.markers, err = txcheck.OpenMarkers(ctx, txcheck.MarkerOptions{Database: c.Database}); err != nil {
		return nil, err
	}
	s.listener = listener.New(s.markers, s.db, listener.Options{Logger: c.Log})
	s.producer, err = rocketmq.NewTransactionProducer(s.listener, append(s.listener.ProducerOptions(),
		producer.WithGroupName(c.Group), producer.WithNameServer(primitive.NamesrvAddr{c.NameServer}))...)
	if err != nil {
		return nil, fmt.Errorf("make the producer: %w", err)
	}
	if err := s.producer.Start(); err != nil {
		return nil, fmt.Errorf("start the producer: %w", err)
	}
	return s, s.listener.Bind(ctx, s.producer, c.Topic)
}

// Close ends the service.
func (s *Shop) Close() {
	if s.producer != nil {
		_ = s.producer.Shutdown()
	}
	if s.markers != nil {
		s.markers.Close()
	}
	if s.db != nil {
		s.db.Close()
	}
}

// ErrUndecided means that the order may have been placed: PostgreSQL could not be asked. Ask for it again later.
var ErrUndecided = errors.New("not known yet whether the order was placed")

// Place stores an order, and a message about it that becomes visible if the transaction commits. A broker that is busy is asked
// again a few times, each time with a new half message.
func (s *Shop) Place(ctx context.Context, id string, cents int64) error {
	body, err := json.Marshal(map[string]any{"id": id, "cents": cents})
	if err != nil {
		return fmt.Errorf("encode order %s: %w", id, err)
	}
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		err := s.place(ctx, id, cents, body)
		if !errors.Is(err, listener.ErrNotStored) || wait > 5*time.Second {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Shop) place(ctx context.Context, id string, cents int64, body []byte) error {
	m := primitive.NewMessage(s.topic, body).WithKeys([]string{id}) // consumers deduplicate by it
	answer, err := s.listener.Send(ctx, s.producer, m, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO orders VALUES ($1, $2)`, id, cents)
		return err
	})
	switch {
	case err == nil:
		return nil
	case answer == txcheck.Unknown:
		return fmt.Errorf("place order %s: %w: %w", id, ErrUndecided, err)
	default:
		return fmt.Errorf("place order %s: %w", id, err)
	}
}

// Housekeep removes markers that nobody can ask for any more. Once an hour is enough.
func (s *Shop) Housekeep(ctx context.Context) error {
	_, err := s.markers.Purge(ctx)
	return err
}
