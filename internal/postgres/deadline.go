package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// errNoAnswer is why a statement was given up.
var errNoAnswer = errors.New("PostgreSQL did not answer in time, not even that its own statement_timeout is over")

// deadline gives every statement and every batch a time by which it must be answered. The server's statement_timeout does
// not help where its answer cannot arrive, and TCP keepalive does not where something in between keeps the connection up:
// without a deadline a relay would wait there for ever, and go on renewing its lease by another connection.
//
// pgx takes the context for the rest of a call from its tracer; there is no other place that sees every call.
type deadline struct{ after time.Duration }

var (
	_ pgx.QueryTracer = deadline{}
	_ pgx.BatchTracer = deadline{}
)

type cancelKey struct{}

func (d deadline) start(ctx context.Context) context.Context {
	ctx, cancel := context.WithTimeoutCause(ctx, d.after, errNoAnswer)
	return context.WithValue(ctx, cancelKey{}, cancel)
}

func (d deadline) end(ctx context.Context) {
	if cancel, ok := ctx.Value(cancelKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

// TraceQueryStart is called before a statement.
func (d deadline) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return d.start(ctx)
}

// TraceQueryEnd is called when its result has been read.
func (d deadline) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	d.end(ctx)
}

// TraceBatchStart is called before a batch.
func (d deadline) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return d.start(ctx)
}

// TraceBatchQuery is called for each statement of a batch.
func (d deadline) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd is called when all its results have been read.
func (d deadline) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	d.end(ctx)
}
