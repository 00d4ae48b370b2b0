package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// ProxyMode is how a proxy reaches brokers.
type ProxyMode string

// The modes.
const (
	// ProxyCluster: it stands before the brokers that a name server knows.
	ProxyCluster ProxyMode = "cluster"
	// ProxyLocal: it has a broker in it.
	ProxyLocal ProxyMode = "local"
)

// RocketMQProxy is a running RocketMQ 5 proxy. Its Addr is the port for remoting
// clients, which take it for their name server.
type RocketMQProxy struct {
	*Server
	// Broker is that of a proxy in local mode, at its own address; else nil.
	Broker *Broker
}

// StartProxy starts a proxy natively, without authentication. In local mode the
// options are those of its broker.
func StartProxy(ctx context.Context, ns *NameServer, mode ProxyMode, opts Options) (*RocketMQProxy, error) {
	if _, ok := ns.runner.(*native); !ok {
		return nil, errors.New("start a proxy: the name server is in a container: choose EngineNative")
	}
	p, err := nativeProxy(ctx, ns, mode, opts)
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p.ready = func(ctx context.Context) error {
		if !strings.Contains(p.runner.log(), "rocketmq-proxy startup successfully") {
			return errors.New("it has not said yet that it is up")
		}
		if p.Broker != nil {
			return p.Broker.registered(ctx)
		}
		// It answers from then on, be it that there is no such topic.
		_, _, err := exchange(ctx, p.Addr, getRouteByTopic, map[string]string{"topic": "TBW102"})
		return err
	}
	if err := p.startNew(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func nativeProxy(ctx context.Context, ns *NameServer, mode ProxyMode, opts Options) (*RocketMQProxy, error) {
	run, java, jars, err := newJavaFrom(ctx, opts, "proxy", proxyJars)
	if err != nil {
		return nil, err
	}
	gate, err := reservePorts() // run's own are the broker's
	if err != nil {
		return nil, errors.Join(err, run.close())
	}
	remoting, broker := gate.first, opts.brokerPort(run.ports)
	server := &Server{Addr: local(remoting), name: "proxy", runner: &twoSlots{native: run, second: gate}, logger: opts.logger()}
	p := &RocketMQProxy{Server: server}
	args := javaArgs(jars, run.dir.path, "org.apache.rocketmq.proxy.ProxyStartup", brokerJVM(opts)...)
	args = append(args, "-n", ns.Addr, "-pm", string(mode), "-pc", run.dir.join("proxy.json"))
	if mode == ProxyLocal {
		p.Broker = &Broker{
			Server: &Server{Addr: local(broker), name: "broker", runner: run, logger: opts.logger()},
			Name:   opts.brokerName(), Advertised: local(broker), nameServer: ns.Addr,
		}
		conf := run.dir.join("broker.conf")
		if err := writeProperties(conf, nativeBrokerConfig(ns, run, broker, opts)); err != nil {
			return nil, errors.Join(err, server.runner.close())
		}
		args = append(args, "-bc", conf)
	}
	if err := writeProxyConfig(run.dir.join("proxy.json"), remoting, gate.first+1); err != nil {
		return nil, errors.Join(err, server.runner.close())
	}
	run.quit = syscall.SIGTERM
	run.command = func() *exec.Cmd {
		return exec.Command(java, args...) //nolint:noctx // It outlives the caller's context.
	}
	return p, nil
}

// writeProxyConfig leaves everything at its default but names and ports: the
// proxy's ports listen on every address.
func writeProxyConfig(path string, remoting, grpc int) error {
	config, err := json.Marshal(map[string]any{
		"rocketMQClusterName": clusterName, "localServeAddr": "127.0.0.1",
		"remotingAccessAddr": "127.0.0.1", "remotingListenPort": remoting, "grpcServerPort": grpc,
	})
	if err == nil {
		err = os.WriteFile(path, config, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the configuration of the proxy: %w", err)
	}
	return nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// twoSlots is a native server that has a second run of ports.
type twoSlots struct {
	*native
	second *portSlot
}

func (t *twoSlots) close() error {
	defer t.second.release()
	return t.native.close()
}
