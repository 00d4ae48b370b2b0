package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Ports come from below the range that the kernel gives to outgoing
// connections (32768 and up on Linux): a connection of somebody else must not
// take the port of a server that is down for a moment.
const (
	firstPort    = 21000
	lastPort     = 31999
	portsPerSlot = 4 // A broker takes four in a row: listenPort-2 … listenPort+1.
	slots        = (lastPort - firstPort + 1) / portsPerSlot
)

// portSlot is a run of four ports that no other user of this package takes
// while it is held, even if nothing listens on them just now.
type portSlot struct {
	first int
	lock  *fileLock
}

// reservePorts finds four free ports in a row and holds them.
func reservePorts() (*portSlot, error) {
	dir := filepath.Join(os.TempDir(), "outbox-relay-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make the folder of port locks: %w", err)
	}
	// The umask may have narrowed it; only the owner can widen it again.
	_ = os.Chmod(dir, 0o777) // Lock files of all users live here.
	start := rand.IntN(slots)
	for i := range slots {
		slot := (start + i) % slots
		first := firstPort + slot*portsPerSlot
		lock, err := tryLock(filepath.Join(dir, strconv.Itoa(first)))
		if err != nil {
			continue // Held, or another user's.
		}
		if portsFree(first) {
			return &portSlot{first: first, lock: lock}, nil
		}
		lock.unlock()
	}
	return nil, errors.New("no four free ports in a row between 21000 and 31999")
}

// portsFree reports whether nobody else listens on the slot's ports. It asks for
// all addresses because the broker's replication port listens on all of them.
func portsFree(first int) bool {
	for port := first; port < first+portsPerSlot; port++ {
		listener, err := net.Listen("tcp", ":"+strconv.Itoa(port)) //nolint:noctx // It does not wait.
		if err != nil {
			return false
		}
		_ = listener.Close()
	}
	return true
}

func (p *portSlot) release() { p.lock.unlock() }
