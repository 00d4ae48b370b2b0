package bench

import (
	"context"
	"fmt"
	"strconv"
)

// An audit compares a topic with the rows that were written, by the numbers at the beginning of the payloads.
type audit struct {
	rows  int
	size  int
	keyed bool

	seen       []uint64 // a bit for each row
	last       map[int]position
	arrived    int
	duplicated int
	reordered  int
	foreign    int
	first      string // the first fault, for people
}

// position is where the last message of a key was, and its number.
type position struct{ broker, queue, number int }

func newAudit(rows, size int, keyed bool) *audit {
	return &audit{rows: rows, size: size, keyed: keyed, seen: make([]uint64, rows/64+1), last: map[int]position{}}
}

// add takes the next message of a queue.
func (a *audit) add(m message) {
	if len(m.body) < numberWidth {
		a.alien(m)
		return
	}
	number, err := strconv.Atoi(string(m.body[:numberWidth]))
	if err != nil || number < 1 || number > a.rows || len(m.body) != a.size {
		a.alien(m)
		return
	}
	word, bit := number/64, uint64(1)<<(number%64)
	if a.seen[word]&bit != 0 {
		a.duplicated++
		a.fault("row %d came again", number)
		return
	}
	a.seen[word] |= bit
	a.arrived++
	if a.keyed {
		a.order(position{m.broker, m.queue, number})
	}
}

// order judges the first message of a row: behind a later one of its key, or on another queue than it.
func (a *audit) order(p position) {
	key := p.number % orderingKeys
	last, seen := a.last[key]
	if seen && (last.broker != p.broker || last.queue != p.queue || last.number > p.number) {
		a.reordered++
		a.fault("row %d came after row %d of the same key", p.number, last.number)
		return
	}
	a.last[key] = p
}

func (a *audit) alien(m message) {
	a.foreign++
	a.fault("a message that nobody wrote: %.40q, %d bytes", m.body, len(m.body))
}

func (a *audit) fault(format string, args ...any) {
	if a.first == "" {
		a.first = fmt.Sprintf(format, args...)
	}
}

// verdict is an error unless everything came once, and in order where there are keys.
func (a *audit) verdict() error {
	if a.arrived == a.rows && a.duplicated+a.reordered+a.foreign == 0 {
		return nil
	}
	if a.first == "" {
		a.first = "nothing came twice or out of order"
	}
	return fmt.Errorf("the audit failed: of %d rows %d arrived, %d messages too many, %d out of order, %d that nobody wrote (%s)",
		a.rows, a.arrived, a.duplicated, a.reordered, a.foreign, a.first)
}

// audit reads the topic and judges it.
func (p *place) audit(ctx context.Context, rows, size int) (*audit, error) {
	a := newAudit(rows, size, p.kind.keyed)
	err := p.read(ctx, func(m message) error {
		a.add(m)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("audit the topic: %w", err)
	}
	return a, nil
}
