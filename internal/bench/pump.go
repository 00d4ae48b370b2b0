package bench

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// pump is the ceiling: it does nothing but half + acknowledged commit, or batches of plain messages. Its frames have only
// what must be in them, unless dressed, and are made of parts that are ready.
type pump struct {
	kind  string
	size  int
	flush Flush
	rows  int
	// broker says which one it is for, of those that flush so.
	broker int
	// dressed gives each message the keys and properties that the relay gives it.
	dressed bool
	// gather is how many requests go out in one write, flying how many such writes are unanswered at once.
	gather, flying int
}

// plainBatch is how many plain messages are in one request.
const plainBatch = 32

func (d pump) run(ctx context.Context, w *Bench) (v Values, err error) {
	brokers, err := w.need(d.flush, d.broker+1)
	if err != nil {
		return nil, err
	}
	p, err := w.newPlace(ctx, kinds()[d.kind], brokers[d.broker:])
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	pool, err := newPool(w.cfg.Servers.Access.Remoting(true))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	rows := w.cfg.Scale.atMost(d.rows)
	s := &stroke{pump: d, pool: pool, address: p.brokers[0].Address, topic: p.topic, fill: filler(d.size)}
	m := meter{postgres: 0, brokers: p.brokers}
	before, own, begin := m.read(), ownTime(), time.Now()
	if err := s.all(ctx, rows); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	v = Values{Rate: float64(rows) / took.Seconds(), PumpCPU: per100k((ownTime() - own).Seconds(), rows), Refused: float64(s.refused)}
	m.read().since(before, rows, v)
	if broker, known := v[BrokerCPU]; known {
		v[AllCPU] = broker + v[PumpCPU]
	}
	if _, err := p.awaitCount(ctx, rows, look); err != nil {
		return nil, err
	}
	a, err := p.audit(ctx, rows, d.size)
	if err != nil {
		return nil, err
	}
	return v, a.verdict()
}

// A stroke is one run of a pump.
type stroke struct {
	pump
	pool    *remoting.Pool
	address string
	topic   string
	fill    string

	mu      sync.Mutex
	next    int
	refused int
	err     error
}

// all sends the rows 1 … n.
func (s *stroke) all(ctx context.Context, n int) error {
	s.next = 1
	size := s.gather
	send := s.transactions
	if s.kind == "normal" {
		size, send = s.gather*plainBatch, s.plain
	}
	var working sync.WaitGroup
	for range s.flying {
		working.Go(func() {
			for {
				first, count := s.take(size, n)
				if count == 0 {
					return
				}
				if err := send(ctx, first, count); err != nil {
					s.fail(err)
					return
				}
			}
		})
	}
	working.Wait()
	return s.err
}

// take gives the next rows to one of the senders; none once something has failed.
func (s *stroke) take(size, n int) (first, count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, 0
	}
	first, count = s.next, min(size, n-s.next+1)
	s.next += count
	return first, count
}

func (s *stroke) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(s.err, err)
}

// A half is a half message that was stored.
type half struct {
	number            int
	halfOffset, logAt int64
	stored, committed bool
	err               error
}

// transactions sends halves and then their commits. What is refused as busy is sent again.
func (s *stroke) transactions(ctx context.Context, first, count int) error {
	halves := make([]half, count)
	for i := range halves {
		halves[i].number = first + i
	}
	for todo := count; todo > 0; {
		if err := s.sendHalves(ctx, halves); err != nil {
			return err
		}
		if err := s.sendCommits(ctx, halves); err != nil {
			return err
		}
		todo = 0
		for i := range halves {
			if halves[i].err != nil {
				return halves[i].err
			}
			if !halves[i].committed {
				todo++
			}
		}
		s.mu.Lock()
		s.refused += todo
		s.mu.Unlock()
	}
	return nil
}

