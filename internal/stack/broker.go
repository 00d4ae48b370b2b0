package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Broker is a running RocketMQ master.
type Broker struct {
	*Server
	// Name is the broker's name in the cluster.
	Name string
	// Advertised is where clients are sent to: Addr, or the proxy before it.
	Advertised string

	nameServer string
	// clock is the file that its clock obeys, nothing if the clock is true.
	clock string
}

// StartBroker starts an empty broker that registers at ns. It flushes each
// message to disk before it acknowledges it (flushDiskType=SYNC_FLUSH) and
// creates no topics by itself.
func StartBroker(ctx context.Context, ns *NameServer, opts Options) (*Broker, error) {
	container, err := useContainers(ctx, opts, rocketMQImage(opts))
	if err != nil {
		return nil, err
	}
	var server *Server
	if container {
		server, err = containerBroker(ctx, ns, opts)
	} else {
		server, err = nativeBroker(ctx, ns, opts)
	}
	if err != nil {
		return nil, err
	}
	b := &Broker{Server: server, Name: opts.brokerName(), nameServer: ns.Addr}
	_, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("address of the broker: %w", err), server.Close())
	}
	b.Advertised = net.JoinHostPort(opts.brokerIP(), port)
	if run, ok := server.runner.(*native); ok && opts.FakeClock {
		b.clock = run.dir.join(fakeClockFile)
	}
	server.ready = opts.Secure.ready(b.registered)
	if err := server.startNew(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// registered is nil once the broker answers and the name server sends clients
// to it.
func (b *Broker) registered(ctx context.Context) error {
	if _, err := call(ctx, b.Addr, getBrokerConfig, nil); err != nil {
		return err
	}
	cluster, err := clusterInfo(ctx, b.nameServer)
	if err != nil {
		return err
	}
	if !strings.Contains(cluster, `"`+b.Advertised+`"`) {
		return fmt.Errorf("the name server does not know the broker %s at %s yet", b.Name, b.Advertised)
	}
	return nil
}

// CreateTopic creates a topic on this broker; see [CreateTopic].
func (b *Broker) CreateTopic(ctx context.Context, name string, queues int, messageType string) error {
	return CreateTopic(ctx, b.nameServer, b.Addr, Topic{Name: name, Queues: queues, MessageType: messageType})
}

// errRuns is the answer to what may only be done to a broker that does not run.
var errRuns = errors.New("it runs")

// DeleteIndex removes the store's index, by which messages are found by key, from
// a native broker that was stopped or killed. A broker that was stopped in good
// order does not build it again from the commit log: messages of before can only
// be found by reading.
func (b *Broker) DeleteIndex() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	run, ok := b.runner.(*native)
	switch {
	case !ok:
		return fmt.Errorf("delete the index of %s: it is in a container", b.Name)
	case run.pid() != 0:
		return fmt.Errorf("delete the index of %s: %w", b.Name, errRuns)
	}
	if err := os.RemoveAll(run.dir.join("store", "index")); err != nil {
		return fmt.Errorf("delete the index of %s: %w", b.Name, err)
	}
	return nil
}

// clusterName is that of every broker that this package starts.
const clusterName = "outbox-relay"

// brokerConfig is the configuration that containers and processes share: small
// files, no topics out of thin air, synced to disk. The 4.x spelling of the
// file sizes is "maped"; a broker ignores the one that it does not know.
func brokerConfig(opts Options) map[string]string {
	return map[string]string{
		"brokerClusterName":          clusterName,
		"brokerName":                 opts.brokerName(),
		"brokerId":                   "0",
		"brokerRole":                 "ASYNC_MASTER",
		"brokerIP1":                  opts.brokerIP(),
		"brokerIP2":                  "127.0.0.1",
		"flushDiskType":              "SYNC_FLUSH",
		"autoCreateTopicEnable":      "false",
		"messageIndexSafe":           "true",
		"mappedFileSizeCommitLog":    "67108864",
		"mapedFileSizeCommitLog":     "67108864",
		"mappedFileSizeConsumeQueue": "60000",
		"mapedFileSizeConsumeQueue":  "60000",
		"maxHashSlotNum":             "50000",
		"maxIndexNum":                "200000",
		"mappedFileSizeTimerLog":     "1048576",
		"diskMaxUsedSpaceRatio":      "95",
	}
}

// brokerJVM keeps the broker small, and writable on a developer's disk that is
// nearly full (RocketMQ 5.3 refuses writes from 90 % on by default).
func brokerJVM(opts Options) []string {
	return append([]string{
		"-Xms256m", "-Xmx512m", "-XX:MaxDirectMemorySize=512m",
		"-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99",
		"-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98",
	}, append(opts.Secure.flags(), opts.JVM...)...)
}

// brokerPort leaves room for the ports beside it.
func (o Options) brokerPort(reserved *portSlot) int {
	if o.BrokerPort != 0 {
		return o.BrokerPort
	}
	return reserved.first + 2
}

// nativeBrokerConfig is what broker.conf says natively.
func nativeBrokerConfig(ns *NameServer, run *native, port int, opts Options) map[string]string {
	config := merged(merged(brokerConfig(opts), opts.Secure.brokerConfig()), map[string]string{
		"namesrvAddr":        ns.Addr,
		"listenPort":         strconv.Itoa(port),
		"bindAddress":        "127.0.0.1",
		"storePathRootDir":   run.dir.join("store"),
		"storePathCommitLog": run.dir.join("store", "commitlog"),
	})
	return merged(config, opts.BrokerConfig)
}

func nativeBroker(ctx context.Context, ns *NameServer, opts Options) (*Server, error) {
	run, java, jars, err := newJava(ctx, opts, "broker")
	if err != nil {
		return nil, err
	}
	port := opts.brokerPort(run.ports)
	conf := run.dir.join("broker.conf")
	if err := writeProperties(conf, nativeBrokerConfig(ns, run, port, opts)); err != nil {
		_ = run.close()
		return nil, err
	}
	args := javaArgs(jars, run.dir.path, "org.apache.rocketmq.broker.BrokerStartup", brokerJVM(opts)...)
	args = append(args, "-c", conf)
	environ := append(openJava(opts.rocketMQVersion()), opts.Env...)
	if opts.FakeClock {
		clock, err := fakeClock(run.dir)
		if err != nil {
			return nil, errors.Join(err, run.close())
		}
		environ = append(clock, environ...)
		run.gone = sweepFakeTime
	}
	run.quit = syscall.SIGTERM
	run.command = func() *exec.Cmd {
		cmd := exec.Command(java, args...) //nolint:noctx // It outlives the caller's context.
		if len(environ) > 0 {
			cmd.Env = append(cmd.Environ(), environ...)
		}
		return cmd
	}
	return &Server{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), name: "broker", runner: run, logger: opts.logger(),
	}, nil
}
