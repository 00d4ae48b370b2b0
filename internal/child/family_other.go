//go:build !linux

package child

import "syscall"

// endWithParent does nothing: only Linux can tie a child to its parent. Elsewhere a program that is killed leaves its
// children running.
func endWithParent(*syscall.SysProcAttr) {}

// Of knows no children: PostgreSQL's backends end by themselves once the postmaster is gone.
func Of(int) []int { return nil }

// Alive reports whether the process exists.
func Alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
