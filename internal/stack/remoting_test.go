package stack

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

func encode(header, body string) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(header)))
	return append(append(frame, header...), body...)
}

func FuzzReadFrame(f *testing.F) {
	f.Add(encode(`{"code":17,"remark":"no"}`, "body"))
	f.Add(encode(`{"code":0,"language":"JAVA","extFields":null}`, ""))
	f.Add(encode(`{`, ""))
	f.Add([]byte{0, 0, 0, 3, 0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		header, body, err := readFrame(bytes.NewReader(input))
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(body), len(input)-8)
		require.True(t, bytes.Contains(input, body))
		_ = header
	})
}

func TestReadFrame(t *testing.T) {
	t.Parallel()
	header, body, err := readFrame(bytes.NewReader(encode(`{"code":17,"remark":"no"}`, "body")))
	require.NoError(t, err)
	require.Equal(t, frame{Code: 17, Remark: "no"}, header)
	require.Equal(t, "body", string(body))
	_, _, err = readFrame(bytes.NewReader(encode(`{"code":17}`, "body")[:12]))
	require.Error(t, err)
}
