package remoting_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/rocketmq/remoting"
)

// response makes an answer as a frame.
func response(t testing.TB, asJSON bool, opaque int32, body []byte) []byte {
	t.Helper()
	e := remoting.Encoder{JSON: asJSON}
	e.Begin(0, remoting.FlagResponse, opaque, "remark")
	e.String("n", "1")
	require.NoError(t, e.End(body))
	return e.Bytes()
}

// jsonFrame makes a frame of a JSON header as it is given.
func jsonFrame(header string) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)))
	return append(binary.BigEndian.AppendUint32(frame, uint32(len(header))), header...)
}

// FuzzHostilePeer talks to a peer that says whatever it likes, before or after it has read what it was asked, and hangs up or
// falls silent. Each request is completed once, none as answered that was not, and the pool can be closed.
func FuzzHostilePeer(f *testing.F) {
	both := append(response(f, false, 0, nil), response(f, true, 1, []byte("body"))...)
	f.Add(false, false, both)
	f.Add(true, true, both)
	f.Add(false, true, append(response(f, false, 2, nil), response(f, false, 2, nil)...)) // twice
	f.Add(false, true, response(f, false, 1<<30, nil))                                    // never asked for
	f.Add(false, true, response(f, false, -1, nil))
	f.Add(false, false, []byte{0x7f, 0xff, 0xff, 0xff})
	f.Add(false, false, []byte{0x80, 0, 0, 0})
	f.Add(false, true, []byte{0, 0xff, 0xff, 0xfc, 1})
	f.Add(false, true, []byte{0, 0, 0, 8, 0, 0, 0, 200, 1, 2, 3, 4})
	f.Add(false, true, jsonFrame(`{"flag":1}`))
	f.Add(false, true, jsonFrame(`{"flag":1,"code":0,"opaque":4294967296}`))
	f.Add(false, true, jsonFrame(`{"flag":1,"code":null,"opaque":null}`))
	f.Add(false, true, jsonFrame(`{"flag":1,"code":"0","opaque":"0"}`))
	f.Fuzz(func(t *testing.T, atOnce, silent bool, says []byte) {
		synctest.Test(t, func(t *testing.T) {
			p, err := remoting.NewPool(remoting.Options{
				Probe: func(b *remoting.Batch) {
					b.Begin(probe)
					_ = b.End(nil)
				},
				Dial: func(context.Context, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go hostile(theirs, atOnce, silent, says)
					return ours, nil
				},
			})
			require.NoError(t, err)
			var completed [3]atomic.Int64
			b := p.Batch(len(completed), time.Second, func(i int, r remoting.Reply) {
				completed[i].Add(1)
				require.NotEqual(t, r.Err == nil, r.Response == nil)
				if r.Err == nil {
					require.True(t, r.Response.Response())
					_, _ = r.Response.Ext("n")
					_, _ = r.Response.ExtInt("n")
				}
			})
			for range completed {
				b.Begin(echo)
				b.String("n", "1")
				require.NoError(t, b.End([]byte("body")))
			}
			p.Submit("peer", b)
			<-b.Finished()
			p.Close()
			for i := range completed {
				require.EqualValues(t, 1, completed[i].Load(), "request %d", i)
			}
		})
	})
}

func hostile(c net.Conn, atOnce, silent bool, says []byte) {
	defer c.Close() //nolint:errcheck // whatever
	var asked atomic.Bool
	first := make(chan struct{})
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		buf := make([]byte, 1<<10)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if asked.CompareAndSwap(false, true) {
				close(first)
			}
		}
	}()
	if !atOnce {
		select {
		case <-first:
		case <-drained:
		}
	}
	_, err := c.Write(says)
	if err == nil && silent {
		<-drained // hangs up only when it is hung up on
	}
}
