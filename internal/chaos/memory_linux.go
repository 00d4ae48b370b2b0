package chaos

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// refuseMemory lets a running process have no more memory than it has now.
func refuseMemory(pid int) error {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return fmt.Errorf("look at the memory of process %d: %w", pid, err)
	}
	for field, resource := range map[string]int{"VmSize:": unix.RLIMIT_AS, "VmData:": unix.RLIMIT_DATA} {
		kib, err := statusField(string(status), field)
		if err != nil {
			return err
		}
		limit := unix.Rlimit{Cur: kib << 10, Max: kib << 10}
		if err := unix.Prlimit(pid, resource, &limit, nil); err != nil {
			return fmt.Errorf("limit %s of process %d: %w", field, pid, err)
		}
	}
	return nil
}

func statusField(status, name string) (uint64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		}
	}
	return 0, fmt.Errorf("a process without %s", name)
}
