package proxy

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Count names something that a proxy counts.
type Count struct {
	Act  Act
	Kind Kind
	// Refused means that the server's answer was an error: what was asked was not done.
	Refused bool
}

// judge holds the rules in force and counts what they did.
type judge struct {
	mu     sync.Mutex
	random *rand.Rand
	rules  []*Rule
	counts map[Count]int
}

// verdict is what happens to one request or answer.
type verdict struct {
	delay time.Duration
	lose  bool
	cut   bool
	then  Then
	// met is what to count it as, once it has happened.
	met []Count
}

func newJudge(seed uint64) *judge {
	return &judge{random: rand.New(rand.NewPCG(seed, seed)), counts: make(map[Count]int)}
}

func (j *judge) add(r Rule) (remove func()) {
	r.Kinds = slices.Clone(r.Kinds)
	j.mu.Lock()
	defer j.mu.Unlock()
	rule := &r
	j.rules = append(j.rules, rule)
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.rules = slices.DeleteFunc(j.rules, func(other *Rule) bool { return other == rule })
	}
}

func (j *judge) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rules = nil
}

// on applies the rules to a request or to an answer. Delays add up; of the others the first one counts.
func (j *judge) on(answer bool, kinds []Kind) verdict {
	acts := []Act{LoseRequest, DelayRequest, CutAfter}
	if answer {
		acts = []Act{LoseAnswer, DelayAnswer}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var v verdict
	for _, rule := range slices.Clone(j.rules) {
		if !slices.Contains(acts, rule.Act) {
			continue
		}
		met := rule.concerns(kinds)
		if len(met) == 0 || (rule.Act != DelayRequest && rule.Act != DelayAnswer && (v.lose || v.cut)) {
			continue
		}
		if rule.Chance > 0 && j.random.Float64() >= rule.Chance {
			continue
		}
		v.apply(rule, met)
		j.useLocked(rule)
	}
	return v
}

func (v *verdict) apply(rule *Rule, met []Kind) {
	switch rule.Act {
	case DelayRequest, DelayAnswer:
		v.delay += rule.Delay
	case LoseRequest, LoseAnswer:
		v.lose, v.then = true, rule.Then
	case CutAfter:
		v.cut = true
	case PassedRequest, PassedAnswer:
	}
	for _, kind := range met {
		v.met = append(v.met, Count{Act: rule.Act, Kind: kind})
	}
}

// useLocked takes one of the times that the rule may be applied.
func (j *judge) useLocked(rule *Rule) {
	if rule.Times == 0 {
		return
	}
	rule.Times--
	if rule.Times == 0 {
		j.rules = slices.DeleteFunc(j.rules, func(other *Rule) bool { return other == rule })
	}
}

// happened counts what a verdict has done.
func (j *judge) happened(v *verdict, p piece) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, count := range v.met {
		count.Refused = p.answer && p.of.refused
		j.counts[count]++
	}
	if v.lose {
		return
	}
	passed := PassedRequest
	if p.answer {
		passed = PassedAnswer
	}
	for _, kind := range p.of.kinds {
		j.counts[Count{Act: passed, Kind: kind, Refused: p.answer && p.of.refused}]++
	}
}

func (j *judge) snapshot() map[Count]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.counts)
}
