package remoting

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// frameOf encodes one frame.
func frameOf(t testing.TB, asJSON bool, flag, opaque int32, remark string, fields [][2]string, body []byte) []byte {
	t.Helper()
	e := Encoder{JSON: asJSON}
	e.Begin(310, flag, opaque, remark)
	for _, f := range fields {
		e.String(f[0], f[1])
	}
	require.NoError(t, e.End(body))
	return e.Bytes()
}

func decodeAll(t testing.TB, stream []byte) []*Command {
	t.Helper()
	var all []*Command
	r := NewFrameReader(bytes.NewReader(stream))
	for {
		frame, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		var c Command
		require.NoError(t, c.Decode(frame))
		all = append(all, c.Clone())
	}
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	t.Parallel()
	for name, asJSON := range map[string]bool{"binary": false, "JSON": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Encoder{JSON: asJSON}
			for i := range int32(3) {
				e.Begin(37, FlagOneway, math.MaxInt32-i, "why \"not\"")
				e.String("topic", "orders")
				e.Text("i", []byte("KEYS\x01a b\x02TAGS\x01é\x02"))
				e.Int("commitLogOffset", math.MaxInt64)
				e.Bool("fromTransactionCheck", false)
				require.NoError(t, e.End([]byte{0, 1, 2, byte(i)}))
			}
			all := decodeAll(t, e.Bytes())
			require.Len(t, all, 3)
			for i, c := range all {
				require.Equal(t, 37, c.Code)
				require.Equal(t, int32(FlagOneway), c.Flag)
				require.Equal(t, int32(math.MaxInt32-i), c.Opaque)
				require.Equal(t, "why \"not\"", c.Remark())
				require.Equal(t, []byte{0, 1, 2, byte(i)}, c.Body)
				require.False(t, c.Response())
				text, ok := c.Ext("i")
				require.True(t, ok)
				require.Equal(t, "KEYS\x01a b\x02TAGS\x01é\x02", string(text))
				n, err := c.ExtInt("commitLogOffset")
				require.NoError(t, err)
				require.Equal(t, int64(math.MaxInt64), n)
				_, ok = c.Ext("none")
				require.False(t, ok)
				_, err = c.ExtInt("topic")
				require.ErrorContains(t, err, "topic")
				_, err = c.ExtInt("none")
				require.ErrorContains(t, err, "none")
			}
		})
	}
}

// The layout is RocketMQ's, byte for byte (RocketMQSerializable): what we decode ourselves might be wrong on both sides.
func TestBinaryLayout(t *testing.T) {
	t.Parallel()
	got := frameOf(t, false, 2, 7, "r", [][2]string{{"k", "val"}}, []byte("B"))
	want := []byte{
		0, 0, 0, 37, // length: 4 + 32 + 1
		1, 0, 0, 32, // binary, header of 32 bytes
		1, 54, // code 310
		9,     // Go
		1, 61, // version 317
		0, 0, 0, 7, // opaque
		0, 0, 0, 2, // flag
		0, 0, 0, 1, 'r',
		0, 0, 0, 10, // ext fields
		0, 1, 'k', 0, 0, 0, 3, 'v', 'a', 'l',
		'B',
	}
	require.Equal(t, want, got)
}

func TestJSONHeaderIsJSON(t *testing.T) {
	t.Parallel()
	got := frameOf(t, true, 0, 1234567890, "", [][2]string{{"a", "\x01\"\\\xff"}, {"b", "ü"}}, nil)
	n := binary.BigEndian.Uint32(got[4:])
	require.Equal(t, uint32(len(got)-8), n, "serialization 0 and the header's length")
	var header struct {
		Code, Opaque, Version int
		Language              string
		ExtFields             map[string]string
	}
	require.NoError(t, json.Unmarshal(got[8:], &header))
	require.Equal(t, 310, header.Code)
	require.Equal(t, 1234567890, header.Opaque)
	require.Equal(t, "GO", header.Language)
	require.Equal(t, map[string]string{"a": "\x01\"\\\uFFFD", "b": "ü"}, header.ExtFields)
}

