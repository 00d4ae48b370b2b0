package config

import (
	"reflect"
	"strings"
)

// envPrefix starts the name of every variable.
const envPrefix = "OUTBOX_RELAY_"

// A Setting is one entry of the list that the YAML keys, variables, flags, help texts, documentation and rules come from.
type Setting struct {
	Key         string // as in YAML; dots separate sections
	Kind        string
	Default     string // in text form, "" = none
	DefaultNote string // what holds where Default is empty
	Rule        string // for people
	Doc         string // full sentences
	Secret      bool
	Repeatable  bool // the flag may be given more than once

	// apply reads raw, checks the rules and stores the value.
	apply func(c *Config, raw any) []fault
	show  func(c *Config) string
	same  func(a, b *Config) bool
	take  func(to, from *Config)
}

// Env returns the name of the setting's variable.
func (s Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Flag returns the name of the setting's flag without the dashes.
func (s Setting) Flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// define makes a setting of its kind, the field it is stored in and its rules.
func define[T any](s Setting, k kind[T], field func(*Config) *T, rules ...rule[T]) Setting {
	s.Kind = k.name
	if s.Rule == "" {
		s.Rule = ruleText(rules)
	}
	s.same = func(a, b *Config) bool { return reflect.DeepEqual(*field(a), *field(b)) }
	s.take = func(to, from *Config) { *field(to) = *field(from) }
	s.show = func(c *Config) string { return k.show(*field(c)) }
	s.apply = func(c *Config, raw any) []fault {
		v, faults := k.parse(raw)
		if len(faults) > 0 {
			return faults
		}
		for _, r := range rules {
			if !r.ok(v) {
				faults = append(faults, fault{rule: "must be " + r.text})
			}
		}
		if len(faults) == 0 {
			*field(c) = v
		}
		return faults
	}
	return s
}
