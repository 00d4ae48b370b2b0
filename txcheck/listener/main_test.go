package listener_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	official "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/stack"
	"github.com/outbox-relay/outbox-relay/internal/stack/stacktest"
	"github.com/outbox-relay/outbox-relay/txcheck"
	"github.com/outbox-relay/outbox-relay/txcheck/listener"
)

// A broker of our own, that asks soon, often, and for as long as a test takes.
//
//nolint:gochecknoglobals // One for all tests of the package.
var cluster struct {
	once   sync.Once
	ns     *stack.NameServer
	broker *stack.Broker
	err    error
}

func startCluster(t *testing.T) (nameServer string, broker *stack.Broker) {
	t.Helper()
	cluster.once.Do(func() {
		ctx := context.Background()
		if cluster.ns, cluster.err = stack.StartNameServer(ctx, stack.Options{}); cluster.err != nil {
			return
		}
		cluster.broker, cluster.err = stack.StartBroker(ctx, cluster.ns, stack.Options{BrokerConfig: map[string]string{
			"transactionTimeOut": "300", "transactionCheckInterval": "200", "transactionCheckMax": "100000",
			"transactionOpBatchInterval": "100",
			// It refuses what has waited for 200 ms, which says something about this machine and nothing about the listener.
			"brokerFastFailureEnable": "false",
		}})
	})
	if cluster.err != nil {
		t.Fatalf("start a broker: %v", cluster.err)
	}
	return cluster.ns.Addr, cluster.broker
}

func stopCluster() error {
	var err error
	if cluster.broker != nil {
		err = cluster.broker.Close()
	}
	if cluster.ns != nil {
		err = cluster.ns.Close()
	}
	return err
}

type withCluster struct{ stacktest.M }

// Run runs the tests and stops the broker.
func (w withCluster) Run() int {
	code := w.M.Run()
	if err := stopCluster(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

const victimArgs = "TXCHECK_VICTIM"

func TestMain(m *testing.M) {
	rlog.SetLogger(silent{})
	if os.Getenv(victimArgs) != "" {
		fmt.Fprintln(os.Stderr, victim())
		os.Exit(1)
	}
	goleak.VerifyTestMain(withCluster{stacktest.M{M: m}}, leaksOfTheOfficialClient()...)
}

// victim is a service that is killed between the COMMIT of its transaction and its END_TRANSACTION.
func victim() error {
	ctx := context.Background()
	db, err := pgxpool.New(ctx, os.Getenv("VICTIM_DATABASE"))
	if err != nil {
		return err
	}
	markers, err := txcheck.OpenMarkers(ctx, txcheck.MarkerOptions{Database: os.Getenv("VICTIM_DATABASE")})
	if err != nil {
		return err
	}
	l := listener.New(dying{markers}, db, listener.Options{})
	p, err := newProducer(l, os.Getenv("VICTIM_NAMESERVER"), os.Getenv("VICTIM_GROUP"))
	if err != nil {
		return err
	}
	m := primitive.NewMessage(os.Getenv("VICTIM_TOPIC"), []byte("of the victim"))
	_, err = l.Send(ctx, p, m, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO orders VALUES ('of the victim')`)
		return err
	})
	return fmt.Errorf("it survived: %w", err)
}

// dying kills the process when the transaction has committed.
type dying struct{ *txcheck.Markers }

func (d dying) Run(ctx context.Context, db txcheck.Beginner, id string, fn func(tx pgx.Tx) error) (txcheck.Answer, error) {
	answer, err := d.Markers.Run(ctx, db, id, fn)
	if err == nil {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute)
	}
	return answer, err
}

func newProducer(l *listener.Listener, nameServer, group string) (official.TransactionProducer, error) {
	p, err := official.NewTransactionProducer(l, append(l.ProducerOptions(),
		producer.WithGroupName(group), producer.WithNameServer(primitive.NamesrvAddr{nameServer}))...)
	if err != nil {
		return nil, err
	}
	return p, p.Start()
}

// silent drops the client's log.
type silent struct{}

func (silent) Debug(string, map[string]any)   {}
func (silent) Info(string, map[string]any)    {}
func (silent) Warning(string, map[string]any) {}
func (silent) Error(string, map[string]any)   {}
func (silent) Fatal(string, map[string]any)   {}
func (silent) Level(string)                   {}
func (silent) OutputPath(string) error        { return nil }
