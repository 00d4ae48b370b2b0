// Package stacktest gives tests a real PostgreSQL and a real RocketMQ.
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(stacktest.M{M: m}) }
//
//	func TestSomething(t *testing.T) {
//		servers := stacktest.Shared(t)
//		url, topic := servers.Database(t), servers.Topic(t, 4)
//
// The shared servers are started once per run of the tests by with-servers ("make
// test"); a test that is run alone starts its own. Tests that kill servers start
// theirs with package stack.
package stacktest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// Servers are shared by many tests: each takes its own database, topics and
// group. Transactions are fast (see [stack.FastTransactions]).
type Servers struct {
	addresses stack.Addresses
}

// own are the servers of this process, where nobody started any for it. One
// process has one set, however many tests ask: that is what a global is for.
//
//nolint:gochecknoglobals // See above.
var own struct {
	sync.Mutex
	servers *stack.Servers
	err     error
}

// Shared returns the servers that with-servers started, or starts them, once in
// this process.
func Shared(t testing.TB) *Servers {
	t.Helper()
	if addresses, ok := stack.AddressesFromEnv(os.Getenv); ok {
		return &Servers{addresses: addresses}
	}
	own.Lock()
	defer own.Unlock()
	if own.servers == nil && own.err == nil {
		own.servers, own.err = stack.Start(context.Background(), Options())
	}
	if own.err != nil {
		t.Fatalf("start servers for the tests: %v", own.err)
	}
	return &Servers{addresses: own.servers.Addresses()}
}

// Options are those of the shared servers.
func Options() stack.Options {
	return stack.Options{
		BrokerConfig: stack.FastTransactions(),
		Logger:       slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
}

// M is a testing.M that stops the servers of this process after its tests.
type M struct {
	*testing.M
}

// Run runs the tests and returns their exit code.
func (m M) Run() int {
	code := m.M.Run()
	if err := closeOwn(); err != nil {
		slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("close the servers of the tests", slog.Any("error", err))
		return max(code, 1)
	}
	return code
}

func closeOwn() error {
	own.Lock()
	defer own.Unlock()
	servers := own.servers
	own.servers, own.err = nil, errors.New("the tests of this process are over")
	if servers == nil {
		return nil
	}
	return servers.Close()
}

// NameServer is the name server's host:port.
func (s *Servers) NameServer() string { return s.addresses.NameServer }

// Broker is the broker's host:port.
func (s *Servers) Broker() string { return s.addresses.Broker }

// Postgres is the superuser's URL of the database "postgres", for what concerns
// the whole server, such as roles.
func (s *Servers) Postgres() string { return s.addresses.Postgres }

// Database returns the superuser's URL of a fresh, empty database that is
// dropped when the test ends, even if connections to it are still open.
func (s *Servers) Database(t testing.TB) string {
	t.Helper()
	name := "test_" + random()
	s.exec(t, "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() { s.exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(s.addresses.Postgres)
	if err != nil {
		t.Fatalf("parse the URL of PostgreSQL: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

func (s *Servers) exec(t testing.TB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.addresses.Postgres)
	if err != nil {
		t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // The statement succeeded or the test failed.
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Topic returns the name of a fresh TRANSACTION topic.
func (s *Servers) Topic(t testing.TB, queues int) string {
	t.Helper()
	return s.TopicOf(t, queues, "TRANSACTION")
}

// TopicOf returns the name of a fresh topic of the given message.type, or of
// none if that is empty.
func (s *Servers) TopicOf(t testing.TB, queues int, messageType string) string {
	t.Helper()
	name := unique(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	topic := stack.Topic{Name: name, Queues: queues, MessageType: messageType}
	if err := stack.CreateTopic(ctx, s.addresses.NameServer, s.addresses.Broker, topic); err != nil {
		t.Fatal(err)
	}
	return name
}

// Needs skips a test that says nothing on the version of RocketMQ that the tests
// are run on ([stack.EnvRocketMQVersion]), with the reason: "make test-matrix"
// prints it. A test that starts brokers of a version of its own does not call it.
func Needs(t testing.TB, features ...stack.Feature) {
	t.Helper()
	for _, f := range features {
		if missing := f.Missing(stack.RocketMQVersion()); missing != "" {
			t.Skip(missing)
		}
	}
}

// Group returns a group name that no other test uses: the broker sends
// check-backs to any producer of a group.
func (s *Servers) Group(t testing.TB) string {
	t.Helper()
	return unique(t)
}

// Admin runs mqadmin; see [stack.Admin].
func (s *Servers) Admin(t testing.TB, args ...string) string {
	t.Helper()
	output, err := stack.Admin(t.Context(), s.addresses.NameServer, stack.Options{}, args...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// unique is the test's name and a random end, short and plain enough for topics
// and groups.
func unique(t testing.TB) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, t.Name())
	return plain[:min(len(plain), 60)] + "-" + random()
}

func random() string {
	bits := make([]byte, 6)
	_, _ = rand.Read(bits) // It never fails.
	return hex.EncodeToString(bits)
}
