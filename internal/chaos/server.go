package chaos

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"

	"github.com/outbox-relay/outbox-relay/internal/chaos/proxy"
	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// proxyHost is what a broker advertises: it listens on 127.0.0.1, and its proxy on the same port of this address.
const proxyHost = "127.0.0.2"

// brokerSettings make a doubt take seconds, and a half message that nobody finishes disappear after about nine: the first
// check comes after a second, then transactionCheckMax of them. transactionTimeOut is the relays' window.
func brokerSettings() map[string]string {
	settings := stack.FastTransactions()
	settings["transactionCheckMax"] = "15"
	settings["transactionTimeOut"] = "3000"
	settings["flushDiskType"] = "SYNC_FLUSH"
	settings["registerNameServerPeriod"] = "10000" // the shortest there is: how soon a restarted name server knows the broker
	return settings
}

func (w *World) serverOptions() stack.Options {
	return stack.Options{Engine: stack.EngineNative, Dir: w.dir, Logger: w.log, BrokerConfig: brokerSettings(), BrokerIP: proxyHost}
}

// startServers starts them as processes: the faults stop them by signals and delete their files.
func (w *World) startServers(ctx context.Context) error {
	opts := w.serverOptions()
	opts.FakeClock = true
	servers, err := stack.Start(ctx, opts)
	if missing := (*stack.MissingError)(nil); errors.As(err, &missing) && slices.Equal(missing.What, []stack.Prerequisite{stack.FakeTime}) {
		w.log.LogAttrs(ctx, slog.LevelWarn, "the broker's clock cannot be set: libfaketime is not installed")
		opts.FakeClock = false
		servers, err = stack.Start(ctx, opts)
	}
	if err != nil {
		return err
	}
	w.servers, w.fakeClock = servers, opts.FakeClock
	w.postgres, w.nameServer, w.broker = servers.Postgres, servers.NameServer, servers.Broker
	w.database.Store(&w.postgres.Addr)
	w.topic.masters = []*stack.Broker{w.broker}
	return w.broker.CreateTopic(ctx, topic, queues, "TRANSACTION")
}

// startSecond starts another broker with queues of the topic.
func (w *World) startSecond(ctx context.Context, seed uint64) (err error) {
	opts := w.serverOptions()
	opts.BrokerName = "broker-b"
	if w.second, err = stack.StartBroker(ctx, w.nameServer, opts); err != nil {
		return err
	}
	w.topic.masters = append(w.topic.masters, w.second)
	if err := w.second.CreateTopic(ctx, topic, queues, "TRANSACTION"); err != nil {
		return err
	}
	_, err = w.brokerProxy(w.second, seed)
	return err
}

// makeLines puts a network that can fail between the relays and their servers.
func (w *World) makeLines(seed uint64) (err error) {
	if w.brokerLine, err = w.brokerProxy(w.broker, seed); err != nil {
		return err
	}
	anyPort := net.JoinHostPort(proxyHost, "0")
	w.nameServerLine, err = w.keep(proxy.RocketMQ(proxy.Options{Listen: anyPort, Upstream: w.nameServer.Addr, Seed: seed}))
	if err != nil {
		return err
	}
	w.databaseLine, err = w.keep(proxy.Postgres(proxy.Options{Listen: anyPort, Upstream: w.postgres.Addr, Seed: seed}))
	return err
}

func (w *World) brokerProxy(b *stack.Broker, seed uint64) (*proxy.Proxy, error) {
	return w.keep(proxy.RocketMQ(proxy.Options{Listen: b.Advertised, Upstream: b.Addr, Seed: seed}))
}

// keep remembers what is to be closed.
func (w *World) keep(p *proxy.Proxy, err error) (*proxy.Proxy, error) {
	if err == nil {
		w.lines = append(w.lines, p)
	}
	return p, err
}
