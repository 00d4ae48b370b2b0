package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// servers are PostgreSQL and RocketMQ, with a database and a topic that nobody else uses.
type servers struct {
	databaseURL string
	nameServer  string
	topic       string
	stop        func() error
}

const queues = 8

// startServers starts them, or takes those that the tests share.
func startServers(ctx context.Context, out *console) (*servers, error) {
	addresses, ok := stack.AddressesFromEnv(os.Getenv)
	stop := func() error { return nil }
	if !ok {
		started, err := stack.Start(ctx, stack.Options{Logger: out.logger()})
		if err != nil {
			return nil, err
		}
		addresses, stop = started.Addresses(), started.Close
	}
	name := "orders_" + random()
	s := &servers{nameServer: addresses.NameServer, topic: name, stop: stop}
	err := s.createDatabase(ctx, addresses.Postgres, name)
	if err == nil {
		err = stack.CreateTopic(ctx, addresses.NameServer, addresses.Broker,
			stack.Topic{Name: name, Queues: queues, MessageType: "TRANSACTION"})
	}
	if err != nil {
		_ = s.close()
		return nil, err
	}
	return s, nil
}

func (s *servers) createDatabase(ctx context.Context, server, name string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // What it did is done.
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return fmt.Errorf("create a database: %w", err)
	}
	config, err := pgx.ParseConfig(server)
	if err != nil {
		return fmt.Errorf("parse the server's URL: %w", err)
	}
	s.databaseURL = fmt.Sprintf("postgres://%s@%s:%d/%s?sslmode=disable", config.User, config.Host, config.Port, name)
	stopServers := s.stop
	s.stop = func() error {
		dropDatabase(server, name)
		return stopServers()
	}
	return nil
}

// dropDatabase matters where the server outlives the demo; elsewhere it is only polite.
func dropDatabase(server, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return
	}
	defer conn.Close(ctx) //nolint:errcheck // What it did is done.
	_, _ = conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
}

func (s *servers) close() error {
	if err := s.stop(); err != nil {
		return fmt.Errorf("stop the servers: %w", err)
	}
	return nil
}

// connect opens the application's pool.
func (s *servers) connect(ctx context.Context) (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, s.databaseURL+"&pool_max_conns=16")
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return pool, nil
}

func random() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // It never fails.
	return hex.EncodeToString(b)
}