func (s *stroke) sendHalves(ctx context.Context, halves []half) error {
	at := make([]int, 0, len(halves))
	batch := s.pool.Batch(len(halves), requestTimeout, func(i int, r remoting.Reply) {
		h := &halves[at[i]]
		switch {
		case r.Err != nil:
			h.err = r.Err
		case r.Response.Code == codeSuccess:
			h.halfOffset, h.logAt, h.err = storedAt(r.Response)
			h.stored = h.err == nil
		case r.Response.Code != codeBusy:
			h.err = fmt.Errorf("answer to a half message: %d: %s", r.Response.Code, r.Response.Remark())
		}
	})
	now := time.Now().UnixMilli()
	var properties, body []byte
	for i := range halves {
		if halves[i].stored {
			continue
		}
		at = append(at, i)
		properties = s.properties(properties[:0], halves[i].number)
		body = append(append(body[:0], number(halves[i].number)...), s.fill...)
		s.header(batch, reqSendMessageV2, halves[i].number%topicQueues, transactionPrepared, now, properties, false)
		if err := batch.End(body); err != nil {
			return err
		}
	}
	s.pool.Submit(s.address, batch)
	batch.Wait(ctx)
	return nil
}

func number(n int) []byte { return payload(n, "") }

// header is a SendMessageRequestHeaderV2.
func (s *stroke) header(batch *remoting.Batch, code, queue, sysFlag int, born int64, properties []byte, many bool) {
	batch.Begin(code)
	batch.String("a", s.topic) // the producer group
	batch.String("b", s.topic)
	batch.String("c", "TBW102")
	batch.Int("d", 4)
	batch.Int("e", int64(queue))
	batch.Int("f", int64(sysFlag))
	batch.Int("g", born)
	batch.Int("h", 0)
	batch.Text("i", properties)
	batch.Int("j", 0)
	batch.Bool("k", false)
	batch.Int("l", 0)
	batch.Bool("m", many)
}

// properties are those of a half: the fewest, or those of the relay's.
func (s *stroke) properties(b []byte, n int) []byte {
	b = append(append(append(b, "TRAN_MSG\x01true\x02PGROUP\x01"...), s.topic...), "\x02UNIQ_KEY\x010000000000000000"...)
	b = append(append(b, number(n)...), 2)
	if !s.dressed {
		return b
	}
	row := strconv.Itoa(n)
	b = append(append(b, "KEYS\x0100000000-0000-0000-0000-000000000000-"...), row...)
	b = append(b, "\x02CHECK_IMMUNITY_TIME_IN_SECONDS\x011\x02outbox-origin\x0100000000-0000-0000-0000-000000000000\x02outbox-id\x01"...)
	return append(append(b, row...), 2)
}

// storedAt reads where a half was stored: its queue offset, and the commit log offset in the last half of the message id.
func storedAt(c *remoting.Command) (halfOffset, logAt int64, err error) {
	if halfOffset, err = c.ExtInt("queueOffset"); err != nil {
		return 0, 0, err
	}
	id, _ := c.Ext("msgId")
	var raw [8]byte
	if len(id) < 32 {
		return 0, 0, fmt.Errorf("message id %q", id)
	}
	if _, err := hex.Decode(raw[:], id[len(id)-16:]); err != nil {
		return 0, 0, fmt.Errorf("message id: %w", err)
	}
	return halfOffset, int64(binary.BigEndian.Uint64(raw[:])), nil
}

func (s *stroke) sendCommits(ctx context.Context, halves []half) error {
	at := make([]int, 0, len(halves))
	batch := s.pool.Batch(len(halves), requestTimeout, func(i int, r remoting.Reply) {
		h := &halves[at[i]]
		switch {
		case r.Err != nil:
			h.err = r.Err
		case r.Response.Code == codeSuccess:
			h.committed = true
		case r.Response.Code != codeBusy:
			h.err = fmt.Errorf("answer to a commit: %d: %s", r.Response.Code, r.Response.Remark())
		}
	})
	for i := range halves {
		h := &halves[i]
		if !h.stored || h.committed {
			continue
		}
		at = append(at, i)
		batch.Begin(reqEndTransaction)
		batch.String("topic", s.topic)
		batch.String("producerGroup", s.topic)
		batch.Int("tranStateTableOffset", h.halfOffset)
		batch.Int("commitLogOffset", h.logAt)
		batch.Int("commitOrRollback", transactionCommitted)
		batch.Bool("fromTransactionCheck", false)
		batch.String("msgId", "-") // must be there, and is not read
		if err := batch.End(nil); err != nil {
			return err
		}
	}
	s.pool.Submit(s.address, batch)
	batch.Wait(ctx)
	return nil
}
