package rocketmq

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// A storedMessage is what is needed of a message that a broker returns: not its body, which stays where it is, compressed or
// not.
type storedMessage struct {
	topic       []byte
	queueID     int
	queueOffset int64
	born        time.Time
	stored      time.Time
	properties  []byte
}

var errStored = errors.New("malformed stored message")

// The parts of a stored message whose place does not depend on the addresses in it (MessageDecoder):
//
//	size 4 | magic 4 | crc 4 | queue 4 | flag 4 | queue offset 8 | log offset 8 | sysFlag 4 | born time 8 |
//	born host 8 or 20 | store time 8 | store host 8 or 20 | reconsumed 4 | prepared offset 8 |
//	body length 4, body | topic length 1 or 2, topic | properties length 2, properties
const (
	storedMagicAt   = 4
	storedQueueAt   = 12
	storedOffsetAt  = 20
	storedSysFlagAt = 36
	storedBornAt    = 40
	storedHostAt    = 48

	bornHostV6  = 1 << 4 // MessageSysFlag.BORNHOST_V6_FLAG
	storeHostV6 = 1 << 5 // MessageSysFlag.STOREHOSTADDRESS_V6_FLAG

	magicV2 = 0xdaa320ab // MessageDecoder.MESSAGE_MAGIC_CODE_V2: topic names over 127 bytes
)

// nextStored cuts the first message off body.
func nextStored(body []byte) (m storedMessage, rest []byte, err error) {
	if len(body) < storedHostAt {
		return m, nil, errStored
	}
	size := int64(int32(binary.BigEndian.Uint32(body)))
	if size < storedHostAt || size > int64(len(body)) {
		return m, nil, errStored
	}
	rest, msg := body[size:], body[:size]
	m.queueID = int(int32(binary.BigEndian.Uint32(msg[storedQueueAt:])))
	m.queueOffset = int64(binary.BigEndian.Uint64(msg[storedOffsetAt:]))
	m.born = time.UnixMilli(int64(binary.BigEndian.Uint64(msg[storedBornAt:])))
	sysFlag := binary.BigEndian.Uint32(msg[storedSysFlagAt:])
	at := storedHostAt + hostSize(sysFlag, bornHostV6)
	if at+8 > len(msg) {
		return m, nil, errStored
	}
	m.stored = time.UnixMilli(int64(binary.BigEndian.Uint64(msg[at:])))
	at += 8 + hostSize(sysFlag, storeHostV6) + 4 + 8
	lengths := []int{4, 1, 2} // of body, topic, properties
	if binary.BigEndian.Uint32(msg[storedMagicAt:]) == magicV2 {
		lengths[1] = 2
	}
	var parts [3][]byte
	for i, width := range lengths {
		if parts[i], at, err = part(msg, at, width); err != nil {
			return m, nil, err
		}
	}
	m.topic, m.properties = parts[1], parts[2]
	return m, rest, nil
}

func hostSize(sysFlag, v6 uint32) int {
	if sysFlag&v6 != 0 {
		return 16 + 4
	}
	return 4 + 4
}

// part returns the bytes at a position that begin with their own length, and the position after them.
func part(msg []byte, at, width int) ([]byte, int, error) {
	if at+width > len(msg) {
		return nil, 0, errStored
	}
	n := 0
	for _, b := range msg[at : at+width] {
		n = n<<8 | int(b)
	}
	at += width
	if n > len(msg)-at {
		return nil, 0, errStored
	}
	return msg[at : at+n], at + n, nil
}

// property returns a property of the message, nil if it has none of that name.
func (m *storedMessage) property(name string) []byte {
	for rest := m.properties; len(rest) > 0; {
		var item []byte
		item, rest, _ = bytes.Cut(rest, []byte{valueEnd})
		if k, v, ok := bytes.Cut(item, []byte{nameEnd}); ok && string(k) == name {
			return v
		}
	}
	return nil
}
