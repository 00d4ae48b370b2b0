package chaos

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// brokenPromises finds what the relays themselves say must never happen, and panics.
func brokenPromises(f *fleet) ([]string, error) {
	var broken []string
	for _, r := range f.relays {
		found, err := scanLog(r.log)
		if err != nil {
			return nil, err
		}
		for _, line := range found {
			broken = append(broken, r.name+": "+line)
		}
	}
	return broken, nil
}

func scanLog(path string) ([]string, error) {
	log, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil // It never ran.
	}
	if err != nil {
		return nil, fmt.Errorf("read a relay's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // It was only read.
	var broken []string
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if isBroken(lines.Text()) {
			broken = append(broken, lines.Text())
		}
	}
	return broken, lines.Err()
}

// isBroken reports whether a line of a log says that a promise was broken, or that the relay panicked. A relay whose memory
// is refused ends with "fatal error", which is no panic.
func isBroken(line string) bool {
	return strings.Contains(line, `"broken promise`) || strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "WARNING: DATA RACE")
}
