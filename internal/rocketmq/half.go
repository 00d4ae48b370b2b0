package rocketmq

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Separators in a property string (MessageDecoder.NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR).
const (
	nameEnd  = '\x01'
	valueEnd = '\x02'
)

// Halves sends half messages to one master in one gathered write and returns when each is answered or has failed, after
// Options.SendTimeout at the latest. A half that the protocol cannot carry is answered 13 here, without being sent: a frame
// over 16 MiB would cost the connection and everything in flight on it.
func (c *Client) Halves(ctx context.Context, address string, halves []relay.Half) []relay.HalfAnswer {
	answers := make([]relay.HalfAnswer, len(halves))
	at := make([]int, 0, len(halves)) // request to half
	b := c.brokers.Batch(len(halves), c.options.SendTimeout, func(i int, r remoting.Reply) {
		answers[at[i]] = halfAnswer(r)
		c.traces.half(address, &halves[at[i]], r)
	})
	var properties []byte
	for i := range halves {
		h := halves[i]
		h.Topic = c.names.Wire(h.Topic)
		var err error
		if properties, err = appendProperties(properties[:0], &h, c.options.Group); err == nil {
			err = addSend(b, reqSendMessageV2, &h, c.options.Group, properties, h.Body)
		}
		if err != nil {
			answers[i].Code, answers[i].Remark = codeMessageIllegal, "not sent: "+err.Error()
			continue
		}
		at = append(at, i)
	}
	c.brokers.Submit(address, b)
	b.Wait(ctx)
	c.noticeHalves(answers)
	return answers
}

// noticeHalves refreshes the routes if they seem to be wrong.
func (c *Client) noticeHalves(answers []relay.HalfAnswer) {
	for i := range answers {
		if a := &answers[i]; a.Err != nil || a.Code == codeTopicNotExist || a.Code == codeNoPermission {
			c.routes.refreshSoon()
			return
		}
	}
}

// addSend appends SEND_MESSAGE_V2 or SEND_BATCH_MESSAGE, whose fields have one-letter names (SendMessageRequestHeaderV2). The
// first message of a batch says where it goes; the properties are with each of its messages.
func addSend(b *remoting.Batch, code int, h *relay.Half, group string, properties, body []byte) error {
	flag := int64(0)
	if h.Immunity > 0 {
		flag = transactionPrepared
	}
	b.Begin(code)
	b.String("a", group)
	b.String("b", h.Topic)
	b.String("c", "TBW102") // only used where topics are created on the fly, which Bind rules out
	b.Int("d", 4)
	b.Int("e", int64(h.Queue))
	b.Int("f", sysFlag(h.Compressed)|flag)
	b.Int("g", h.Born.UnixMilli())
	b.Int("h", 0)
	b.Text("i", properties)
	b.Int("j", 0)
	b.Bool("k", false)
	b.Int("l", 0)
	b.Bool("m", code == reqSendBatchMessage)
	return b.End(body)
}

// What a message's sysFlag says of its body (MessageSysFlag). Consumers before 5.0 look at the first bit only and know nothing but
// zlib; later ones take the type from the others, as the Java producer writes them.
const (
	flagCompressed = 1
	flagZlib       = 3 << 8
)

func sysFlag(compressed bool) int64 {
	if compressed {
		return flagCompressed | flagZlib
	}
	return 0
}

// appendProperties encodes the properties of a message. WAIT is never set: the answer must tell how safely it is stored.
func appendProperties(buf []byte, h *relay.Half, group string) ([]byte, error) {
	n := 0
	add := func(name, value string) {
		if value != "" {
			buf = append(append(append(append(buf, name...), nameEnd), value...), valueEnd)
			n++
		}
	}
	if h.Immunity > 0 {
		add("TRAN_MSG", "true")
		add("PGROUP", group)
	}
	if h.DelayLevel > 0 {
		add("DELAY", strconv.Itoa(h.DelayLevel))
	}
	if !h.DeliverAt.IsZero() {
		add("TIMER_DELIVER_MS", strconv.FormatInt(h.DeliverAt.UnixMilli(), 10))
	}
	add("UNIQ_KEY", h.UniqKey)
	add("KEYS", h.Keys)
	add("TAGS", h.Tag)
	add("SHARDING_KEY", h.Ordering)  // where client-go looks
	add("__SHARDINGKEY", h.Ordering) // where the Java client looks
	if h.Immunity > 0 {
		add("CHECK_IMMUNITY_TIME_IN_SECONDS", strconv.FormatInt(int64(h.Immunity/time.Second), 10))
	}
	for _, p := range h.Properties {
		add(p.Name, p.Value)
	}
	if bytes.Count(buf, []byte{nameEnd}) != n || bytes.Count(buf, []byte{valueEnd}) != n {
		return buf, errors.New("a property holds a separator")
	}
	return buf, nil
}

// halfAnswer reads SendMessageResponseHeader. Codes 10, 11 and 12 carry offsets too: the half is stored.
func halfAnswer(r remoting.Reply) relay.HalfAnswer {
	a := relay.HalfAnswer{Answer: answer(r)}
	if r.Err != nil {
		return a
	}
	switch r.Response.Code {
	case codeSuccess, codeFlushDiskTimeout, codeSlaveNotAvailable, codeFlushSlaveTimeout:
	default:
		return a
	}
	offset, err := r.Response.ExtInt("queueOffset")
	if err == nil {
		id, _ := r.Response.Ext("msgId")
		a.LogOffset, err = logOffset(id)
	}
	if err != nil {
		if a.Code == codeSuccess { // without offsets it cannot be committed: as good as unanswered
			a.Err, a.Sent = fmt.Errorf("answer to a half: %w", err), true
		}
		return a
	}
	a.HalfOffset, a.Stored = offset, true
	return a
}

// logOffset reads the commit log offset off a message id: the last 16 hex digits, after address and port. Ids have 32 digits
// where the broker has an IPv4 address, 56 where it has an IPv6 one.
func logOffset(id []byte) (int64, error) {
	if len(id) != 32 && len(id) != 56 {
		return 0, fmt.Errorf("message id of %d characters", len(id))
	}
	var b [8]byte
	if _, err := hex.Decode(b[:], id[len(id)-16:]); err != nil {
		return 0, fmt.Errorf("message id: %w", err)
	}
	offset := int64(binary.BigEndian.Uint64(b[:]))
	if offset < 0 {
		return 0, fmt.Errorf("message id with commit log offset %d", offset)
	}
	return offset, nil
}

func answer(r remoting.Reply) relay.Answer {
	a := relay.Answer{Took: r.Took, Err: r.Err, Sent: r.Sent}
	if r.Err == nil {
		a.Code, a.Remark = r.Response.Code, r.Response.Remark()
	}
	return a
}
