package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/txcheck"
)

// Markers is what a Listener needs of txcheck.Markers.
type Markers interface {
	NewID() string
	Run(ctx context.Context, db txcheck.Beginner, id string, fn func(tx pgx.Tx) error) (txcheck.Answer, error)
	Check(ctx context.Context, id string) (txcheck.Answer, error)
}

// Options are the caller's choices; the zero value is a good one.
type Options struct {
	// Logger is told why nothing was decided, and of answers at level debug. Default: nothing is logged.
	Logger *slog.Logger
	// OnCheck is called after each check-back, with the topic and the id. It must not block. Default: nothing is called.
	OnCheck func(topic, id string, answer txcheck.Answer)
}

// A Listener is the transaction listener of one producer. It is safe for concurrent use.
type Listener struct {
	markers  Markers
	db       txcheck.Beginner
	log      *slog.Logger
	onCheck  func(topic, id string, answer txcheck.Answer)
	selector *selector

	mu      sync.Mutex
	sending map[string]*sending // by id
}

var _ primitive.TransactionListener = (*Listener)(nil)

// sending is a half message on its way, and what became of its transaction.
type sending struct {
	ctx    context.Context //nolint:containedctx // The client calls the listener without one, in the goroutine that has it.
	fn     func(tx pgx.Tx) error
	ran    bool
	answer txcheck.Answer
	err    error
}

// New returns a Listener whose transactions run on db.
func New(markers Markers, db txcheck.Beginner, o Options) *Listener {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnCheck == nil {
		o.OnCheck = func(string, string, txcheck.Answer) {}
	}
	return &Listener{
		markers: markers, db: db, log: o.Logger, onCheck: o.OnCheck, selector: newSelector(), sending: make(map[string]*sending),
	}
}

// A Producer is rocketmq-client-go's transaction producer.
type Producer interface {
	SendMessageInTransaction(ctx context.Context, m *primitive.Message) (*primitive.TransactionSendResult, error)
}

// ErrNotStored means that the broker did not confirm the half message, so no transaction was run, and none will be. The same may be
// tried again, with a new message.
var ErrNotStored = errors.New("the half message was not stored")

// Send sends a half message, runs the transaction, and tells the broker how it ended. The message gets a new id: it must not be
// one that was sent before. The answer is that of txcheck's Run, and the error is nil exactly if the transaction has committed.
// Where the half message could not be stored the answer is Rollback, and the error ErrNotStored.
func (l *Listener) Send(ctx context.Context, p Producer, m *primitive.Message, fn func(tx pgx.Tx) error) (txcheck.Answer, error) {
	if err := ctx.Err(); err != nil {
		return txcheck.Rollback, fmt.Errorf("send a half message to %s: %w: %w", m.Topic, ErrNotStored, err)
	}
	id := l.markers.NewID()
	m.WithProperty(txcheck.MarkerProperty, id)
	s := &sending{ctx: ctx, fn: fn}
	l.mu.Lock()
	l.sending[id] = s
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.sending, id)
	}()
	err := send(ctx, p, m)
	if s.ran {
		return s.answer, s.err // Whatever became of the END_TRANSACTION: the checker answers if it is lost.
	}
	return txcheck.Rollback, fmt.Errorf("send a half message to %s: %w: %w", m.Topic, ErrNotStored, err)
}

// send always returns an error where the listener was not called. A context that ends during a send breaks the connection that
// all share, so the client does not see it.
func send(ctx context.Context, p Producer, m *primitive.Message) (err error) {
	defer func() {
		// Seen where the broker's answer has no offset; the transaction has run by then.
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in the client: %v", v)
		}
	}()
	result, err := p.SendMessageInTransaction(context.WithoutCancel(ctx), m)
	if err != nil {
		return err
	}
	return fmt.Errorf("send status %d: stored, perhaps not safely, and rolled back", result.Status)
}

// ExecuteLocalTransaction implements primitive.TransactionListener: the half message is stored.
func (l *Listener) ExecuteLocalTransaction(m *primitive.Message) (state primitive.LocalTransactionState) {
	l.mu.Lock()
	s := l.sending[m.GetProperty(txcheck.MarkerProperty)]
	l.mu.Unlock()
	if s == nil {
		l.log.Error("a message was sent without Send, so it has no transaction", slog.String("topic", m.Topic))
		return primitive.UnkonwnState
	}
	s.ran = true
	defer func() {
		if p := recover(); p != nil {
			s.answer, s.err = txcheck.Unknown, fmt.Errorf("the transaction of a half message panicked: %v", p)
			state = primitive.UnkonwnState
		}
	}()
	s.answer, s.err = l.markers.Run(s.ctx, l.db, m.GetProperty(txcheck.MarkerProperty), s.fn)
	return stateOf(s.answer)
}

// CheckLocalTransaction implements primitive.TransactionListener. The client calls it from one goroutine, for one half message
// after the other.
func (l *Listener) CheckLocalTransaction(m *primitive.MessageExt) (state primitive.LocalTransactionState) {
	// A panic would end the client's check loop for ever, and silently.
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("answering a check-back panicked", slog.String("topic", m.Topic), slog.Any("panic", p))
			state = primitive.UnkonwnState
		}
	}()
	id := m.GetProperty(txcheck.MarkerProperty)
	answer, err := l.markers.Check(context.Background(), id)
	attrs := []any{
		slog.String("topic", m.Topic), slog.String("id", id), slog.String("answer", answer.String()),
		slog.String("checks", m.GetProperty(primitive.PropertyTranscationCheckTimes)),
	}
	switch {
	case errors.Is(err, txcheck.ErrForeign):
		l.log.Warn("a check-back about a message of somebody else: the producer group is shared", append(attrs, slog.Any("error", err))...)
	case err != nil:
		l.log.Error("a check-back could not be answered", append(attrs, slog.Any("error", err))...)
	default:
		l.log.Debug("check-back answered", attrs...)
	}
	l.onCheck(m.Topic, id, answer)
	return stateOf(answer)
}

func stateOf(a txcheck.Answer) primitive.LocalTransactionState {
	switch a {
	case txcheck.Commit:
		return primitive.CommitMessageState
	case txcheck.Rollback:
		return primitive.RollbackMessageState
	default:
		return primitive.UnkonwnState
	}
}
