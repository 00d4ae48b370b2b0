//go:build !linux

package chaos

import "errors"

func refuseMemory(int) error { return errors.New("only Linux can take memory from a running process") }
