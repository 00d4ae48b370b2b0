package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	koanfyaml "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// configEnv names the file where the flag --config does not.
const configEnv = envPrefix + "CONFIG"

// addFile reads the YAML file, if there is one.
func (l *loader) addFile(in Input) {
	name, source := in.File, "flag --config"
	if name == "" {
		name, source = environment(in.Environ)[configEnv], "env "+configEnv
	}
	if name == "" {
		return
	}
	text, err := os.ReadFile(name)
	if err != nil {
		l.mistakes = append(l.mistakes, Mistake{Source: source, Value: show(name, false), Rule: "must name a readable file: " + cause(err)})
		return
	}
	raw, lines, err := parseYAML(text)
	if err != nil {
		l.mistakes = append(l.mistakes, Mistake{Source: name, Rule: "must be YAML with one setting per key: " + strings.TrimPrefix(err.Error(), "yaml: ")})
		return
	}
	at := func(key string) string {
		if line := lines.find(key); line > 0 {
			return fmt.Sprintf("%s:%d", name, line)
		}
		return name
	}
	l.add(l.known(raw, at), func(key, path string) string { return at(key + path) })
}

// known returns the values of the keys that are settings and reports those that are not. The values of others are not
// shown: a misspelled secret is still a secret.
func (l *loader) known(raw *koanf.Koanf, at func(key string) string) map[string]any {
	values := map[string]any{}
	for _, key := range raw.Keys() {
		rule := ""
		switch s, under := l.covering(key); {
		case under && raw.Get(s.Key) == nil:
			rule, key = "has no value: give one or remove the line", s.Key
			l.broken[key] = true
		case under:
			values[s.Key] = raw.Get(s.Key)
		case len(l.section(key)) > 0:
			if v := raw.Get(key); v == nil || isEmptyMap(v) {
				continue // A section with everything commented out.
			}
			rule = "is a section: its settings are " + strings.Join(l.section(key), ", ")
		default:
			rule = l.unknown(key)
		}
		if rule != "" {
			l.mistakes = append(l.mistakes, Mistake{Source: at(key), Key: key, Rule: rule})
		}
	}
	return values
}

// covering returns the setting that is key or lies above it.
func (l *loader) covering(key string) (Setting, bool) {
	for {
		if s, ok := l.setting(key); ok {
			return s, true
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			return Setting{}, false
		}
		key = key[:i]
	}
}

// section returns the settings below key.
func (l *loader) section(key string) []string {
	var keys []string
	for _, s := range l.settings {
		if strings.HasPrefix(s.Key, key+".") {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// unknown says what is wrong with a key that is no setting.
func (l *loader) unknown(key string) string {
	if why := unsupported(key); why != "" {
		return why
	}
	keys := make([]string, len(l.settings))
	for i, s := range l.settings {
		keys[i] = s.Key
	}
	if guess := closest(key, keys); guess != "" {
		return "is unknown; did you mean " + guess + "?"
	}
	return "is unknown"
}

func isEmptyMap(v any) bool {
	m, ok := v.(map[string]any)
	return ok && len(m) == 0
}

// cause is the last part of an error from package os, without the name that the mistake shows already.
func cause(err error) string {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// lineNumbers maps the path of every key and list item of a YAML file to its line.
type lineNumbers map[string]int

// find returns the line of key or of the nearest key above it.
func (ln lineNumbers) find(key string) int {
	for key != "" {
		if line, ok := ln[key]; ok {
			return line
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return 0
}

// walk notes the lines below n. A key may be given once: where it is also spelled with dots, which of the two holds would be
// left to chance.
func (ln lineNumbers) walk(n *yaml.Node, path string) error {
	var errs []error
	switch n.Kind {
	case yaml.DocumentNode:
		for _, root := range n.Content {
			errs = append(errs, ln.walk(root, path))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			value := n.Content[i+1]
			if was, twice := ln[key]; twice && value.Kind != yaml.MappingNode {
				errs = append(errs, fmt.Errorf("line %d: %q already defined at line %d", n.Content[i].Line, key, was))
			}
			ln[key] = n.Content[i].Line
			errs = append(errs, ln.walk(value, key))
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			key := fmt.Sprintf("%s[%d]", path, i)
			ln[key] = item.Line
			errs = append(errs, ln.walk(item, key))
		}
	}
	return errors.Join(errs...)
}

// parseYAML reads one document. koanf's parser makes the values, the nodes give the lines.
func parseYAML(text []byte) (*koanf.Koanf, lineNumbers, error) {
	lines := lineNumbers{}
	var root yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	twice := lines.walk(&root, "")
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("there is more than one document in it")
	}
	raw := koanf.New(".")
	if err := raw.Load(rawbytes.Provider(text), koanfyaml.Parser()); err != nil {
		return nil, nil, err
	}
	if twice != nil {
		return nil, nil, twice
	}
	return raw, lines, nil
}
