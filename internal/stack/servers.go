package stack

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// Servers are one PostgreSQL and one RocketMQ cluster.
type Servers struct {
	Postgres   *Postgres
	NameServer *NameServer
	Broker     *Broker

	engine Engine
}

// Start starts them all, in parallel where they do not need each other; if one
// fails, none is left running.
func Start(ctx context.Context, opts Options) (*Servers, error) {
	container, err := useContainers(ctx, opts, postgresImage(opts), rocketMQImage(opts))
	if err != nil {
		return nil, err
	}
	opts.Engine = EngineDocker
	if !container {
		opts.Engine = EngineNative
		if err := checkPrerequisites(opts); err != nil {
			return nil, err
		}
	}
	s := Servers{engine: opts.Engine}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.Postgres, err = StartPostgres(groupCtx, opts)
		return err
	})
	group.Go(func() (err error) {
		if s.NameServer, err = StartNameServer(groupCtx, opts); err != nil {
			return err
		}
		s.Broker, err = StartBroker(groupCtx, s.NameServer, opts)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &s, nil
}

// Close kills them and removes their data.
func (s *Servers) Close() error {
	var errs []error
	if s.Broker != nil {
		errs = append(errs, s.Broker.Close())
	}
	if s.NameServer != nil {
		errs = append(errs, s.NameServer.Close())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Close())
	}
	return errors.Join(errs...)
}

// Addresses tells where the servers are.
func (s *Servers) Addresses() Addresses {
	return Addresses{
		Postgres:   s.Postgres.URL("postgres"),
		NameServer: s.NameServer.Addr,
		Broker:     s.Broker.Addr,
		Engine:     s.engine,
	}
}
