package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"
)

// nameServerLabel marks a broker's container with the address under which this
// machine reaches its name server.
const nameServerLabel = "outbox-relay.nameserver"

// insideNameServer is what brokers call the name server in their network.
const insideNameServer = "namesrv:9876"

// postgresImage is the official image; the published versions of the native way
// have a third number that it does not have.
func postgresImage(opts Options) string {
	if opts.PostgresVersion == "" && os.Getenv("OUTBOX_TEST_PG_VERSION") == "" {
		major, _, _ := strings.Cut(DefaultPostgresVersion, ".")
		return "postgres:" + major
	}
	return "postgres:" + strings.TrimSuffix(opts.postgresVersion(), ".0")
}

func rocketMQImage(opts Options) string { return "apache/rocketmq:" + opts.rocketMQVersion() }

func containerPostgres(ctx context.Context, opts Options) (*Server, error) {
	ports, err := reservePorts()
	if err != nil {
		return nil, err
	}
	command := []string{"postgres"}
	for name, value := range postgresSettings(opts) {
		command = append(command, "-c", name+"="+value)
	}
	run, err := newContainer(ctx, ports, postgresImage(opts),
		publish(map[int]int{5432: ports.first}),
		testcontainers.WithEnv(map[string]string{"POSTGRES_HOST_AUTH_METHOD": "trust"}),
		testcontainers.WithCmd(command...))
	if err != nil {
		ports.release()
		return nil, err
	}
	return serverIn(run, "PostgreSQL", ports.first, opts), nil
}

// errSecureContainer is the answer to Options.Secure in a container.
var errSecureContainer = errors.New("servers in containers are not secured: choose EngineNative")

func containerNameServer(ctx context.Context, opts Options) (*Server, error) {
	if opts.Secure != nil {
		return nil, errSecureContainer
	}
	ports, err := reservePorts()
	if err != nil {
		return nil, err
	}
	shared, err := tcnetwork.New(ctx)
	if err != nil {
		ports.release()
		return nil, fmt.Errorf("make a network: %w", err)
	}
	run, err := newContainer(ctx, ports, rocketMQImage(opts),
		publish(map[int]int{9876: ports.first}),
		tcnetwork.WithNetwork([]string{"namesrv"}, shared),
		testcontainers.WithEntrypoint(javaInImage("org.apache.rocketmq.namesrv.NamesrvStartup", opts, nameServerJVM()...)...))
	if err != nil {
		ports.release()
		return nil, errors.Join(err, shared.Remove(ctx))
	}
	run.network, run.owner = shared, true
	return serverIn(run, "name server", ports.first, opts), nil
}

func containerBroker(ctx context.Context, ns *NameServer, opts Options) (*Server, error) {
	beside, ok := ns.runner.(*contained)
	if !ok {
		return nil, errors.New("a broker in a container needs a name server in a container")
	}
	if opts.Secure != nil {
		return nil, errSecureContainer
	}
	if opts.FakeClock {
		return nil, errors.New("a broker in a container has no fake clock: choose EngineNative")
	}
	ports, err := reservePorts()
	if err != nil {
		return nil, err
	}
	port := opts.brokerPort(ports)
	const conf = "/home/rocketmq/broker.conf"
	config := merged(brokerConfig(opts), map[string]string{
		"namesrvAddr":      insideNameServer,
		"listenPort":       strconv.Itoa(port),
		"storePathRootDir": "/home/rocketmq/store",
	})
	env := map[string]string{}
	for _, variable := range opts.Env {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	java := javaInImage("org.apache.rocketmq.broker.BrokerStartup", opts, brokerJVM(opts)...)
	run, err := newContainer(ctx, ports, rocketMQImage(opts),
		publish(map[int]int{port: port, port - 2: port - 2}),
		tcnetwork.WithNetwork(nil, beside.network),
		testcontainers.WithEnv(env),
		testcontainers.WithLabels(map[string]string{nameServerLabel: ns.Addr}),
		testcontainers.WithFiles(testcontainers.ContainerFile{
			Reader:            strings.NewReader(propertyLines(merged(config, opts.BrokerConfig))),
			ContainerFilePath: conf, FileMode: 0o644,
		}),
		testcontainers.WithEntrypoint(append(java, "-c", conf)...))
	if err != nil {
		ports.release()
		return nil, err
	}
	run.network = beside.network
	return serverIn(run, "broker", port, opts), nil
}

// javaInImage runs a main class as the container's first process: the scripts in
// the image reserve a quarter of the machine's memory and do not pass SIGTERM on.
func javaInImage(class string, opts Options, flags ...string) []string {
	home := "/home/rocketmq/rocketmq-" + opts.rocketMQVersion()
	args := append([]string{"java", "-Drocketmq.home.dir=" + home}, flags...)
	return append(args, "-cp", home+"/conf:"+path.Join(home, "lib", "*"), class)
}

func serverIn(run *contained, name string, port int, opts Options) *Server {
	return &Server{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), name: name, runner: run, logger: opts.logger(),
	}
}

// adminInContainer runs mqadmin in a container of a broker that this package
// started, from where brokers and name server can be reached.
func adminInContainer(ctx context.Context, nameServer string, opts Options, args []string) (string, error) {
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(quiet{}))
	if err != nil {
		return "", fmt.Errorf("reach Docker: %w", err)
	}
	defer provider.Close() //nolint:errcheck // Only idle connections.
	found, err := provider.Client().ContainerList(ctx, client.ContainerListOptions{
		Filters: client.Filters{}.Add("label", nameServerLabel+"="+nameServer),
	})
	if err != nil {
		return "", fmt.Errorf("look for the broker's container: %w", err)
	}
	if len(found.Items) == 0 {
		return "", fmt.Errorf("no broker's container belongs to the name server %s", nameServer)
	}
	broker, err := provider.ContainerFromType(ctx, found.Items[0])
	if err != nil {
		return "", fmt.Errorf("open the broker's container: %w", err)
	}
	command := append(javaInImage(adminClass, opts, adminJVM()...), args...)
	status, output, err := broker.Exec(ctx, command, tcexec.Multiplexed(), tcexec.WithEnv([]string{"NAMESRV_ADDR=" + insideNameServer}))
	if err != nil {
		return "", fmt.Errorf("run mqadmin: %w", err)
	}
	all, err := io.ReadAll(output)
	if err == nil && status != 0 {
		err = fmt.Errorf("run mqadmin: exit status %d: %s", status, lastLines(string(all), 5))
	}
	return string(all), err
}