// An opaque is written into a finished frame, when the connection is known.
func TestOpaqueIsPatched(t *testing.T) {
	t.Parallel()
	for _, asJSON := range []bool{false, true} {
		for _, opaque := range []int32{0, 1, 42, math.MaxInt32} {
			e := Encoder{JSON: asJSON}
			e.Begin(1, 0, 0, "")
			at := e.opaqueAt()
			require.NoError(t, e.End(nil))
			patchOpaque(asJSON, e.buf, at, opaque)
			require.Equal(t, opaque, decodeAll(t, e.Bytes())[0].Opaque)
		}
	}
}

func TestFrameOverTheLimitIsTakenBack(t *testing.T) {
	t.Parallel()
	var e Encoder
	e.Begin(1, 0, 0, "")
	require.NoError(t, e.End(nil))
	empty := len(e.Bytes())
	e.Begin(1, 0, 0, "")
	require.ErrorIs(t, e.End(make([]byte, MaxFrame-empty+1)), ErrTooLarge)
	require.Len(t, e.Bytes(), empty)
	e.Begin(1, 0, 0, "")
	require.NoError(t, e.End(make([]byte, MaxFrame-empty)))
	require.Len(t, decodeAll(t, e.Bytes()), 2)
}

func jsonHeader(header string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(header))), header...)
}

func TestHostileFramesAreErrors(t *testing.T) {
	t.Parallel()
	binaryHeader := func(change func(b []byte)) []byte {
		f := frameOf(t, false, 1, 1, "r", [][2]string{{"k", "v"}}, nil)[4:]
		change(f)
		return f
	}
	put := func(at int, v uint32) func([]byte) { return func(b []byte) { binary.BigEndian.PutUint32(b[at:], v) } }
	remarkAt := markSize + binaryFixed
	for name, frame := range map[string][]byte{
		"empty":                   {},
		"short mark":              {1, 0, 0},
		"header beyond the frame": {1, 0, 0, 200, 1, 2, 3},
		"short header":            {1, 0, 0, 3, 1, 2, 3},
		"serialization 7":         {7, 0, 0, 0},
		"negative remark":         binaryHeader(put(remarkAt, 0xffffffff)),
		"long remark":             binaryHeader(put(remarkAt, 0x7fffffff)),
		"negative ext":            binaryHeader(put(remarkAt+5, 0x80000000)),
		"long ext":                binaryHeader(put(remarkAt+5, 0x00ffffff)),
		"name beyond ext":         binaryHeader(func(b []byte) { b[remarkAt+9] = 0x7f }),
		"negative name":           binaryHeader(func(b []byte) { b[remarkAt+9] = 0xff }),
		"value beyond ext":        binaryHeader(func(b []byte) { b[remarkAt+15] = 0x7f }),
		"no JSON":                 append([]byte{0, 0, 0, 3}, "{x}"...),
		"JSON, no object":         append([]byte{0, 0, 0, 4}, "null"...),
		"JSON without a code":     jsonHeader(`{"flag":1,"opaque":1}`),
		"JSON without an opaque":  jsonHeader(`{"flag":1,"code":0}`),
		"code null":               jsonHeader(`{"flag":1,"code":null,"opaque":1}`),
		"opaque as text":          jsonHeader(`{"flag":1,"code":0,"opaque":"1"}`),
		"opaque over 32 bits":     jsonHeader(`{"flag":1,"code":0,"opaque":4294967297}`),
		"broken opaque":           jsonHeader(`{"flag":1,"code":0,"opaque":1.5}`),
		"cut JSON":                append([]byte{0, 0, 0, 9}, `{"code":1`...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c Command
			require.ErrorIs(t, c.Decode(frame), ErrMalformed)
		})
	}
}

