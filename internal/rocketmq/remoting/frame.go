package remoting

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the largest frame a RocketMQ peer accepts, its length field included (NettyDecoder.FRAME_MAX_LENGTH). A peer
// that is sent a larger one closes the connection with everything in flight on it.
const MaxFrame = 16 << 20

// A frame is
//
//	length 4 | serialization 1, header length 3 | header | body
//
// where length counts everything after itself. The binary header is
//
//	code 2 | language 1 | version 2 | opaque 4 | flag 4 | remark length 4, remark | ext length 4, ext fields
//
// and an ext field is name length 2, name, value length 4, value.
const (
	lengthSize = 4
	markSize   = 4

	binaryOpaque = lengthSize + markSize + 2 + 1 + 2 // offset of opaque in a frame with a binary header
	binaryFixed  = 2 + 1 + 2 + 4 + 4                 // bytes of a binary header before the remark
)

// How a header is written. A peer answers in the serialization it was asked in.
const (
	serializedJSON   = 0
	serializedBinary = 1
)

// What we call ourselves in a header: client-go's language and version, which every 4.x and 5.x peer knows.
const (
	languageGo = 9
	version    = 317
)

// The bits of a header's flag.
const (
	FlagResponse = 1 << 0
	FlagOneway   = 1 << 1
)

// ErrMalformed means that a frame does not follow the protocol. The connection it came on cannot be used any further.
var ErrMalformed = errors.New("malformed frame")

// ErrTooLarge means that a request does not fit into [MaxFrame].
var ErrTooLarge = errors.New("frame over the 16 MiB limit of the protocol")

// keepBuffer is how large a buffer may be to be kept for the next frame or batch.
const keepBuffer = 1 << 20

// A FrameReader cuts a stream into frames.
type FrameReader struct {
	r   *bufio.Reader
	buf []byte
}

// NewFrameReader returns a reader of the frames of r.
func NewFrameReader(r io.Reader) *FrameReader {
	return &FrameReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// Next returns the next frame without its length field; it is valid until the next call. The error is [ErrMalformed] if the
// length is impossible, else what the stream returned.
func (f *FrameReader) Next() ([]byte, error) {
	head, err := f.r.Peek(lengthSize)
	if err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(head)))
	if n < markSize || n > MaxFrame-lengthSize {
		return nil, fmt.Errorf("%w: length %d", ErrMalformed, n)
	}
	if _, err := f.r.Discard(lengthSize); err != nil {
		return nil, err
	}
	if cap(f.buf) < n || cap(f.buf) > keepBuffer {
		f.buf = make([]byte, max(n, 4096))
	}
	frame := f.buf[:n]
	_, err = io.ReadFull(f.r, frame)
	return frame, err
}
