package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
)

// kind is what rows become.
type kind struct {
	name        string // of the relay's topic type, and its mode
	messageType string // of the topic
	keyed       bool
	due         bool // rows have a time at which they are to be delivered: now
}

func kinds() map[string]kind {
	return map[string]kind{
		"transaction": {name: "transaction", messageType: "TRANSACTION"},
		"ordered":     {name: "transaction", messageType: "TRANSACTION", keyed: true},
		"normal":      {name: "normal", messageType: "NORMAL"},
		"oneway":      {name: "normal:oneway", messageType: "NORMAL"},
		"fifo":        {name: "fifo", messageType: "FIFO", keyed: true},
		"delay":       {name: "delay", messageType: "DELAY", due: true},
	}
}

const (
	// numberWidth is how a payload begins: with the number of its row, from 1.
	numberWidth = 16
	// orderingKeys is how many keys the rows of ordered topics have.
	orderingKeys = 1000
	// chunk is how many rows one transaction inserts.
	chunk = 20_000
)

// filler is text that does not compress well, the same in every run.
func filler(size int) string {
	draw := rand.New(rand.NewPCG(6, 6))
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var b strings.Builder
	for range size - numberWidth {
		b.WriteByte(letters[draw.IntN(len(letters))])
	}
	return b.String()
}

// payload is the payload of a row.
func payload(n int, fill string) []byte {
	return fmt.Appendf(make([]byte, 0, numberWidth+len(fill)), "%0*d%s", numberWidth, n, fill)
}

// fill inserts the rows first … first+n-1 in transactions of at most step rows.
func (p *place) fill(ctx context.Context, first, n, size, step int) error {
	key := "NULL::text"
	if p.kind.keyed {
		key = fmt.Sprintf("'key-' || n %% %d", orderingKeys)
	}
	due := "NULL::timestamptz"
	if p.kind.due {
		due = "now()"
	}
	insert := `INSERT INTO outbox (topic, ordering_key, deliver_at, payload)
SELECT $1, ` + key + `, ` + due + `, convert_to(lpad(n::text, ` + fmt.Sprint(numberWidth) + `, '0') || $2, 'UTF8') FROM generate_series($3::bigint, $4::bigint) n ORDER BY n`
	return p.fillBy(ctx, insert, first, n, size, step)
}

// fillBy is fill by another statement, which gets the topic, the filler, the first and the last number.
func (p *place) fillBy(ctx context.Context, insert string, first, n, size, step int) error {
	text := filler(size)
	for last := first + n - 1; first <= last; first += step {
		if _, err := p.db.Exec(ctx, insert, p.topic, text, first, min(first+step-1, last)); err != nil {
			return fmt.Errorf("insert rows from %d: %w", first, err)
		}
	}
	return nil
}
