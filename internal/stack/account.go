package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// serverAccount is the unprivileged user to run PostgreSQL as, which refuses to
// run as root; nil if the caller is no root.
func serverAccount() (*user.User, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // No other user is needed.
	}
	for _, name := range []string{"postgres", "nobody"} {
		if account, err := user.Lookup(name); err == nil {
			return account, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run it as")
}

// runAs makes cmd run as the account; nil leaves it to the caller's own.
func runAs(cmd *exec.Cmd, account *user.User) {
	if account == nil {
		return
	}
	uid, gid := ids(account)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: false},
	}
	cmd.Env = append(os.Environ(), "HOME=/", "USER="+account.Username)
}

func giveTo(path string, account *user.User) error {
	uid, gid := ids(account)
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("give %s to the user %s: %w", path, account.Username, err)
	}
	return nil
}

// ids are numbers on every system with a process credential.
func ids(account *user.User) (uid, gid int) {
	uid, _ = strconv.Atoi(account.Uid) // POSIX user ids are decimal.
	gid, _ = strconv.Atoi(account.Gid) // POSIX group ids are decimal.
	return uid, gid
}

// checkPassable reports the first existing folder on the way to path that the
// account cannot enter.
func checkPassable(path string, account *user.User) error {
	uid, gid := ids(account)
	var way []string
	for dir := path; ; dir = filepath.Dir(dir) {
		way = append(way, dir)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	slices.Reverse(way)
	for _, dir := range way {
		info, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil // It will be made passable.
		}
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		bit := os.FileMode(0o001)
		switch {
		case ok && int(stat.Uid) == uid:
			bit = 0o100
		case ok && int(stat.Gid) == gid:
			bit = 0o010
		}
		if info.Mode().Perm()&bit == 0 {
			return fmt.Errorf("PostgreSQL runs as the user %s, who cannot enter %s: choose another folder with TMPDIR", account.Username, dir)
		}
	}
	return nil
}
