package proxy

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// header is what the proxy wants to know of a frame of the remoting protocol.
type header struct {
	Code   int               `json:"code"`
	Opaque int32             `json:"opaque"`
	Flag   int32             `json:"flag"`
	Fields map[string]string `json:"extFields"`
}

// Bits of a header's flag.
const (
	flagAnswer = 1
	flagOneway = 2
)

var errShort = errors.New("the frame ends in the middle of its header")

// readHeader reads the header of a frame that starts with its length.
func readHeader(frame []byte) (header, error) {
	mark := binary.BigEndian.Uint32(frame[4:])
	n := int(mark & 0xffffff)
	if n > len(frame)-8 {
		return header{}, errShort
	}
	content := frame[8 : 8+n]
	switch kind := mark >> 24; kind {
	case 0:
		var h header
		if err := json.Unmarshal(content, &h); err != nil {
			return header{}, fmt.Errorf("decode the header: %w", err)
		}
		return h, nil
	case 1:
		return binaryHeader(content)
	default:
		return header{}, fmt.Errorf("the header is written in a way %d", kind)
	}
}

// binaryHeader reads
//
//	code 2, language 1, version 2, opaque 4, flag 4, remark 4 + n, fields 4 + n
//
// where a field is a name with two bytes of length and a value with four.
func binaryHeader(b []byte) (header, error) {
	if len(b) < 17 {
		return header{}, errShort
	}
	h := header{
		Code:   int(int16(binary.BigEndian.Uint16(b))),
		Opaque: int32(binary.BigEndian.Uint32(b[5:])),
		Flag:   int32(binary.BigEndian.Uint32(b[9:])),
	}
	_, rest, err := cut(b[13:], 4)
	if err != nil {
		return header{}, err
	}
	fields, _, err := cut(rest, 4)
	if err != nil {
		return header{}, err
	}
	h.Fields = make(map[string]string)
	for len(fields) > 0 {
		var name, value []byte
		if name, fields, err = cut(fields, 2); err != nil {
			return header{}, err
		}
		if value, fields, err = cut(fields, 4); err != nil {
			return header{}, err
		}
		h.Fields[string(name)] = string(value)
	}
	return h, nil
}

// cut takes off a run of bytes that is led by its length, in size bytes.
func cut(b []byte, size int) (run, rest []byte, err error) {
	if len(b) < size {
		return nil, nil, errShort
	}
	n := 0
	for _, digit := range b[:size] {
		n = n<<8 | int(digit)
	}
	if n > len(b)-size {
		return nil, nil, errShort
	}
	return b[size : size+n], b[size+n:], nil
}
