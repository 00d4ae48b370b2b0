package config

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Need says which settings a command cannot do without.
type Need int

// What commands need.
const (
	NeedNothing  Need = iota + 1
	NeedDatabase      // database.url
	NeedAll           // also the name servers and topics
)

// Input is where settings are read from.
type Input struct {
	File    string         // the YAML file; "" = the one that OUTBOX_RELAY_CONFIG names, if any
	Environ []string       // as os.Environ returns it
	Flags   *pflag.FlagSet // those that AddFlags added; nil = none
}

// Load reads the settings. The error, if any, is Mistakes: all of them.
func Load(in Input, need Need) (*Config, error) {
	l := &loader{settings: Settings(), need: need, broken: map[string]bool{}}
	l.addDefaults()
	l.addFile(in)
	l.addEnvironment(in.Environ)
	l.addFlags(in.Flags)
	l.addAlibaba(in.Environ)
	l.addSecretFiles()
	c := l.build()
	c.deriveNamespace()
	l.checkTogether(c)
	l.checkProfile(c)
	if len(l.mistakes) > 0 {
		return nil, Mistakes(l.mistakes)
	}
	c.origins = l.origins(c)
	c.Credentials.files = l.credentialFiles()
	c.warnings = warnings(c, in.Environ)
	return c, nil
}

// A loader collects values, weakest source first, and mistakes.
type loader struct {
	settings []Setting
	need     Need
	layers   []layer
	mistakes []Mistake
	broken   map[string]bool // settings with a mistake: no further rule is checked on them
}

// A layer is what one source gave.
type layer struct {
	values *koanf.Koanf
	source func(key, path string) string // path is that of a fault below key, or ""
}

// add puts a layer over those before it.
func (l *loader) add(values map[string]any, source func(key, path string) string) {
	k := koanf.New(".")
	// A confmap cannot fail to load: it neither reads nor parses anything.
	_ = k.Load(confmap.Provider(values, "."), nil)
	l.layers = append(l.layers, layer{values: k, source: source})
}

func (l *loader) addDefaults() {
	values := map[string]any{}
	for _, s := range l.settings {
		if s.Default != "" {
			values[s.Key] = s.Default
		}
	}
	if host, err := os.Hostname(); err == nil {
		values["instance"] = host
	}
	l.add(values, func(string, string) string { return "default" })
}

// strongest returns the number of the layer whose value of key holds; -1 if there is none. Layer 0 is the defaults.
func (l *loader) strongest(key string) int {
	for i, layer := range slices.Backward(l.layers) {
		if layer.values.Exists(key) {
			return i
		}
	}
	return -1
}

// source names where the value of key comes from; "" if there is none.
func (l *loader) source(key string) string { return l.sourceOf(key, "") }

// sourceOf names where the part of the value at path comes from.
func (l *loader) sourceOf(key, path string) string {
	if i := l.strongest(key); i >= 0 {
		return l.layers[i].source(key, path)
	}
	return ""
}

// build checks every value by itself and stores it.
func (l *loader) build() *Config {
	merged := koanf.New(".")
	for _, layer := range l.layers {
		// Merging koanfs of our own making cannot fail: no merge function is set.
		_ = merged.Merge(layer.values)
	}
	c := &Config{}
	for _, s := range l.settings {
		raw := merged.Get(s.Key)
		if l.broken[s.Key] {
			continue
		}
		if isEmpty(raw) {
			l.checkRequired(s.Key)
			if !merged.Exists(s.Key) || l.broken[s.Key] {
				continue
			}
		}
		for _, f := range s.apply(c, raw) {
			l.mistake(s, f, raw)
		}
	}
	return c
}

// isEmpty reports whether a value that must be there is not.
func isEmpty(raw any) bool {
	switch v := raw.(type) {
	case nil:
		return true
	case string:
		return strings.Trim(v, " \t\r\n,;") == ""
	case []any:
		return len(v) == 0
	}
	return false
}

func (l *loader) checkRequired(key string) {
	required := map[string]Need{"database.url": NeedDatabase, "nameservers": NeedAll, "topics": NeedAll}
	if least, ok := required[key]; !ok || l.need < least {
		return
	}
	s, _ := l.setting(key)
	rule := fmt.Sprintf("is required: set %s in the file, %s or --%s", key, s.Env(), s.Flag())
	if s.Secret {
		rule += fmt.Sprintf(", or name a file that holds it with %s_file, %s_FILE or --%s-file", key, s.Env(), s.Flag())
	}
	l.broken[key] = true
	l.mistakes = append(l.mistakes, Mistake{Source: l.source(key), Key: key, Rule: rule})
}

func (l *loader) setting(key string) (Setting, bool) {
	i := slices.IndexFunc(l.settings, func(s Setting) bool { return s.Key == key })
	if i < 0 {
		return Setting{}, false
	}
	return l.settings[i], true
}

// mistake records a fault of the value of s.
func (l *loader) mistake(s Setting, f fault, raw any) {
	value := f.value
	if value == "" {
		value, _ = scalarText(raw)
	}
	if f.path != "" && f.value == "" {
		value = "" // The whole list would hide the part that is wrong.
	}
	l.broken[s.Key] = true
	l.mistakes = append(l.mistakes, Mistake{
		Source: l.sourceOf(s.Key, f.path), Key: s.Key + f.path, Value: show(value, s.Secret), Rule: f.rule,
	})
}

// show quotes a value for a mistake, cuts it where it is very long, and hides secrets.
func show(value string, secret bool) string {
	const limit = 120
	switch {
	case value == "":
		return ""
	case secret:
		return "(secret, not shown)"
	case len(value) > limit:
		return fmt.Sprintf("%q…", value[:limit])
	}
	return fmt.Sprintf("%q", value)
}

func (l *loader) origins(c *Config) []Origin {
	origins := make([]Origin, len(l.settings))
	for i, s := range l.settings {
		source := l.source(s.Key)
		if source == "" {
			source = "not set"
			if s.Key == "namespace" && c.Namespace != "" {
				source = "nameservers"
			}
		}
		origins[i] = Origin{Key: s.Key, Value: s.show(c), Source: source}
	}
	return origins
}

// keysOf returns the keys of m, sorted, so that mistakes come in the same order every time.
func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
