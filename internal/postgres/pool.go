package postgres

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/internal/pooler"
)

// Config is how to reach the database.
type Config struct {
	URL      string // as libpq takes it: a URL or keywords and values
	Instance string // shown as application_name outbox-relay/<instance>
	MaxConns int32  // 0 = 8
	// AnswerTimeout is how long an answer may take; 0 = 15 s. It must be above statement_timeout (10 s), whose error says more.
	AnswerTimeout time.Duration
}

// connectTimeout bounds making a connection, and then preparing it.
const connectTimeout = 5 * time.Second

// Open makes a pool whose sessions have the settings that the store relies on. It does not connect.
func Open(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	config.ConnConfig.RuntimeParams["application_name"] = "outbox-relay/" + c.Instance
	config.AfterConnect = prepare
	config.MaxConns = 8
	if c.MaxConns > 0 {
		config.MaxConns = c.MaxConns
	}
	answerTimeout := 15 * time.Second
	if c.AnswerTimeout > 0 {
		answerTimeout = c.AnswerTimeout
	}
	config.ConnConfig.Tracer = deadline{after: answerTimeout}
	// A connection that was idle for a second is tried before it is used. When the network was away all of them are dead, and
	// trying them one after the other must not take longer than the lease.
	config.PingTimeout = time.Second
	// A host that vanished is noticed before the lease runs out, not after the system's two hours.
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3,
	}}
	config.ConnConfig.DialFunc = dialer.DialContext
	config.ConnConfig.ConnectTimeout = connectTimeout
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("make the connection pool: %w", err)
	}
	return pool, nil
}

// prepare makes a new connection's session what the store relies on, before anybody else uses it: no statement ever runs
// without the settings. They are no startup parameters, because a pooler refuses those, or ignores them, which would be worse.
// pooler.ErrTransaction where a session keeps nothing.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	// The pool goes on with it when its caller has given up, and no tracer sees it.
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, errNoAnswer)
	defer cancel()
	if err := pooler.Check(ctx, conn); err != nil {
		return err
	}
	var set []string
	for name, value := range settings() {
		set = append(set, fmt.Sprintf("set_config('%s', '%s', false)", name, value))
	}
	if _, err := conn.PgConn().Exec(ctx, "SELECT "+strings.Join(set, ", ")).ReadAll(); err != nil {
		return fmt.Errorf("set what the relay needs on a session: %w", err)
	}
	return nil
}

func settings() map[string]string {
	return map[string]string{
		"search_path": "", // every name says its schema

		// What was answered must stay, whatever the role's or the database's default is; and the rules about snapshots in the
		// package comment hold under READ COMMITTED only.
		"synchronous_commit":            "on",
		"default_transaction_isolation": "read committed",
		"default_transaction_read_only": "off",

		// A relay that is frozen inside a transaction, or cut off, must not keep its locks: others wait for them to declare it
		// dead. A statement longer than the lease is of no use to the relay.
		"idle_in_transaction_session_timeout": "5s",
		"statement_timeout":                   "10s",
		"tcp_keepalives_idle":                 "5",
		"tcp_keepalives_interval":             "2",
		"tcp_keepalives_count":                "3",

		// The tables fill and drain within seconds, so the planner's statistics are always wrong. These leave it one way: along
		// the index whose order the statement asks for.
		"random_page_cost":  "1.1",
		"enable_seqscan":    "off",
		"enable_bitmapscan": "off",
		"jit":               "off",
	}
}
