package remoting

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// A Command is a decoded frame: an answer, or a request of the peer. It points into the frame it was decoded from and is
// valid as long as that is.
type Command struct {
	Code   int
	Opaque int32
	Flag   int32
	Body   []byte

	remark []byte
	ext    []byte // the binary ext fields, checked
	json   gjson.Result
}

// Response reports whether the command answers a request.
func (c *Command) Response() bool { return c.Flag&FlagResponse != 0 }

// Remark returns the text that explains the code. It is copied.
func (c *Command) Remark() string { return string(c.remark) }

// Decode decodes a frame as [FrameReader.Next] returns it. Whatever the peer sends, the outcome is a command or [ErrMalformed].
func (c *Command) Decode(frame []byte) error {
	*c = Command{}
	if len(frame) < markSize {
		return fmt.Errorf("%w: %d bytes", ErrMalformed, len(frame))
	}
	mark := binary.BigEndian.Uint32(frame)
	n := int(mark & 0xffffff)
	if n > len(frame)-markSize {
		return fmt.Errorf("%w: header of %d bytes in a frame of %d", ErrMalformed, n, len(frame))
	}
	header := frame[markSize : markSize+n]
	if rest := frame[markSize+n:]; len(rest) > 0 {
		c.Body = rest
	}
	switch s := mark >> 24; s {
	case serializedBinary:
		return c.decodeBinary(header)
	case serializedJSON:
		return c.decodeJSON(header)
	default:
		return fmt.Errorf("%w: serialization %d", ErrMalformed, s)
	}
}

func (c *Command) decodeBinary(h []byte) error {
	if len(h) < binaryFixed {
		return fmt.Errorf("%w: binary header of %d bytes", ErrMalformed, len(h))
	}
	c.Code = int(int16(binary.BigEndian.Uint16(h)))
	c.Opaque = int32(binary.BigEndian.Uint32(h[5:]))
	c.Flag = int32(binary.BigEndian.Uint32(h[9:]))
	var ok bool
	if c.remark, h, ok = cut32(h[binaryFixed:]); !ok {
		return fmt.Errorf("%w: remark", ErrMalformed)
	}
	if c.ext, _, ok = cut32(h); !ok {
		return fmt.Errorf("%w: ext fields", ErrMalformed)
	}
	for rest := c.ext; len(rest) > 0; {
		if _, _, rest, ok = cutField(rest); !ok {
			return fmt.Errorf("%w: ext field", ErrMalformed)
		}
	}
	return nil
}

func (c *Command) decodeJSON(h []byte) error {
	if !gjson.ValidBytes(h) {
		return fmt.Errorf("%w: JSON header", ErrMalformed)
	}
	root := gjson.Parse(view(h))
	if !root.IsObject() {
		return fmt.Errorf("%w: JSON header is no object", ErrMalformed)
	}
	var code, opaque, flag, remark gjson.Result
	root.ForEach(func(k, v gjson.Result) bool {
		switch k.String() {
		case "code":
			code = v
		case "opaque":
			opaque = v
		case "flag":
			flag = v
		case "remark":
			remark = v
		case "extFields":
			c.json = v
		}
		return true
	})
	for _, field := range [3]struct {
		name  string
		value gjson.Result
	}{{"code", code}, {"opaque", opaque}, {"flag", flag}} {
		n := field.value
		if n.Type != gjson.Number || n.Num != float64(int32(n.Num)) { // a missing code is not 0, which would be success
			return fmt.Errorf("%w: %s of JSON header", ErrMalformed, field.name)
		}
	}
	c.Code, c.Opaque, c.Flag = int(int32(code.Num)), int32(opaque.Num), int32(flag.Num)
	if text := remark.String(); text != "" {
		c.remark = []byte(text)
	}
	return nil
}

// Ext returns an ext field.
func (c *Command) Ext(name string) (value []byte, ok bool) {
	if c.json.IsObject() {
		c.json.ForEach(func(k, v gjson.Result) bool {
			if k.String() == name {
				text := v.String()
				value, ok = unsafe.Slice(unsafe.StringData(text), len(text)), true //nolint:gosec // Who reads an answer does not write to it.
			}
			return !ok
		})
		return value, ok
	}
	for rest := c.ext; len(rest) > 0; {
		var k []byte
		k, value, rest, _ = cutField(rest)
		if string(k) == name {
			return value, true
		}
	}
	return nil, false
}

// ExtInt returns an ext field that holds a decimal number.
func (c *Command) ExtInt(name string) (int64, error) {
	v, ok := c.Ext(name)
	if !ok {
		return 0, fmt.Errorf("answer without field %s", name)
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("field %s of the answer: %w", name, err)
	}
	return n, nil
}

// view is b as a string that changes when b does. Each half is answered in JSON, and a copy of every answer is a tenth of what is
// allocated.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // See Command: it is valid as long as the frame.
}

// cut32 cuts a value with a 4-byte length off b.
func cut32(b []byte) (value, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int64(int32(binary.BigEndian.Uint32(b)))
	if n < 0 || n > int64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// cutField cuts an ext field off b.
func cutField(b []byte) (name, value, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, nil, false
	}
	n := int(int16(binary.BigEndian.Uint16(b)))
	if n < 0 || n > len(b)-2 {
		return nil, nil, nil, false
	}
	name = b[2 : 2+n]
	value, rest, ok = cut32(b[2+n:])
	return name, value, rest, ok
}

// Clone returns a copy that does not point into the frame.
func (c *Command) Clone() *Command {
	d := *c
	d.Body = bytes.Clone(c.Body)
	d.ext = bytes.Clone(c.ext)
	d.remark = bytes.Clone(c.remark)
	if c.json.Raw != "" {
		d.json = gjson.Parse(strings.Clone(c.json.Raw))
	}
	return &d
}