func TestImpossibleLengthsAreErrors(t *testing.T) {
	t.Parallel()
	for _, n := range []uint32{0, 3, MaxFrame - 3, 0x7fffffff, 0x80000000, 0xffffffff} {
		r := NewFrameReader(bytes.NewReader(binary.BigEndian.AppendUint32(nil, n)))
		_, err := r.Next()
		require.ErrorIs(t, err, ErrMalformed, n)
	}
	_, err := NewFrameReader(strings.NewReader("\x00\x00")).Next()
	require.ErrorIs(t, err, io.EOF)
	_, err = NewFrameReader(strings.NewReader("\x00\x00\x00\x08abc")).Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// What Java answers with a JSON header: nulls, and numbers as text in extFields.
func TestJSONAnswer(t *testing.T) {
	t.Parallel()
	header := `{"code":12,"extFields":{"queueOffset":"5","msgId":"7F","n":null},"flag":1,"language":"JAVA","opaque":9,"remark":null,` +
		`"serializeTypeCurrentRPC":"JSON","version":495}`
	var c Command
	require.NoError(t, c.Decode(append(binary.BigEndian.AppendUint32(nil, uint32(len(header))), header+"body"...)))
	require.True(t, c.Response())
	require.Equal(t, 12, c.Code)
	require.Equal(t, int32(9), c.Opaque)
	require.Empty(t, c.Remark())
	require.Equal(t, "body", string(c.Body))
	n, err := c.ExtInt("queueOffset")
	require.NoError(t, err)
	require.Equal(t, int64(5), n)
}

func FuzzDecode(f *testing.F) {
	for _, asJSON := range []bool{false, true} {
		f.Add(frameOf(f, asJSON, 1, 77, "remark", [][2]string{{"msgId", "7F0000010000"}, {"queueOffset", "1"}}, []byte("body"))[4:])
		f.Add(frameOf(f, asJSON, 0, 0, "", nil, nil)[4:])
	}
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 200, 1, 2, 3})
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var c Command
		if err := c.Decode(frame); err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		_, _ = c.Ext("msgId")
		_, _ = c.ExtInt("queueOffset")
		d := c.Clone()
		require.Equal(t, c.Remark(), d.Remark())
		require.Len(t, d.Body, len(c.Body))
	})
}

func FuzzStream(f *testing.F) {
	f.Add(append(frameOf(f, false, 1, 1, "", nil, nil), frameOf(f, true, 1, 2, "", nil, []byte("b"))...))
	f.Add([]byte{0, 0, 0, 3, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewFrameReader(bytes.NewReader(stream))
		for {
			frame, err := r.Next()
			if err != nil {
				return
			}
			var c Command
			_ = c.Decode(frame)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(false, int16(310), int32(1), "remark", "name", "value", []byte("body"))
	f.Add(true, int16(-1), int32(0), "\x00\"", "é", "\u2028\xff", []byte(nil))
	f.Fuzz(func(t *testing.T, asJSON bool, code int16, opaque int32, remark, name, value string, body []byte) {
		if opaque < 0 || len(name) > math.MaxInt16 {
			t.Skip()
		}
		e := Encoder{JSON: asJSON}
		e.Begin(int(code), FlagResponse, opaque, remark)
		e.String(name, value)
		require.NoError(t, e.End(body))
		c := decodeAll(t, e.Bytes())[0]
		require.Equal(t, int(code), c.Code)
		require.Equal(t, opaque, c.Opaque)
		require.Equal(t, string(body), string(c.Body))
		if asJSON && (!utf8.ValidString(remark) || !utf8.ValidString(name) || !utf8.ValidString(value)) {
			return // JSON has no other strings
		}
		require.Equal(t, remark, c.Remark())
		got, ok := c.Ext(name)
		require.True(t, ok)
		require.Equal(t, value, string(got))
	})
}
