package remoting

import (
	"strconv"
	"unicode/utf8"
)

// opaqueDigits is the room kept for an opaque in a JSON header, so that it can be written when the connection is known.
// JSON allows blanks before a number.
const opaqueDigits = 10

func (e *Encoder) beginJSON(code int, flag, opaque int32, remark string) {
	e.buf = append(e.buf, `{"code":`...)
	e.buf = strconv.AppendInt(e.buf, int64(code), 10)
	e.buf = append(e.buf, `,"language":"GO","version":`...)
	e.buf = strconv.AppendInt(e.buf, version, 10)
	e.buf = append(e.buf, `,"opaque":`...)
	e.ext = len(e.buf)
	e.buf = append(e.buf, "          "...)
	patchOpaqueJSON(e.buf[e.ext:], opaque)
	e.buf = append(e.buf, `,"flag":`...)
	e.buf = strconv.AppendInt(e.buf, int64(flag), 10)
	e.buf = append(e.buf, `,"serializeTypeCurrentRPC":"JSON"`...)
	if remark != "" {
		e.buf = append(e.buf, `,"remark":`...)
		e.buf = appendJSONString(e.buf, remark)
	}
	e.buf = append(e.buf, `,"extFields":{`...)
}

func (e *Encoder) jsonField(name, value string) {
	if e.fields > 0 {
		e.buf = append(e.buf, ',')
	}
	e.fields++
	e.buf = appendJSONString(e.buf, name)
	e.buf = append(e.buf, ':')
	e.buf = appendJSONString(e.buf, value)
}

func (e *Encoder) endJSON() { e.buf = append(e.buf, "}}"...) }

// patchOpaqueJSON writes a non-negative opaque right-aligned into the room kept for it.
func patchOpaqueJSON(room []byte, opaque int32) {
	v := uint32(opaque) & 0x7fffffff
	for i := opaqueDigits - 1; i >= 0; i-- {
		switch {
		case v > 0 || i == opaqueDigits-1:
			room[i] = byte('0' + v%10)
		default:
			room[i] = ' '
		}
		v /= 10
	}
}

// appendJSONString quotes s. Bytes that are not UTF-8 become U+FFFD, as they would in the peer's decoder.
func appendJSONString(buf []byte, s string) []byte {
	const hex = "0123456789abcdef"
	buf = append(buf, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			buf = append(buf, '\\', c)
			i++
		case c < 0x20:
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			buf = append(buf, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			buf = utf8.AppendRune(buf, r)
			i += n
		}
	}
	return append(buf, '"')
}
