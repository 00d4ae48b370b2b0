package stack

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoTwoProcessesReserveTheSamePorts(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		taken = map[int]bool{}
		wait  sync.WaitGroup
	)
	for range 4 {
		wait.Go(func() {
			_, firsts := playOther(t, "reserve")
			mu.Lock()
			defer mu.Unlock()
			for _, first := range firsts {
				for port := first; port < first+portsPerSlot; port++ {
					if taken[port] {
						t.Errorf("port %d was given out twice", port)
					}
					taken[port] = true
				}
			}
		})
	}
	wait.Wait()
	require.Len(t, taken, 4*10*portsPerSlot)
}

func TestReservedPortIsFreeAndReleasedPortsComeBack(t *testing.T) {
	t.Parallel()
	ports, err := reservePorts()
	require.NoError(t, err)
	defer ports.release()
	require.Zero(t, (ports.first-firstPort)%portsPerSlot)
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(ports.first)) //nolint:noctx // It does not wait.
	require.NoError(t, err)
	require.False(t, portsFree(ports.first), "somebody listens there now")
	require.NoError(t, listener.Close())
	require.True(t, portsFree(ports.first))
}
