package outbox_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/outbox"
)

func ptr[T any](v T) *T { return &v }

func TestWriteStoresEveryColumn(t *testing.T) {
	t.Parallel()
	payload := make([]byte, 256)
	for i := range payload {
		payload[i] = byte(i)
	}
	available := time.Date(2026, 5, 4, 12, 0, 0, 123_456_000, time.UTC)
	deliver := time.Now().Add(24 * time.Hour).Truncate(time.Millisecond).In(time.FixedZone("", 7200))
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			config, schema := newSchema(t, "w_")
			err := way.write(t.Context(), config, outbox.Writer{},
				outbox.Message{
					Topic: "orders", Tag: "created", Keys: []string{"order-1", `k"ü\'`}, DedupKey: "d/1", OrderingKey: "c-7",
					Headers: map[string]string{"a": `<"\'ü>`, "b": "2"}, Payload: payload,
				},
				outbox.Message{Topic: "bare", Payload: []byte{0}},
				outbox.Message{Topic: "later", Payload: []byte(`'; DROP TABLE outbox; --`), AvailableAt: available, DeliverAt: deliver},
			)
			require.NoError(t, err)

			rows := readAll(t, config, schema)
			require.Len(t, rows, 3)
			require.JSONEq(t, `{"a":"<\"\\'ü>","b":"2"}`, *rows[0].Headers)
			rows[0].Headers = nil
			require.Equal(t, stored{
				ID: 1, Topic: "orders", Tag: ptr("created"), Keys: ptr(`order-1 k"ü\'`), DedupKey: ptr("d/1"),
				OrderingKey: ptr("c-7"), Payload: payload,
			}, rows[0])
			require.Equal(t, stored{ID: 2, Topic: "bare", Payload: []byte{0}}, rows[1], "what is not set is NULL")
			require.Equal(t, "'; DROP TABLE outbox; --", string(rows[2].Payload))
			require.True(t, rows[2].AvailableAt.Equal(available))
			require.True(t, rows[2].DeliverAt.Equal(deliver))
		})
	}
}

func TestWriteLargestPayload(t *testing.T) {
	t.Parallel()
	payload := make([]byte, outbox.MaxPayloadBytes)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			config, schema := newSchema(t, "w_")
			require.NoError(t, way.write(t.Context(), config, outbox.Writer{}, outbox.Message{Topic: "t", Payload: payload}))
			rows := readAll(t, config, schema)
			require.Len(t, rows, 1)
			require.Equal(t, payload, rows[0].Payload)
		})
	}
}

// TestWriteKeepsOrder writes more messages than WriteSQL puts into one statement.
func TestWriteKeepsOrder(t *testing.T) {
	t.Parallel()
	messages := make([]outbox.Message, 8000)
	for i := range messages {
		messages[i] = outbox.Message{Topic: "t", OrderingKey: "k", Payload: fmt.Append(nil, i)}
	}
	for _, way := range ways() {
		if !strings.HasSuffix(way.name, "cache_statement") {
			continue
		}
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			config, schema := newSchema(t, "w_")
			require.NoError(t, way.write(t.Context(), config, outbox.Writer{}, messages...))
			for i, row := range readAll(t, config, schema) {
				require.Equal(t, fmt.Sprint(i), string(row.Payload))
			}
		})
	}
}

func TestWriteIsPartOfTheTransaction(t *testing.T) {
	t.Parallel()
	config, schema := newSchema(t, "w_")
	conn := connect(t, config)
	_, err := conn.Exec(t.Context(), "CREATE TABLE orders (id int)")
	require.NoError(t, err)
	message := outbox.Message{Topic: "t", Payload: []byte("x")}

	for _, end := range []func(pgx.Tx) error{
		func(tx pgx.Tx) error { return tx.Rollback(t.Context()) },
		func(tx pgx.Tx) error { return tx.Commit(t.Context()) },
	} {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "INSERT INTO orders VALUES (1)")
		require.NoError(t, err)
		require.NoError(t, outbox.Write(t.Context(), tx, message, message))
		require.NoError(t, end(tx))
	}
	var orders int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&orders))
	require.Equal(t, 1, orders)
	rows := readAll(t, config, schema)
	require.Len(t, rows, 2)
	require.Equal(t, int64(3), rows[0].ID, "the ids of the rollback are gone")
}

