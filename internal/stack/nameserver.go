package stack

import (
	"context"
	"net"
	"os/exec"
	"strconv"
	"syscall"
)

// NameServer is a running RocketMQ name server.
type NameServer struct {
	*Server
}

// StartNameServer starts a name server.
func StartNameServer(ctx context.Context, opts Options) (*NameServer, error) {
	container, err := useContainers(ctx, opts, rocketMQImage(opts))
	if err != nil {
		return nil, err
	}
	var server *Server
	if container {
		server, err = containerNameServer(ctx, opts)
	} else {
		server, err = nativeNameServer(ctx, opts)
	}
	if err != nil {
		return nil, err
	}
	server.ready = opts.Secure.ready(func(ctx context.Context) error {
		_, err := clusterInfo(ctx, server.Addr)
		return err
	})
	if err := server.startNew(ctx); err != nil {
		return nil, err
	}
	return &NameServer{Server: server}, nil
}

// nameServerJVM keeps the name server small and its start short.
func nameServerJVM() []string {
	return []string{"-Xms64m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
}

func nativeNameServer(ctx context.Context, opts Options) (*Server, error) {
	run, java, jars, err := newJava(ctx, opts, "namesrv")
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(run.ports.first)
	conf := run.dir.join("namesrv.conf")
	err = writeProperties(conf, map[string]string{"listenPort": port, "bindAddress": "127.0.0.1"})
	if err != nil {
		_ = run.close()
		return nil, err
	}
	args := javaArgs(jars, run.dir.path, "org.apache.rocketmq.namesrv.NamesrvStartup", append(nameServerJVM(), opts.Secure.flags()...)...)
	args = append(args, "-c", conf)
	run.quit = syscall.SIGTERM
	run.command = func() *exec.Cmd {
		return exec.Command(java, args...) //nolint:noctx // It outlives the caller's context.
	}
	return &Server{
		Addr: net.JoinHostPort("127.0.0.1", port), name: "name server", runner: run, logger: opts.logger(),
	}, nil
}
