//go:build !linux

package stack

import "syscall"

// endWithParent does nothing: only Linux can tie a child to its parent. Here a
// starter that is killed leaves its servers running.
func endWithParent(*syscall.SysProcAttr) {}

// childrenOf knows no children: PostgreSQL's backends end by themselves once
// the postmaster is gone.
func childrenOf(int) []int { return nil }

// alive reports whether the process exists.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
