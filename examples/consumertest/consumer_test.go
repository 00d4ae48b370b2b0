package consumertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

const (
	customers = 4
	orders    = 15 // of each
)

func each(t *testing.T, test func(t *testing.T, command []string)) {
	t.Helper()
	for name, build := range map[string]build{"go": buildGo, "java": buildJava} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, build(t))
		})
	}
}

// Every message is on the topic twice, and the consumer is killed when its first effects are committed and none is acknowledged:
// clients write offsets down every five seconds.
func TestEachMessageIsAppliedOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, command []string) {
		w := newWorld(t, "NORMAL")
		w.send(1, orders/2)
		first := w.start(command)
		require.Eventually(t, func() bool { return len(first.of("applied")) >= customers }, patience, time.Millisecond)
		first.kill()

		w.send(orders/2+1, orders)
		second := w.start(command)
		w.complete(second)
		repeated := second.of("repeated")
		require.GreaterOrEqual(t, len(repeated), customers*orders, "the second of each pair")
		again := 0
		for _, key := range first.of("applied") {
			if slices.Index(repeated, key) >= 0 && count(second.of("delivered"), key) >= 2 {
				again++
			}
		}
		require.Positive(t, again, "what was applied and not acknowledged came again, both of the pair")
		second.stop()
	})
}

