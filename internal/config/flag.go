package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// AddFlags adds the flags of the settings whose keys start with one of prefixes, of all settings where there is none. The
// flags take any text: Load reports their mistakes together with all others.
func AddFlags(fs *pflag.FlagSet, prefixes ...string) {
	for _, s := range Settings() {
		if len(prefixes) == 0 || hasAnyPrefix(s.Key, prefixes) {
			fs.Var(&flagValue{text: s.Default, kind: s.Kind, repeatable: s.Repeatable}, s.Flag(), s.usage())
		}
	}
}

func hasAnyPrefix(key string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

// usage is the first sentence of the documentation and the rule.
func (s Setting) usage() string {
	text, _, _ := strings.Cut(s.Doc+" ", ". ")
	text = strings.TrimSuffix(strings.ReplaceAll(strings.TrimSpace(text), "`", ""), ".")
	if s.Rule != "" {
		text += fmt.Sprintf("; %s", s.Rule)
	}
	if s.DefaultNote != "" {
		text += fmt.Sprintf(" (default %s)", s.DefaultNote)
	}
	return text
}

// addFlags reads the flags that were given.
func (l *loader) addFlags(fs *pflag.FlagSet) {
	if fs == nil {
		return
	}
	values := map[string]any{}
	for _, s := range l.settings {
		if f := fs.Lookup(s.Flag()); f != nil && f.Changed {
			values[s.Key] = f.Value.String()
		}
	}
	l.add(values, func(key, _ string) string {
		s, _ := l.setting(key)
		return "flag --" + s.Flag()
	})
}

// A flagValue keeps what was given as text.
type flagValue struct {
	text       string
	kind       string
	repeatable bool
	given      bool
}

// Set implements pflag.Value.
func (v *flagValue) Set(text string) error {
	if v.repeatable && v.given {
		text = v.text + "," + text
	}
	v.text, v.given = text, true
	return nil
}

// String implements pflag.Value.
func (v *flagValue) String() string { return v.text }

// Type implements pflag.Value; --help shows it.
func (v *flagValue) Type() string { return v.kind }

// FlagMistake explains the error that pflag returns for a flag it does not know: whether it is not supported yet, or
// misspelled.
func FlagMistake(fs *pflag.FlagSet, err error) error {
	name, found := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !found {
		return err
	}
	if why := unsupported(strings.ReplaceAll(name, "-", "_")); why != "" {
		return fmt.Errorf("flag --%s: %s", name, why)
	}
	var known []string
	fs.VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if guess := closest(name, known); guess != "" {
		return fmt.Errorf("flag --%s: is unknown; did you mean --%s?", name, guess)
	}
	return fmt.Errorf("flag --%s: is unknown", name)
}