func TestWriteInSavepoint(t *testing.T) {
	t.Parallel()
	config, schema := newSchema(t, "w_")
	conn := connect(t, config)
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		inner, err := tx.Begin(t.Context())
		require.NoError(t, err)
		require.NoError(t, outbox.Write(t.Context(), inner, outbox.Message{Topic: "t", Payload: []byte("undone")}))
		require.NoError(t, inner.Rollback(t.Context()))
		return outbox.Write(t.Context(), tx, outbox.Message{Topic: "t", Payload: []byte("kept")})
	})
	require.NoError(t, err)
	rows := readAll(t, config, schema)
	require.Len(t, rows, 1)
	require.Equal(t, "kept", string(rows[0].Payload))
}

// TestWriteInvalidLeavesTheTransactionUsable also shows that not one of several messages is written if one is invalid.
func TestWriteInvalidLeavesTheTransactionUsable(t *testing.T) {
	t.Parallel()
	fine, bad := outbox.Message{Topic: "t", Payload: []byte("x")}, outbox.Message{Topic: "t"}
	t.Run("pgx", func(t *testing.T) {
		t.Parallel()
		config, schema := newSchema(t, "w_")
		err := pgx.BeginFunc(t.Context(), connect(t, config), func(tx pgx.Tx) error {
			var invalid *outbox.InvalidError
			require.ErrorAs(t, outbox.Write(t.Context(), tx, fine, bad), &invalid)
			require.Equal(t, 1, invalid.Faults[0].Message)
			require.Equal(t, outbox.KindBodyEmpty, invalid.Faults[0].Kind)
			return outbox.Write(t.Context(), tx, fine)
		})
		require.NoError(t, err)
		require.Len(t, readAll(t, config, schema), 1)
	})
	t.Run("sql", func(t *testing.T) {
		t.Parallel()
		config, schema := newSchema(t, "w_")
		db := stdlib.OpenDB(*config)
		defer func() { _ = db.Close() }()
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		var invalid *outbox.InvalidError
		require.ErrorAs(t, outbox.WriteSQL(t.Context(), tx, fine, bad), &invalid)
		require.NoError(t, outbox.WriteSQL(t.Context(), tx, fine))
		require.NoError(t, tx.Commit())
		require.Len(t, readAll(t, config, schema), 1)
	})
}

func TestWriteToAnotherSchema(t *testing.T) {
	t.Parallel()
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			config, schema := newSchema(t, `odd "name' %d.`)
			config.RuntimeParams["search_path"] = ""
			require.Error(t, way.write(t.Context(), config, outbox.Writer{}, outbox.Message{Topic: "t", Payload: []byte("x")}))
			require.NoError(t, way.write(t.Context(), config, outbox.Writer{Schema: schema}, outbox.Message{Topic: "t", Payload: []byte("x")}))
			require.Len(t, readAll(t, config, schema), 1)
		})
	}
}

func TestWriteNeedsInsertOnly(t *testing.T) {
	t.Parallel()
	for _, way := range ways() {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			config, schema := newSchema(t, "w_")
			admin := connect(t, config)
			role := "app_" + strings.ReplaceAll(uuid.NewString(), "-", "")
			_, err := admin.Exec(t.Context(), fmt.Sprintf(
				`CREATE ROLE %[1]s; GRANT %[1]s TO CURRENT_USER; GRANT USAGE ON SCHEMA %[2]s TO %[1]s; GRANT INSERT ON outbox TO %[1]s`,
				role, schema))
			require.NoError(t, err)
			t.Cleanup(func() {
				conn, err := pgx.ConnectConfig(context.Background(), config)
				require.NoError(t, err)
				defer func() { _ = conn.Close(context.Background()) }()
				_, err = conn.Exec(context.Background(), fmt.Sprintf(`DROP OWNED BY %[1]s; DROP ROLE %[1]s`, role))
				require.NoError(t, err)
			})
			asApp := config.Copy()
			asApp.RuntimeParams["role"] = role
			require.NoError(t, way.write(t.Context(), asApp, outbox.Writer{}, good(), good()))
			_, err = connect(t, asApp).Exec(t.Context(), "SELECT id FROM outbox")
			require.ErrorContains(t, err, "permission denied", "the test's role can do no more than that")
			require.Len(t, readAll(t, config, schema), 2)
		})
	}
}