// In order, in one consumer: each customer's orders are applied in the order of their numbers, although a poisoned message holds
// a queue up for a while.
func TestOrderlyConsumerKeepsTheOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, command []string) {
		w := newWorld(t, "FIFO")
		args := []string{"orderly"}
		if strings.HasSuffix(command[0], "consumer-go") {
			args = []string{"-orderly"}
		}
		r := w.start(command, args...)
		w.send(1, orders/2)
		// Nobody can write a total for a while: the queue waits with the message, and does not go on to the next.
		require.Eventually(t, func() bool { return len(r.of("applied")) > 0 }, patience, 10*time.Millisecond)
		_, err := w.db.Exec(t.Context(), `ALTER TABLE customer_total ADD CONSTRAINT closed CHECK (orders < 0) NOT VALID`)
		require.NoError(t, err)
		w.send(orders/2+1, orders)
		require.Eventually(t, func() bool { return strings.Contains(r.stderr(), "closed") }, patience, 10*time.Millisecond)
		_, err = w.db.Exec(t.Context(), `ALTER TABLE customer_total DROP CONSTRAINT closed`)
		require.NoError(t, err)
		w.complete(r)

		last := map[string]int{}
		for _, key := range r.of("applied") {
			var customer string
			var number int
			_, err := fmt.Sscanf(strings.Replace(key, "-", " ", 1), "%s %d", &customer, &number)
			require.NoError(t, err)
			require.Equal(t, last[customer]+1, number, customer)
			last[customer] = number
		}
		var wrong int
		require.NoError(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM customer_total WHERE last <> $1`, orders).Scan(&wrong))
		require.Zero(t, wrong)
		r.stop()
	})
}

func TestConsumerThatFiltersByTag(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, command []string) {
		w := newWorld(t, "NORMAL")
		w.tags = "placed || paid"
		r := w.start(command)
		for number, tag := range []string{"placed", "shipped", "", "paid"} {
			m := primitive.NewMessage(w.topic, body("ada", number))
			m.WithKeys([]string{fmt.Sprint("ada-", tag)})
			if tag != "" {
				m.WithTag(tag)
			}
			_, err := w.producer().SendSync(t.Context(), m)
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool { return len(r.of("applied")) >= 2 }, patience, 20*time.Millisecond)
		require.ElementsMatch(t, []string{"ada-placed", "ada-paid"}, r.of("applied"))
		require.Len(t, r.of("delivered"), 2)
		r.stop()
	})
}

// A message without user properties is recognised by the first of its keys, and one without either is never acknowledged.
func TestKeyOfAMessageWithoutProperties(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, command []string) {
		w := newWorld(t, "NORMAL")
		r := w.start(command)
		p := w.producer()
		for _, keys := range [][]string{{"ada-1", "x"}, {"ada-1", "y"}, nil} {
			m := primitive.NewMessage(w.topic, body("ada", 1))
			if keys != nil {
				m.WithKeys(keys)
			}
			_, err := p.SendSync(t.Context(), m)
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			return strings.Contains(r.stderr(), "no deduplication key") && len(r.of("repeated")) >= 1
		}, patience, 20*time.Millisecond)
		require.Equal(t, []string{"ada-1"}, r.of("applied"))
		r.stop()
	})
}

func body(customer string, number int) []byte {
	return fmt.Appendf(nil, `{"id":"%s-%d","customer":%q,"number":%d,"item":"tea","cents":%d}`, customer, number, customer, number, number)
}

// sender is the part of the official producer that is used here.
type sender interface {
	SendSync(ctx context.Context, m ...*primitive.Message) (*primitive.SendResult, error)
}

func (w *world) producer() sender {
	w.Helper()
	if w.sender != nil {
		return w.sender
	}
	rlog.SetLogLevel("fatal")
	p, err := producer.NewDefaultProducer(producer.WithNameServer(primitive.NamesrvAddr{w.nameServer}), producer.WithInstanceName(w.name),
		producer.WithQueueSelector(producer.NewHashQueueSelector()), producer.WithGroupName(w.topic+"-p"))
	require.NoError(w, err)
	require.NoError(w, p.Start())
	w.Cleanup(func() { _ = p.Shutdown() })
	w.sender = patient{p}
	return w.sender
}

// patient sends until the broker is not busy, or answers in time: what is on the topic once more then is a repetition.
type patient struct{ sender }

func (p patient) SendSync(ctx context.Context, m ...*primitive.Message) (result *primitive.SendResult, err error) {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if result, err = p.sender.SendSync(ctx, m...); err == nil || ctx.Err() != nil {
			break
		}
	}
	return result, err
}

// send sends each customer's orders, every message twice, as it would be after a restore or by another producer.
func (w *world) send(from, to int) {
	w.Helper()
	p := w.producer()
	for number := from; number <= to; number++ {
		for c := range customers {
			customer := fmt.Sprintf("customer%d", c)
			for range 2 {
				m := primitive.NewMessage(w.topic, body(customer, number))
				m.WithShardingKey(customer)
				m.WithProperty("outbox-dedup-key", fmt.Sprintf("%s-%d", customer, number))
				_, err := p.SendSync(w.Context(), m)
				require.NoError(w, err)
			}
		}
	}
}

// complete waits until every message was delivered to the last consumer or an earlier one, and compares the effects.
func (w *world) complete(r *running) {
	w.Helper()
	require.Eventually(w, func() bool {
		var keys int
		err := w.db.QueryRow(w.Context(), `SELECT count(*) FROM consumed`).Scan(&keys)
		return err == nil && keys == customers*orders && len(r.of("repeated")) >= customers*orders
	}, patience, 20*time.Millisecond)
	rows, err := w.db.Query(w.Context(), `SELECT customer, orders, cents FROM customer_total ORDER BY customer`)
	require.NoError(w, err)
	type total struct {
		Customer      string
		Orders, Cents int
	}
	totals, err := pgx.CollectRows(rows, pgx.RowToStructByPos[total])
	require.NoError(w, err)
	require.Len(w, totals, customers)
	for c, got := range totals {
		require.Equal(w, total{fmt.Sprintf("customer%d", c), orders, orders * (orders + 1) / 2}, got)
	}
}

func count(lines []string, key string) int {
	n := 0
	for _, line := range lines {
		if strings.Contains(line, "\t"+key+"\t") {
			n++
		}
	}
	return n
}

func (r *running) stderr() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errs.String()
}
