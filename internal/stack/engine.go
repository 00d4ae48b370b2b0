package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// useContainers chooses, and reports what is missing for the choice.
func useContainers(_ context.Context, opts Options) (bool, error) {
	engine := opts.Engine
	if engine == "" {
		engine = Engine(os.Getenv("OUTBOX_STACK"))
	}
	switch engine {
	case EngineDocker:
		return true, nil
	case EngineNative, EngineAuto, "":
		return false, checkPrerequisites(opts)
	default:
		return false, fmt.Errorf("OUTBOX_STACK is %q: want auto, docker or native", engine)
	}
}

var errNoContainers = errors.New("containers are not there yet")

func containerPostgres(context.Context, Options) (*Server, error)   { return nil, errNoContainers }
func containerNameServer(context.Context, Options) (*Server, error) { return nil, errNoContainers }
func containerBroker(context.Context, *NameServer, Options) (*Server, error) {
	return nil, errNoContainers
}