// flights counts how often a connection turns from writing to reading.
type flights struct {
	net.Conn
	wrote *atomic.Bool
	count *atomic.Int64
}

func (f flights) Write(b []byte) (int, error) {
	f.wrote.Store(true)
	return f.Conn.Write(b)
}

func (f flights) Read(b []byte) (int, error) {
	if f.wrote.Swap(false) {
		f.count.Add(1)
	}
	return f.Conn.Read(b)
}

func TestWriteCostsOneRoundTrip(t *testing.T) {
	t.Parallel()
	config, schema := newSchema(t, "w_")
	var count atomic.Int64
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return flights{Conn: conn, wrote: new(atomic.Bool), count: &count}, err
	}
	messages := make([]outbox.Message, 100)
	for i := range messages {
		messages[i] = good()
	}
	cost := func(do func()) int64 {
		before := count.Load()
		do()
		return count.Load() - before
	}

	t.Run("pgx", func(t *testing.T) {
		err := pgx.BeginFunc(t.Context(), connect(t, config), func(tx pgx.Tx) error {
			require.Equal(t, int64(2), cost(func() { require.NoError(t, outbox.Write(t.Context(), tx, good())) }), "the first prepares")
			require.Equal(t, int64(1), cost(func() { require.NoError(t, outbox.Write(t.Context(), tx, good())) }))
			require.Equal(t, int64(1), cost(func() { require.NoError(t, outbox.Write(t.Context(), tx, messages...)) }), "one statement for any number")
			require.Zero(t, cost(func() { require.NoError(t, outbox.Write(t.Context(), tx)) }))
			require.Zero(t, cost(func() { require.Error(t, outbox.Write(t.Context(), tx, outbox.Message{})) }))
			return nil
		})
		require.NoError(t, err)
	})
	t.Run("sql", func(t *testing.T) {
		db := stdlib.OpenDB(*config)
		defer func() { _ = db.Close() }()
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, outbox.WriteSQL(t.Context(), tx, messages...))
		require.Equal(t, int64(1), cost(func() { require.NoError(t, outbox.WriteSQL(t.Context(), tx, messages...)) }))
		require.Zero(t, cost(func() { require.NoError(t, outbox.WriteSQL(t.Context(), tx)) }))
		require.NoError(t, tx.Commit())
	})
	require.Len(t, readAll(t, config, schema), 302)
}

func TestWriteErrors(t *testing.T) {
	t.Parallel()
	config, _ := newSchema(t, "w_")
	message := outbox.Message{Topic: "t", Payload: []byte("x")}

	require.EqualError(t, outbox.Write(t.Context(), nil, message), "write outbox rows: the transaction is nil")
	require.EqualError(t, outbox.WriteSQL(t.Context(), nil, message), "write outbox rows: the transaction is nil")

	tx, err := connect(t, config).Begin(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, outbox.Write(ctx, tx, message), context.Canceled)

	config.RuntimeParams["search_path"] = ""
	err = writePgx(t.Context(), config, outbox.Writer{}, message, message)
	require.ErrorContains(t, err, "insert 2 outbox rows: ")
	var fromPostgres *pgconn.PgError
	require.ErrorAs(t, err, &fromPostgres)
	require.Equal(t, "42P01", fromPostgres.Code, "undefined_table")
	err = writeSQL(t.Context(), config, outbox.Writer{}, message)
	require.ErrorAs(t, err, &fromPostgres)
}

func TestWriteConcurrently(t *testing.T) {
	t.Parallel()
	config, schema := newSchema(t, "w_")
	writer := outbox.Writer{Schema: schema}
	errs := make(chan error)
	for range 4 {
		go func() {
			var err error
			for i := 0; i < 25 && err == nil; i++ {
				err = writePgx(t.Context(), config, writer, good(), good())
			}
			errs <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-errs)
	}
	require.Len(t, readAll(t, config, schema), 200)
}
