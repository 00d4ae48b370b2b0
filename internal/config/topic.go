package config

import (
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
				texts[i] = strings.Join([]string{t.Name, t.Type, t.OnDead, t.Delivery}, ":")
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

func parseTopic(raw any) (Topic, []fault) {
	t := Topic{Type: "transaction", OnDead: "block", Delivery: "exactly_once"}
	var faults []fault
	if fields, ok := raw.(map[string]any); ok {
		faults = t.setFields(fields)
	} else if text, ok := scalarText(raw); ok {
		faults = t.setWords(text)
	} else {
		return t, faultf("must be a name or an object {name, type, on_dead, delivery}")
	}
	return t, append(faults, t.check()...)
}

// setFields reads the object form.
func (t *Topic) setFields(fields map[string]any) []fault {
	targets := map[string]*string{"name": &t.Name, "type": &t.Type, "on_dead": &t.OnDead, "delivery": &t.Delivery}
	var faults []fault
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		target, known := targets[name]
		if !known {
			rule := "is unknown: a topic has name, type, on_dead and delivery"
			if guess := closest(name, slices.Collect(maps.Keys(targets))); guess != "" {
				rule = "is unknown; did you mean " + guess + "?"
			}
			faults = append(faults, fault{path: "." + name, rule: rule})
			continue
		}
		text, ok := scalarText(fields[name])
		if !ok {
			faults = append(faults, fault{path: "." + name, rule: "must be text"})
			continue
		}
		*target = text
	}
	return faults
}

// setWords reads name[:word]..., where each word is one of a closed set and so says itself what it sets.
func (t *Topic) setWords(text string) []fault {
	words := strings.Split(text, ":")
	t.Name = words[0]
	var faults []fault
	for _, word := range words[1:] {
		switch word {
		case "transaction", "normal", "fifo", "delay":
			t.Type = word
		case "block", "skip":
			t.OnDead = word
		case "exactly_once", "at_least_once":
			t.Delivery = word
		default:
			faults = append(faults, fault{value: text, rule: fmt.Sprintf("%q is none of transaction, block, skip, exactly_once", word)})
		}
	}
	return faults
}

func (t *Topic) check() []fault {
	var faults []fault
	add := func(path, value, rule string) { faults = append(faults, fault{path: path, value: value, rule: rule}) }
	if rule := topicNameRule(t.Name); rule != "" {
		add(".name", t.Name, rule)
	}
	switch t.Type {
	case "transaction":
	case "normal", "fifo", "delay":
		add(".type", t.Type, "is not supported yet: only transaction is")
	default:
		add(".type", t.Type, "must be transaction")
	}
	if t.OnDead != "block" && t.OnDead != "skip" {
		add(".on_dead", t.OnDead, "must be block or skip")
	}
	switch t.Delivery {
	case "exactly_once":
	case "at_least_once":
		add(".delivery", t.Delivery, "is not supported yet: only exactly_once is")
	default:
		add(".delivery", t.Delivery, "must be exactly_once")
	}
	return faults
}
