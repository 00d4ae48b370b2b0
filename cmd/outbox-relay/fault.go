//go:build !chaos

package main

import "github.com/outbox-relay/outbox-relay/internal/app"

// addFaults does nothing: only a program that was built for the fault harness (-tags chaos) can be made to fail.
func addFaults(*app.Process, func(string) string) error { return nil }
