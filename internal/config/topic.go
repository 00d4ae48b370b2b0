package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// topics reads the list of topics: YAML objects, or names with words after colons.
func topics() kind[[]Topic] {
	return kind[[]Topic]{
		name: "list",
		show: func(ts []Topic) string {
			texts := make([]string, len(ts))
			for i, t := range ts {
				parts := slices.DeleteFunc([]string{t.Name, t.Type, t.Mode, t.OnDead, t.Delivery}, func(w string) bool { return w == "" })
				texts[i] = strings.Join(parts, ":")
			}
			return strings.Join(texts, ",")
		},
		parse: func(raw any) ([]Topic, []fault) {
			items, faults := listItems(raw, ";,")
			seen := map[string]bool{}
			var ts []Topic
			for i, item := range items {
				t, found := parseTopic(item)
				if seen[t.Name] && t.Name != "" {
					found = append(found, fault{value: t.Name, rule: "must be named once"})
				}
				seen[t.Name] = true
				for _, f := range found {
					f.path = fmt.Sprintf("[%d]%s", i, f.path)
					faults = append(faults, f)
				}
				ts = append(ts, t)
			}
			return ts, faults
		},
	}
}

// topicWords returns the words that a topic's fields may have.
func topicWords() map[string][]string {
	return map[string][]string{
		"type":     {"transaction", "normal", "fifo", "delay"},
		"mode":     {"sync", "async", "oneway"},
		"on_dead":  {"block", "skip"},
		"delivery": {"exactly_once", "at_least_once"},
	}
}

func parseTopic(raw any) (Topic, []fault) {
	var t Topic
	var faults []fault
	if fields, ok := raw.(map[string]any); ok {
		faults = t.setFields(fields)
	} else if text, ok := scalarText(raw); ok {
		faults = t.setWords(text)
	} else {
		return t, faultf("must be a name or an object {name, type, mode, on_dead, delivery}")
	}
	t.setDefaults()
	return t, append(faults, t.check()...)
}

func (t *Topic) fields() map[string]*string {
	return map[string]*string{"name": &t.Name, "type": &t.Type, "mode": &t.Mode, "on_dead": &t.OnDead, "delivery": &t.Delivery}
}

// setDefaults fills in what was not given: it depends on the type.
func (t *Topic) setDefaults() {
	t.Type = cmp.Or(t.Type, "transaction")
	t.OnDead = cmp.Or(t.OnDead, "block")
	if t.Type == "transaction" {
		t.Delivery = cmp.Or(t.Delivery, "exactly_once")
	} else {
		t.Delivery = cmp.Or(t.Delivery, "at_least_once")
	}
	if t.Type == "normal" {
		t.Mode = cmp.Or(t.Mode, "sync")
	}
}

// setFields reads the object form.
func (t *Topic) setFields(fields map[string]any) []fault {
	targets := t.fields()
	var faults []fault
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		target, known := targets[name]
		if !known {
			rule := "is unknown: a topic has name, type, mode, on_dead and delivery"
			if guess := closest(name, slices.Collect(maps.Keys(targets))); guess != "" {
				rule = "is unknown; did you mean " + guess + "?"
			}
			faults = append(faults, fault{path: "." + name, rule: rule})
			continue
		}
		text, ok := scalarText(fields[name])
		switch {
		case !ok:
			faults = append(faults, fault{path: "." + name, rule: "must be text"})
		case text == "" && name != "name":
			faults = append(faults, fault{path: "." + name, rule: "must be " + words(topicWords()[name])})
		default:
			*target = text
		}
	}
	return faults
}

// setWords reads name[:word]..., where each word is one of a closed set and so says itself what it sets.
func (t *Topic) setWords(text string) []fault {
	parts := strings.Split(text, ":")
	t.Name = parts[0]
	targets := t.fields()
	var faults []fault
	for _, word := range parts[1:] {
		known := false
		for field, of := range topicWords() {
			if slices.Contains(of, word) {
				*targets[field], known = word, true
			}
		}
		if !known {
			faults = append(faults, fault{value: text, rule: fmt.Sprintf("%q is none of %s", word, strings.Join(allTopicWords(), ", "))})
		}
	}
	return faults
}

func allTopicWords() (all []string) {
	for _, field := range []string{"type", "mode", "on_dead", "delivery"} {
		all = append(all, topicWords()[field]...)
	}
	return all
}

func (t *Topic) check() []fault {
	var faults []fault
	add := func(path, value, rule string) { faults = append(faults, fault{path: path, value: value, rule: rule}) }
	if rule := topicNameRule(t.Name); rule != "" {
		add(".name", t.Name, rule)
	}
	targets := t.fields()
	broken := false
	for _, field := range []string{"type", "mode", "on_dead", "delivery"} {
		if value := *targets[field]; value != "" && !slices.Contains(topicWords()[field], value) {
			add("."+field, value, "must be "+words(topicWords()[field]))
			broken = true
		}
	}
	switch {
	case broken:
	case t.Mode != "" && t.Type != "normal":
		add(".mode", t.Mode, "is for type normal only: "+notNormal(t.Type))
	case t.Delivery == "exactly_once" && t.Type != "transaction":
		add(".delivery", t.Delivery, "needs type transaction: the broker does not refuse a plain message that comes twice")
	}
	return faults
}

// notNormal says how messages of another type are sent.
func notNormal(kind string) string {
	if kind == "transaction" {
		return "a transactional message is always confirmed"
	}
	return "messages of type " + kind + " are always confirmed"
}

// words lists words for a rule.
func words(of []string) string {
	return strings.Join(of[:len(of)-1], ", ") + " or " + of[len(of)-1]
}
