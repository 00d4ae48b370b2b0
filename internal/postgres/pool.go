package postgres

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Config is how to reach the database.
type Config struct {
	URL      string // as libpq takes it: a URL or keywords and values
	Instance string // shown as application_name outbox-relay/<instance>
	MaxConns int32  // 0 = 8
	// AnswerTimeout is how long an answer may take; 0 = 15 s. It must be above statement_timeout (10 s), whose error says more.
	AnswerTimeout time.Duration
}

// Open makes a pool whose sessions have the settings that the store relies on. It does not connect.
func Open(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	for name, value := range settings(c.Instance) {
		config.ConnConfig.RuntimeParams[name] = value
	}
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
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("make the connection pool: %w", err)
	}
	return pool, nil
}

// settings are sent when a connection starts, so no statement ever runs without them.
//
// A pooler in transaction mode (PgBouncer) refuses startup parameters that it does not track; behind one they belong into
// ALTER ROLE … SET.
func settings(instance string) map[string]string {
	return map[string]string{
		"application_name": "outbox-relay/" + instance,
		"search_path":      "", // every name says its schema

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
