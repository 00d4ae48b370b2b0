package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A rule is what a single value must keep to. Its text is what --help, the documentation and the mistakes show.
type rule[T any] struct {
	text string // completes "must be"
	ok   func(T) bool
}

func between[T cmp.Ordered](low, high T, show func(T) string) rule[T] {
	return rule[T]{
		text: show(low) + " to " + show(high),
		ok:   func(v T) bool { return v >= low && v <= high },
	}
}

func wholeSeconds() rule[time.Duration] {
	return rule[time.Duration]{text: "whole seconds", ok: func(d time.Duration) bool { return d%time.Second == 0 }}
}

func oneOf(words ...string) rule[string] {
	return rule[string]{
		text: strings.Join(words, " or "),
		ok:   func(v string) bool { return slices.Contains(words, v) },
	}
}

func matching(pattern, text string) rule[string] {
	re := regexp.MustCompile(pattern)
	return rule[string]{text: text, ok: re.MatchString}
}

func notOneOf(words ...string) rule[string] {
	return rule[string]{
		text: "none of RocketMQ's own, such as " + words[0],
		ok:   func(v string) bool { return !slices.Contains(words, v) },
	}
}

func notPrefixed(prefix string) rule[string] {
	return rule[string]{
		text: fmt.Sprintf("without the reserved prefix %s", prefix),
		ok:   func(v string) bool { return !strings.HasPrefix(v, prefix) },
	}
}

// ruleText joins the texts of rules for the documentation.
func ruleText[T any](rules []rule[T]) string {
	texts := make([]string, len(rules))
	for i, r := range rules {
		texts[i] = r.text
	}
	return strings.Join(texts, ", ")
}
