package chaos

import (
	"math/rand/v2"
	"slices"
)

// Step is one fault of a plan.
type Step struct {
	Kind   Kind
	Relays int    // how many relays run while it happens
	Seed   uint64 // of the fault's own parameters
}

// Plan is the endless order of faults that a seed stands for.
type Plan struct {
	kinds []Kind
	draw  *rand.Rand
	deck  []Kind
}

// NewPlan makes the plan of a seed. Kinds come in random order, each as often as the others; the finale is not among them.
func NewPlan(seed uint64, kinds []Kind) *Plan {
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool { return k.Finale })
	return &Plan{kinds: kinds, draw: rand.New(rand.NewPCG(seed, planStream))}
}

// The streams of one seed's random numbers.
const (
	planStream = iota + 1
	writerStream
	faultStream
)

// Next returns the next step.
func (p *Plan) Next() Step {
	if len(p.deck) == 0 {
		p.deck = append(p.deck, p.kinds...)
		p.draw.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	s := Step{Kind: p.deck[0], Relays: 1 + p.draw.IntN(maxRelays), Seed: p.draw.Uint64()}
	s.Relays = max(s.Relays, s.Kind.Relays)
	p.deck = p.deck[1:]
	return s
}

func (s Step) draws() *Draw { return &Draw{rand.New(rand.NewPCG(s.Seed, faultStream))} }
