package stack

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Request codes of the remoting protocol (RocketMQ 5.3 RequestCode).
const (
	pullMessage          = 11
	updateAndCreateTopic = 17
	updateBrokerConfig   = 25
	getBrokerConfig      = 26
	getBrokerRuntime     = 28
	getMaxOffset         = 30
	getMinOffset         = 31
	getRouteByTopic      = 105
	getClusterInfo       = 106
	deleteTopic          = 215
	deleteTopicRoute     = 216
	getTopicConfig       = 351
)

// frame is the header of a request or an answer in the JSON serialization.
type frame struct {
	Code      int               `json:"code"`
	Language  string            `json:"language"`
	Version   int               `json:"version"`
	Opaque    int               `json:"opaque"`
	Flag      int               `json:"flag"`
	Remark    string            `json:"remark,omitempty"`
	ExtFields map[string]string `json:"extFields,omitempty"`
}

// maxFrame is the limit that brokers set themselves (16 MiB).
const maxFrame = 16 << 20

// call sends one request and returns the body of an answer with code 0.
func call(ctx context.Context, addr string, code int, fields map[string]string) ([]byte, error) {
	answer, body, err := exchange(ctx, addr, code, fields)
	if err != nil {
		return nil, err
	}
	if answer.Code != 0 {
		return nil, fmt.Errorf("request %d to %s: answer %d: %s", code, addr, answer.Code, answer.Remark)
	}
	return body, nil
}

// exchange sends one request on a connection of its own and returns the answer,
// whatever its code. It stands alone, instead of using the relay's client, so
// that a fault there can neither make the servers of its own tests look ready
// nor hide itself from an audit.
func exchange(ctx context.Context, addr string, code int, fields map[string]string) (frame, []byte, error) {
	return exchangeWith(ctx, addr, code, fields, nil)
}

// exchangeWith is exchange with a body.
func exchangeWith(ctx context.Context, addr string, code int, fields map[string]string, content []byte) (frame, []byte, error) {
	access := accessOf(ctx)
	conn, err := access.dial(ctx, addr)
	if err != nil {
		return frame{}, nil, err
	}
	defer conn.Close() //nolint:errcheck // The answer was read or will not come.
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(5 * time.Second)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return frame{}, nil, err
	}
	header, err := json.Marshal(frame{Code: code, Language: "GO", Version: 453, Opaque: 1, ExtFields: access.sign(fields, content)})
	if err != nil {
		return frame{}, nil, err
	}
	request := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(content)))
	request = binary.BigEndian.AppendUint32(request, uint32(len(header)))
	if _, err := conn.Write(slices.Concat(request, header, content)); err != nil {
		return frame{}, nil, fmt.Errorf("send request %d to %s: %w", code, addr, err)
	}
	answer, body, err := readFrame(bufio.NewReader(conn))
	if err != nil {
		return frame{}, nil, fmt.Errorf("read the answer to request %d from %s: %w", code, addr, err)
	}
	return answer, body, nil
}

func readFrame(r io.Reader) (frame, []byte, error) {
	var sizes [8]byte
	if _, err := io.ReadFull(r, sizes[:]); err != nil {
		return frame{}, nil, err
	}
	total := binary.BigEndian.Uint32(sizes[:4])
	header := binary.BigEndian.Uint32(sizes[4:]) & 0xffffff // The top byte is the serialization.
	if total > maxFrame || total < 4 || header > total-4 {
		return frame{}, nil, fmt.Errorf("frame of %d bytes with a header of %d", total, header)
	}
	content := make([]byte, total-4)
	if _, err := io.ReadFull(r, content); err != nil {
		return frame{}, nil, err
	}
	var answer frame
	// Java answers with language names and null fields that we do not need.
	if err := json.Unmarshal(content[:header], &answer); err != nil {
		return frame{}, nil, fmt.Errorf("decode the header: %w", err)
	}
	return answer, content[header:], nil
}

// clusterInfo returns what the name server knows about brokers, in RocketMQ's
// own near-JSON (its keys are bare numbers).
func clusterInfo(ctx context.Context, nameServer string) (string, error) {
	body, err := call(ctx, nameServer, getClusterInfo, nil)
	return string(body), err
}
