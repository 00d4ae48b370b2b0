package config

import (
	"regexp"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

// addEnvironment reads the variables. An empty variable counts as not set, because compose files and charts pass on
// variables that the user left out.
func (l *loader) addEnvironment(environ []string) {
	keys := map[string]string{}
	for _, s := range l.settings {
		keys[s.Env()] = s.Key
	}
	k := koanf.New(".")
	// The provider reads a slice; it cannot fail.
	_ = k.Load(env.Provider(".", env.Opt{
		Prefix: envPrefix,
		TransformFunc: func(name, value string) (string, any) {
			if value == "" {
				return "", nil
			}
			return keys[name], value
		},
		EnvironFunc: func() []string { return environ },
	}), nil)
	l.layers = append(l.layers, layer{values: k, source: func(key, _ string) string {
		s, _ := l.setting(key)
		return "env " + s.Env()
	}})

	variables := environment(environ)
	for _, name := range keysOf(variables) {
		if _, known := keys[name]; known || name == configEnv || variables[name] == "" || madeByKubernetes(name) {
			continue
		}
		if strings.HasPrefix(name, envPrefix) {
			l.mistakes = append(l.mistakes, Mistake{Source: "env " + name, Rule: unknownVariable(name, keysOf(keys))})
		}
	}
}

func unknownVariable(name string, known []string) string {
	if why := unsupported(strings.TrimPrefix(name, envPrefix)); why != "" {
		return why
	}
	if guess := closest(name, known); guess != "" {
		return "is unknown; did you mean " + guess + "?"
	}
	return "is unknown"
}

// madeByKubernetes reports whether name is one of the variables that Kubernetes sets in every pod for a Service called
// outbox-relay.
func madeByKubernetes(name string) bool {
	return regexp.MustCompile(`^OUTBOX_RELAY_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)$`).MatchString(name)
}

// environment turns NAME=value pairs into a map.
func environment(environ []string) map[string]string {
	variables := map[string]string{}
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			variables[name] = value
		}
	}
	return variables
}
