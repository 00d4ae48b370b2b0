package remoting

import (
	"encoding/binary"
	"strconv"
)

// An Encoder appends frames to a buffer. Between Begin and End it takes the ext fields of one frame.
type Encoder struct {
	JSON bool // write headers as JSON instead of binary

	buf    []byte
	frame  int // where the current frame starts
	ext    int // binary: where the length of its ext fields is; JSON: where its opaque is
	fields int
	signer *signer // nil = requests are not signed
}

// Bytes returns the frames encoded so far.
func (e *Encoder) Bytes() []byte { return e.buf }

// Begin starts a frame. Opaque connects an answer with its request.
func (e *Encoder) Begin(code int, flag, opaque int32, remark string) {
	e.frame, e.fields = len(e.buf), 0
	if e.signer != nil {
		e.signer.begin()
	}
	e.buf = append(e.buf, 0, 0, 0, 0, 0, 0, 0, 0)
	if e.JSON {
		e.beginJSON(code, flag, opaque, remark)
		return
	}
	e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(code))
	e.buf = append(e.buf, languageGo)
	e.buf = binary.BigEndian.AppendUint16(e.buf, version)
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(opaque))
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(flag))
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(len(remark)))
	e.buf = append(e.buf, remark...)
	e.ext = len(e.buf)
	e.buf = append(e.buf, 0, 0, 0, 0)
}

// name starts an ext field whose value has n bytes.
func (e *Encoder) name(name string, n int) {
	e.fields++
	e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(len(name)))
	e.buf = append(e.buf, name...)
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(n))
}

// String adds an ext field. Names are at most 32,767 bytes long. In binary an empty value is left out: a peer reads it as null
// anyway (RocketMQSerializable.readStr), and where it checks a signature it would take it for the text "null".
func (e *Encoder) String(name, value string) {
	if value == "" && !e.JSON {
		return
	}
	if e.signer != nil {
		e.signer.noteString(name, value)
	}
	if e.JSON {
		e.jsonField(name, value)
		return
	}
	e.name(name, len(value))
	e.buf = append(e.buf, value...)
}

// Text adds an ext field whose value is built in a byte slice, as String does.
func (e *Encoder) Text(name string, value []byte) {
	if len(value) == 0 && !e.JSON {
		return
	}
	if e.signer != nil {
		e.signer.note(name, value)
	}
	if e.JSON {
		e.jsonField(name, string(value))
		return
	}
	e.name(name, len(value))
	e.buf = append(e.buf, value...)
}

// Int adds an ext field.
func (e *Encoder) Int(name string, value int64) {
	var digits [20]byte
	e.Text(name, strconv.AppendInt(digits[:0], value, 10))
}

// Bool adds an ext field.
func (e *Encoder) Bool(name string, value bool) {
	e.String(name, strconv.FormatBool(value))
}

// End completes the frame. A frame over [MaxFrame] is taken back and reported as [ErrTooLarge].
func (e *Encoder) End(body []byte) error {
	if e.signer != nil {
		e.sign(body)
	}
	if e.JSON {
		e.endJSON()
	} else {
		binary.BigEndian.PutUint32(e.buf[e.ext:], uint32(len(e.buf)-e.ext-4))
	}
	serialization := uint32(serializedBinary)
	if e.JSON {
		serialization = serializedJSON
	}
	header := len(e.buf) - e.frame - lengthSize - markSize
	total := len(e.buf) - e.frame + len(body)
	if total > MaxFrame {
		e.buf = e.buf[:e.frame]
		return ErrTooLarge
	}
	binary.BigEndian.PutUint32(e.buf[e.frame:], uint32(total-lengthSize))
	binary.BigEndian.PutUint32(e.buf[e.frame+lengthSize:], serialization<<24|uint32(header))
	e.buf = append(e.buf, body...)
	return nil
}

// opaqueAt returns where the current frame's opaque is in the buffer.
func (e *Encoder) opaqueAt() int {
	if e.JSON {
		return e.ext
	}
	return e.frame + binaryOpaque
}

// patchOpaque writes the opaque of a frame that was begun with opaque 0.
func patchOpaque(json bool, buf []byte, at int, opaque int32) {
	if json {
		patchOpaqueJSON(buf[at:], opaque)
		return
	}
	binary.BigEndian.PutUint32(buf[at:], uint32(opaque))
}
