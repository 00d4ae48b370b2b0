package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/testcontainers/testcontainers-go"
)

// Engine is what the servers run in.
type Engine string

// The engines. Auto is Docker where an engine answers and the images can be had,
// and native processes otherwise.
const (
	EngineAuto   Engine = "auto"
	EngineDocker Engine = "docker"
	EngineNative Engine = "native"
)

func (o Options) engine() Engine {
	engine := o.Engine
	if engine == "" {
		engine = Engine(os.Getenv(EnvEngine))
	}
	if engine == "" {
		engine = EngineAuto
	}
	return engine
}

// useContainers chooses for the servers of some images. PostgreSQL and RocketMQ
// need not find each other; name server and broker are of one image and therefore
// of one kind.
func useContainers(ctx context.Context, opts Options, images ...string) (bool, error) {
	switch engine := opts.engine(); engine {
	case EngineNative:
		return false, nil
	case EngineDocker:
		if err := haveImages(ctx, opts, images); err != nil {
			return false, fmt.Errorf("OUTBOX_STACK asks for Docker: %w", err)
		}
		return true, nil
	case EngineAuto:
		docker := haveImages(ctx, opts, images)
		if docker == nil {
			return true, nil
		}
		opts.logger().LogAttrs(ctx, slog.LevelDebug, "not using Docker", slog.Any("error", docker))
		return false, nil
	default:
		return false, fmt.Errorf("OUTBOX_STACK is %q: want auto, docker or native", engine)
	}
}

// haveImages is nil if a Docker engine answers and has the images, which are
// pulled if need be, and that of testcontainers' own reaper, which removes the
// containers of a starter that was killed.
func haveImages(ctx context.Context, opts Options, images []string) (err error) {
	// testcontainers panics where it finds no engine at all.
	defer func() {
		if found := recover(); found != nil {
			err = fmt.Errorf("no Docker engine: %v", found)
		}
	}()
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(quiet{}))
	if err != nil {
		return fmt.Errorf("no Docker engine: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	defer provider.Close() //nolint:errcheck // Only idle connections.
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := provider.Health(asking); err != nil {
		return fmt.Errorf("the Docker engine does not answer: %w", err)
	}
	if !testcontainers.ReadConfig().Config.RyukDisabled {
		images = append(images, testcontainers.ReaperDefaultImage) //nolint:staticcheck // There is no other way to ask for it.
	}
	for _, image := range images {
		if err := haveImage(ctx, opts, provider, image); err != nil {
			return err
		}
	}
	return nil
}

func haveImage(ctx context.Context, opts Options, provider *testcontainers.DockerProvider, image string) error {
	if _, err := provider.Client().ImageInspect(ctx, image); err == nil {
		return nil
	}
	opts.logger().LogAttrs(ctx, slog.LevelInfo, "pulling the image, once", slog.String("image", image))
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("it took more than ten minutes"))
	defer cancel()
	if err := provider.PullImage(ctx, image); err != nil {
		return fmt.Errorf("pull %s: %w", image, err)
	}
	return nil
}

// quiet keeps the library's chatter out of the tests' output.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
