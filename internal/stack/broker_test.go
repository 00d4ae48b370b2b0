package stack

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBrokerOptions(t *testing.T) {
	t.Parallel()
	ports, err := reservePorts()
	require.NoError(t, err)
	defer ports.release()
	ns, b := newBroker(t, Options{
		BrokerPort:   ports.first + 2,
		BrokerName:   "broker-chosen",
		BrokerConfig: map[string]string{"flushDiskType": "ASYNC_FLUSH", "brokerIP2": "127.0.0.9"},
		JVM:          []string{"-Dchosen.by=test"},
	})
	require.Equal(t, "127.0.0.1:"+strconv.Itoa(ports.first+2), b.Addr)
	config, err := call(t.Context(), b.Addr, getBrokerConfig, nil)
	require.NoError(t, err)
	for _, line := range []string{"flushDiskType=ASYNC_FLUSH\n", "brokerIP2=127.0.0.9\n", "brokerName=broker-chosen\n"} {
		require.Contains(t, string(config), line)
	}
	listed, err := Admin(t.Context(), ns.Addr, Options{}, "clusterList")
	require.NoError(t, err)
	require.Contains(t, listed, "broker-chosen")
	require.Contains(t, listed, b.Addr)

	_, err = Admin(t.Context(), ns.Addr, Options{}, "clusterList", "--no-such-option")
	require.ErrorContains(t, err, "run mqadmin: exit status 1")

	err = b.CreateTopic(t.Context(), "no spaces", 1, "TRANSACTION")
	require.ErrorContains(t, err, "create topic no spaces")
	err = b.CreateTopic(t.Context(), "mixed", 1, "NONSENSE")
	require.ErrorContains(t, err, "value is not in set")

	requireLoopbackOnly(t, ns.Addr, b.Addr)
}

// requireLoopbackOnly leaves out the broker's replication port, which RocketMQ
// opens on every address.
func requireLoopbackOnly(t *testing.T, addresses ...string) {
	t.Helper()
	outside := outsideAddress(t)
	for _, addr := range addresses {
		_, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		_, err = net.Dial("tcp", net.JoinHostPort(outside, port)) //nolint:noctx // It is refused at once.
		require.ErrorContains(t, err, "refused", addr)
	}
}

func TestBrokerThatCannotStartShowsItsLog(t *testing.T) {
	t.Parallel()
	ns, err := StartNameServer(t.Context(), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ns.Close()) })
	dir := passableDir(t)
	_, err = StartBroker(t.Context(), ns, Options{Dir: dir, JVM: []string{"-XX:NoSuchFlag"}})
	require.ErrorContains(t, err, "NoSuchFlag")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// outsideAddress is an address of this machine that is not 127.0.0.1.
func outsideAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, address := range addresses {
		if ip, ok := address.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	return "127.0.0.2" // No network at all; every address in 127/8 is ours.
}

func TestPropertiesAreEscapedAndSorted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "broker.conf")
	base := map[string]string{"b": `C:\store`, "a": "1"}
	require.NoError(t, writeProperties(path, merged(base, map[string]string{"a": "2", "c": "x=y"})))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "a=2\nb=C:\\\\store\nc=x=y\n", string(content))
	require.Equal(t, "1", base["a"], "the defaults stay as they are")
}
