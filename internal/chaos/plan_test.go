package chaos

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	flow "github.com/outbox-relay/outbox-relay/internal/relay"
)

func TestSeedFixesThePlan(t *testing.T) {
	t.Parallel()
	type step struct {
		kind   string
		relays int
		seed   uint64
		first  int
	}
	steps := func(seed uint64) (all []step) {
		plan := NewPlan(seed, Kinds())
		for range 3 * len(Kinds()) {
			s := plan.Next()
			all = append(all, step{s.Kind.Name, s.Relays, s.Seed, s.draws().IntN(1 << 30)})
		}
		return all
	}
	once, again := steps(1), steps(1)
	assert.Equal(t, once, again)
	assert.NotEqual(t, once, steps(2))
}

func TestEachKindComesEquallyOften(t *testing.T) {
	t.Parallel()
	plan, times, relays := NewPlan(3, Kinds()), map[string]int{}, map[int]bool{}
	for range 5 * (len(Kinds()) - 1) {
		s := plan.Next()
		times[s.Kind.Name]++
		relays[s.Relays] = true
		assert.GreaterOrEqual(t, s.Relays, s.Kind.Relays)
	}
	for _, k := range Kinds() {
		want := 5
		if k.Finale {
			want = 0
		}
		assert.Equal(t, want, times[k.Name], k.Name)
	}
	assert.Equal(t, map[int]bool{1: true, 2: true, 3: true}, relays)
}

func TestKindsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	names := map[string]bool{nothing: true}
	for _, k := range Kinds() {
		assert.False(t, names[k.Name], "%s twice", k.Name)
		names[k.Name] = true
		assert.Equal(t, k.Finale, k.Inject == nil, k.Name)
		assert.LessOrEqual(t, k.Relays, maxRelays)
	}
}

func TestEveryPointOfTheFlowIsAKind(t *testing.T) {
	t.Parallel()
	var real, ours []string
	for _, p := range flow.Points() {
		if p != flow.PointSend { // the harness has transactional topics only: flowtest kills there
			real = append(real, string(p))
		}
	}
	for _, p := range points() {
		ours = append(ours, p.name)
	}
	assert.Equal(t, real, ours)
}

func TestSelect(t *testing.T) {
	t.Parallel()
	all, err := Select(Kinds(), "")
	require.NoError(t, err)
	assert.Len(t, all, len(Kinds()))
	some, err := Select(Kinds(), "kill -9, postgres:")
	require.NoError(t, err)
	assert.Contains(t, Names(some), "broker: kill -9")
	assert.Contains(t, Names(some), "postgres: lock on outbox")
	assert.NotContains(t, Names(some), "relay: SIGKILL")
	seen := map[string]bool{}
	for _, name := range Names(some) {
		assert.False(t, seen[name], "%s twice", name)
		seen[name] = true
	}
	_, err = Select(Kinds(), "kill -9,earthquake")
	require.ErrorContains(t, err, `no fault kind has "earthquake" in its name; they are relay: SIGKILL, `)
}
