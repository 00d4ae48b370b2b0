package rocketmq

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/outbox-relay/outbox-relay/internal/relay"
	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// Send sends plain messages in one gathered write: each request one message, or several of one queue as one RocketMQ batch. It
// calls answered once for each, from any goroutine, perhaps before Send returns, and after Options.SendTimeout at the latest.
// What the protocol cannot carry is answered 13 here, without being sent.
func (c *Client) Send(address string, requests [][]relay.Half, answered func(i int, a relay.Answer)) {
	var at []int // request of the batch to request of the caller
	b := c.brokers.Batch(len(requests), c.options.SendTimeout, func(i int, r remoting.Reply) {
		a := answer(r)
		c.noticeSend(a)
		c.traces.plain(address, requests[at[i]], r)
		answered(at[i], a)
	})
	at = c.addSends(b, requests, answered)
	c.brokers.Submit(address, b)
}

// Oneway sends the same without asking for answers. It calls answered when the requests were passed to the kernel, with code 0,
// or with an error if one was not.
func (c *Client) Oneway(address string, requests [][]relay.Half, answered func(i int, a relay.Answer)) {
	b := c.brokers.Oneway(len(requests))
	at := c.addSends(b, requests, answered)
	c.brokers.Submit(address, b)
	go func() {
		<-b.Finished() // at the latest when the connection is over
		for i, request := range at {
			a := relay.Answer{}
			if !b.Passed(i) {
				a.Err = fmt.Errorf("%w: it was not written to %s", remoting.ErrUnreachable, address)
				c.noticeSend(a)
			}
			answered(request, a)
		}
	}()
}

// addSends appends the requests to a batch and returns which of them each of its requests is.
func (c *Client) addSends(b *remoting.Batch, requests [][]relay.Half, answered func(i int, a relay.Answer)) []int {
	at := make([]int, 0, len(requests))
	var properties, body []byte
	for i, messages := range requests {
		var err error
		first := messages[0]
		first.Topic = c.names.Wire(first.Topic)
		if len(messages) == 1 {
			if properties, err = appendProperties(properties[:0], &first, c.options.Group); err == nil {
				err = addSend(b, reqSendMessageV2, &first, c.options.Group, properties, first.Body)
			}
		} else if body, properties, err = appendBatch(body[:0], properties, messages, c.options.Group); err == nil {
			err = addSend(b, reqSendBatchMessage, &first, c.options.Group, nil, body)
		}
		if err != nil {
			answered(i, relay.Answer{Code: codeMessageIllegal, Remark: "not sent: " + err.Error()})
			continue
		}
		at = append(at, i)
	}
	return at
}

// noticeSend refreshes the routes if they seem to be wrong.
func (c *Client) noticeSend(a relay.Answer) {
	if a.Err != nil || a.Code == codeTopicNotExist || a.Code == codeNoPermission {
		c.routes.refreshSoon()
	}
}

// appendBatch encodes messages as the body of SEND_BATCH_MESSAGE (MessageDecoder.encodeMessage): size, magic code, body CRC and
// flag, which the broker does not read but for the flag, then body and properties with their lengths.
func appendBatch(body, properties []byte, messages []relay.Half, group string) ([]byte, []byte, error) {
	const head = 4 + 4 + 4 + 4 + 4 + 2
	for i := range messages {
		var err error
		if properties, err = appendProperties(properties[:0], &messages[i], group); err != nil {
			return body, properties, err
		}
		if len(properties) > 1<<15-1 { // a short
			return body, properties, errors.New("properties are longer than 32,767 bytes")
		}
		content := messages[i].Body
		body = binary.BigEndian.AppendUint32(body, uint32(head+len(content)+len(properties)))
		body = append(body, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		body = binary.BigEndian.AppendUint32(body, uint32(len(content)))
		body = append(body, content...)
		body = binary.BigEndian.AppendUint16(body, uint16(len(properties)))
		body = append(body, properties...)
	}
	return body, properties, nil
}
