package relay

import (
	"bytes"
	"compress/zlib"
	"fmt"
)

// Compression says which bodies are compressed. RocketMQ's consumers unpack them.
type Compression struct {
	Above int64 // bytes; larger ones are; 0 = none
	Level int   // 1 … 9
}

// body returns what is sent for a payload, and whether that is compressed: only where it gets smaller.
func (c Compression) body(payload []byte) (body []byte, compressed bool, err error) {
	if c.Above == 0 || int64(len(payload)) <= c.Above {
		return payload, false, nil
	}
	var out bytes.Buffer
	out.Grow(len(payload) / 2)
	w, err := zlib.NewWriterLevel(&out, c.Level)
	if err == nil {
		_, err = w.Write(payload)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, false, fmt.Errorf("compress %d bytes at level %d: %w", len(payload), c.Level, err)
	}
	if out.Len() >= len(payload) {
		return payload, false, nil
	}
	return out.Bytes(), true, nil
}
