package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// closers is what must be ended, last first, because what was started later uses what was started before.
type closers struct {
	log  *slog.Logger
	list []closer
}

type closer struct {
	name string
	end  func(context.Context) error
}

// add puts an end onto the stack. end should heed its context; one that does not is left behind when the time is over.
func (c *closers) add(name string, end func(context.Context) error) {
	c.list = append(c.list, closer{name, end})
}

// close ends everything and empties the stack. An end that fails or hangs does not keep the others from being tried.
func (c *closers) close(ctx context.Context) error {
	var errs []error
	for _, one := range slices.Backward(c.list) {
		done := make(chan error, 1)
		go func() { done <- one.end(ctx) }()
		var err error
		select {
		case err = <-done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", one.name, err))
			continue
		}
		c.log.DebugContext(ctx, "closed", slog.String("part", one.name))
	}
	c.list = nil
	return errors.Join(errs...)
}
