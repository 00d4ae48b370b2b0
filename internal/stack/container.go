package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// contained runs a server in a container whose ports are published on the same
// ports of 127.0.0.1 on every start.
type contained struct {
	container *testcontainers.DockerContainer
	engine    client.APIClient
	ports     *portSlot
	// network is what the name server shares with its brokers.
	network *testcontainers.DockerNetwork
	// owner removes the network when it is closed.
	owner bool
}

var _ runner = (*contained)(nil)

// newContainer makes a container without starting it.
func newContainer(ctx context.Context, ports *portSlot, image string, with ...testcontainers.ContainerCustomizer) (*contained, error) {
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(quiet{}))
	if err != nil {
		return nil, fmt.Errorf("reach Docker: %w", err)
	}
	with = append(with, testcontainers.WithNoStart(), testcontainers.WithLogger(quiet{}))
	created, err := testcontainers.Run(ctx, image, with...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create a container of %s: %w", image, err),
			testcontainers.TerminateContainer(created), provider.Close())
	}
	return &contained{container: created, engine: provider.Client(), ports: ports}, nil
}

// publish maps ports of the container to ports of 127.0.0.1.
func publish(hostPorts map[int]int) testcontainers.CustomizeRequestOption {
	return func(req *testcontainers.GenericContainerRequest) error {
		bindings := network.PortMap{}
		for inside, outside := range hostPorts {
			port, err := network.ParsePort(strconv.Itoa(inside) + "/tcp")
			if err != nil {
				return fmt.Errorf("publish port %d: %w", inside, err)
			}
			req.ExposedPorts = append(req.ExposedPorts, port.String())
			bindings[port] = []network.PortBinding{{
				HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: strconv.Itoa(outside),
			}}
		}
		return testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
			host.PortBindings = bindings
		})(req)
	}
}

func (c *contained) start(ctx context.Context) error {
	if c.pid() != 0 {
		return errRunning
	}
	return c.container.Start(ctx)
}

func (c *contained) stop(ctx context.Context) error {
	patience := 40 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	return c.container.Stop(ctx, &patience)
}

func (c *contained) kill() error {
	return c.do(func(ctx context.Context) error {
		if c.pid() == 0 {
			return nil
		}
		if _, err := c.engine.ContainerKill(ctx, c.id(), client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
			return err
		}
		gone := c.engine.ContainerWait(ctx, c.id(), client.ContainerWaitOptions{})
		select {
		case <-gone.Result:
			return nil
		case err := <-gone.Error:
			return err
		}
	})
}

func (c *contained) pause() error {
	return c.do(func(ctx context.Context) error {
		_, err := c.engine.ContainerPause(ctx, c.id(), client.ContainerPauseOptions{})
		return err
	})
}

func (c *contained) resume() error {
	return c.do(func(ctx context.Context) error {
		_, err := c.engine.ContainerUnpause(ctx, c.id(), client.ContainerUnpauseOptions{})
		return err
	})
}

// pid is the process as the host sees it (inside a virtual machine, on a Mac).
func (c *contained) pid() int {
	state, err := c.state()
	if err != nil || !state.Running {
		return 0
	}
	return state.Pid
}

func (c *contained) ended() error {
	state, err := c.state()
	switch {
	case err != nil:
		return err
	case state.Running:
		return nil
	}
	return fmt.Errorf("its container is %s (exit status %d): %s", state.Status, state.ExitCode, lastLines(c.log(), 8))
}

func (c *contained) log() (content string) {
	err := c.do(func(ctx context.Context) error {
		reader, err := c.container.Logs(ctx)
		if err != nil {
			return err
		}
		defer reader.Close() //nolint:errcheck // Only read.
		all, err := io.ReadAll(reader)
		content = string(all)
		return err
	})
	if err != nil {
		return err.Error()
	}
	return content
}

func (c *contained) close() error {
	err := c.do(func(ctx context.Context) error {
		return c.container.Terminate(ctx, testcontainers.StopTimeout(0))
	})
	if c.owner {
		err = errors.Join(err, c.do(c.network.Remove))
	}
	c.ports.release()
	return errors.Join(err, c.engine.Close())
}

func (c *contained) state() (state *container.State, err error) {
	err = c.do(func(ctx context.Context) error {
		state, err = c.container.State(ctx)
		return err
	})
	return state, err
}

// do bounds what the engine does for callers who have no context.
func (c *contained) do(act func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute, errors.New("waited for Docker for a minute"))
	defer cancel()
	return act(ctx)
}

func (c *contained) id() string { return c.container.GetContainerID() }
