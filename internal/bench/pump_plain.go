package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// plain sends rows in RocketMQ batches, several of them in one write.
func (s *stroke) plain(ctx context.Context, first, count int) error {
	type request struct {
		first, count int
		done         bool
		err          error
	}
	var requests []request
	for n := 0; n < count; n += plainBatch {
		requests = append(requests, request{first: first + n, count: min(plainBatch, count-n)})
	}
	for todo := len(requests); todo > 0; {
		at := make([]int, 0, len(requests))
		batch := s.pool.Batch(len(requests), requestTimeout, func(i int, r remoting.Reply) {
			q := &requests[at[i]]
			switch {
			case r.Err != nil:
				q.err = r.Err
			case r.Response.Code == codeSuccess:
				q.done = true
			case r.Response.Code != codeBusy:
				q.err = fmt.Errorf("answer to a batch: %d: %s", r.Response.Code, r.Response.Remark())
			}
		})
		now := time.Now().UnixMilli()
		var body []byte
		for i, q := range requests {
			if q.done {
				continue
			}
			at = append(at, i)
			body = s.batchBody(body[:0], q.first, q.count)
			s.header(batch, reqSendBatchMessage, q.first/plainBatch%topicQueues, 0, now, nil, true)
			if err := batch.End(body); err != nil {
				return err
			}
		}
		s.pool.Submit(s.address, batch)
		batch.Wait(ctx)
		todo = 0
		for _, q := range requests {
			switch {
			case q.err != nil:
				return q.err
			case !q.done:
				todo++
			}
		}
		s.mu.Lock()
		s.refused += todo
		s.mu.Unlock()
	}
	return nil
}

// batchBody encodes messages as MessageDecoder.encodeMessages does: size, magic, checksum, flag, body, properties.
func (s *stroke) batchBody(b []byte, first, count int) []byte {
	for n := first; n < first+count; n++ {
		start := len(b)
		b = append(b, make([]byte, 16)...)
		b = binary.BigEndian.AppendUint32(b, uint32(numberWidth+len(s.fill)))
		b = append(append(b, number(n)...), s.fill...)
		at := len(b)
		b = append(b, 0, 0)
		b = append(append(b, "UNIQ_KEY\x010000000000000000"...), number(n)...)
		b = append(b, 2)
		binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
		binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start))
	}
	return b
}
