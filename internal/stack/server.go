package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// runner is how one server runs: as a child process or in a container. Each
// start uses the same data and the same ports.
type runner interface {
	start(ctx context.Context) error
	stop(ctx context.Context) error
	kill() error
	pause() error
	resume() error
	// pid is 0 while the server does not run.
	pid() int
	// ended is nil while the server runs and otherwise says why not.
	ended() error
	log() string
	// close kills the server and removes all it wrote.
	close() error
}

var errRunning = errors.New("it is running already")

// Server is what PostgreSQL, the name server and the broker have in common. Its
// methods may be called from several goroutines, one after the other.
type Server struct {
	// Addr is host:port, and stays the same for the server's whole life.
	Addr string

	name   string
	runner runner
	// ready is nil once the server does its work.
	ready  func(ctx context.Context) error
	logger *slog.Logger
	mu     sync.Mutex
	closed bool
}

// startTimeout is generous for a loaded machine: natively PostgreSQL takes about
// one second, a name server two, a broker six.
const startTimeout = 3 * time.Minute

// Start starts a server that was stopped or killed, on the same data and port,
// and returns when it does its work.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("%s was not ready after %s", s.name, startTimeout))
	defer cancel()
	if s.closed {
		return fmt.Errorf("start %s: it was closed", s.name)
	}
	if err := s.runner.start(ctx); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	return s.awaitReady(ctx)
}

// Stop ends the server cleanly and keeps its data and port. A broker may take 20
// seconds.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.runner.stop(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	return nil
}

// Restart is Stop and Start.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Kill ends the server and its children by SIGKILL, returns when they are gone,
// and keeps data and port.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.runner.kill(); err != nil {
		return fmt.Errorf("kill %s: %w", s.name, err)
	}
	return nil
}

// Pause freezes the server and its children: connections stay open, the kernel
// still acknowledges, nobody answers.
func (s *Server) Pause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.runner.pause(); err != nil {
		return fmt.Errorf("pause %s: %w", s.name, err)
	}
	return nil
}

// Resume is the end of Pause.
func (s *Server) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.runner.resume(); err != nil {
		return fmt.Errorf("resume %s: %w", s.name, err)
	}
	return nil
}

// Close kills the server and removes its data; it cannot be started again. A
// second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.runner.close(); err != nil {
		return fmt.Errorf("close %s: %w", s.name, err)
	}
	return nil
}

// PID is the server's main process, 0 while it does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runner.pid()
}

// Log is what the server wrote to its standard output and error so far.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runner.log()
}

// startNew is Start for a server that nobody knows yet: if it fails, nothing of
// it is left.
func (s *Server) startNew(ctx context.Context) error {
	begin := time.Now()
	if err := s.Start(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "server started", slog.String("server", s.name),
		slog.String("addr", s.Addr), slog.Duration("took", time.Since(begin).Round(time.Millisecond)))
	return nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := s.ready(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if ended := s.runner.ended(); ended != nil {
			return fmt.Errorf("wait for %s: %w", s.name, ended)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", s.name, context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
