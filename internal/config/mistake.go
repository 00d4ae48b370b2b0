package config

import (
	"fmt"
	"strings"
)

// A Mistake is one thing that is wrong with the settings.
type Mistake struct {
	Source string // file:line, env NAME or flag --name; "" where nothing was given
	Key    string // the setting, as written in YAML
	Value  string // what was given, quoted; redacted for secrets, "" where nothing was given
	Rule   string // what must hold instead
}

// String returns the mistake as one line: source, key, value, rule.
func (m Mistake) String() string {
	var parts []string
	for _, p := range []string{m.Source, m.Key, m.Value} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(append(parts, m.Rule), ": ")
}

// Mistakes is every mistake at once. It is the error that Load returns.
type Mistakes []Mistake

// Error returns one line for each mistake, and how many there are.
func (ms Mistakes) Error() string {
	var b strings.Builder
	if len(ms) == 1 {
		b.WriteString("1 mistake in the settings:")
	} else {
		fmt.Fprintf(&b, "%d mistakes in the settings:", len(ms))
	}
	for _, m := range ms {
		b.WriteString("\n  " + m.String())
	}
	return b.String()
}

// A fault is a mistake in one value, before it is known where the value came from.
type fault struct {
	path  string // below the key, such as [1].type; "" = the value itself
	value string // the part that is wrong, "" = the whole value
	rule  string
}

// faultf returns one fault of the whole value.
func faultf(format string, args ...any) []fault {
	return []fault{{rule: fmt.Sprintf(format, args...)}}
}
