package remoting

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An answer to a half as RocketMQ 5.3 gives it: in JSON, whatever the request was written in, because it is sent from another thread.
const jsonAnswer = `{"code":0,"extFields":{"MSG_REGION":"DefaultRegion","msgId":"7F00000100002A9F0000000000028E68","queueId":"3",` +
	`"queueOffset":"4711","TRACE_ON":"true","transactionId":"5F9B1C"},"flag":1,"language":"JAVA","opaque":77,"serializeTypeCurrentRPC":"JSON","version":475}`

func jsonFrame(header string) []byte {
	return append([]byte{0, byte(len(header) >> 16), byte(len(header) >> 8), byte(len(header))}, header...)
}

func BenchmarkDecodeJSON(b *testing.B) {
	frame := jsonFrame(jsonAnswer)
	var c Command
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Decode(frame); err != nil {
			b.Fatal(err)
		}
		_, _ = c.ExtInt("queueOffset")
		_, _ = c.Ext("msgId")
	}
}

// What an answer costs of allocations is held to: there is one for every half, and they come in JSON.
func TestAllocationsOfAnAnswer(t *testing.T) {
	frame := jsonFrame(jsonAnswer)
	var c Command
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = c.Decode(frame)
		_, _ = c.ExtInt("queueOffset")
		_, _ = c.Ext("msgId")
	}))
	require.Equal(t, 77, int(c.Opaque))
}
