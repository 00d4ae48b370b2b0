package config

import (
	"fmt"
	"os"
	"strings"
)

// addSecretFiles reads secrets that are in files of their own: key_file stands for key. Where both are given, the one from
// the stronger source holds; from one source, only one can be meant.
func (l *loader) addSecretFiles() {
	values, sources := map[string]any{}, map[string]string{}
	for _, s := range l.settings {
		fileKey := s.Key + "_file"
		_, mayBeFile := l.setting(fileKey)
		direct, byFile := l.strongest(s.Key), l.strongest(fileKey)
		if !mayBeFile || byFile < 0 || byFile < direct {
			continue
		}
		source := l.source(fileKey)
		if byFile == direct {
			l.broken[s.Key], l.broken[fileKey] = true, true
			l.mistakes = append(l.mistakes, Mistake{Source: source, Key: fileKey, Rule: fmt.Sprintf("must not be given together with %s", s.Key)})
			continue
		}
		name, _ := scalarText(l.layers[byFile].values.Get(fileKey))
		secret, err := os.ReadFile(name)
		if err != nil {
			l.broken[s.Key], l.broken[fileKey] = true, true
			l.mistakes = append(l.mistakes, Mistake{Source: source, Key: fileKey, Value: show(name, false), Rule: "must name a readable file: " + cause(err)})
			continue
		}
		values[s.Key], sources[s.Key] = strings.TrimSpace(string(secret)), "file "+name
	}
	l.add(values, func(key, _ string) string { return sources[key] })
}
