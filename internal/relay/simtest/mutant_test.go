package simtest

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// mutantSeeds is how many runs a broken rule may take to be noticed.
const mutantSeeds = 500

// TestBrokenRulesAreNoticed breaks one rule of the store or the broker at a time. If no seed saw a violation the simulation
// would be blind to what the rule is there for.
func TestBrokenRulesAreNoticed(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]mutant{
		"the broker accepts commits after the window":           {broker: brokerRules{noFence: true}},
		"a commit is written long after it was accepted":        {broker: brokerRules{stallsLong: true}},
		"reading back misses messages":                          {broker: brokerRules{readsShort: true}},
		"the dispatcher's position is made up":                  {broker: brokerRules{saysDispatched: true}},
		"the end of a queue is answered too far":                {broker: brokerRules{endsAhead: true}},
		"a commit that was refused is applied":                  {broker: brokerRules{appliesRefused: true}},
		"a commit that was answered 0 is lost":                  {broker: brokerRules{losesCommitted: true}},
		"a clock is set back while commits are on their way":    {broker: brokerRules{clockSetBack: true}},
		"a plain message that was answered 0 is lost":           {broker: brokerRules{losesSent: true}},
		"a decision does not look at the lease":                 {store: storeRules{decideWithoutLease: true}},
		"a decision does not look whether the rows exist":       {store: storeRules{decideWithoutRows: true}},
		"two sessions own a shard":                              {store: storeRules{shardsTwice: true}},
		"open attempts are not loaded with their shards":        {store: storeRules{noOpenAttempts: true}},
		"what a living session left open is not loaded":         {store: storeRules{onlyOfTheDead: true}},
		"keys that must wait are not loaded with their shards":  {store: storeRules{noBlockedKeys: true}},
		"rows are put off and die without a lease":              {store: storeRules{buryWithoutLease: true}},
		"transactions that are still writing are not seen":      {store: storeRules{noWriters: true}},
		"a struck entry is settled":                             {store: storeRules{strikesSettle: true}},
		"a writer that the watermark has passed is not guarded": {store: storeRules{noGuard: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= mutantSeeds; seed++ {
				violation := ""
				synctest.Test(t, func(t *testing.T) { violation = newWorld(t, seed, m).run() })
				if violation != "" {
					t.Logf("seed %d: %s", seed, violation)
					return
				}
			}
			assert.Fail(t, "nobody noticed", "%d seeds", mutantSeeds)
		})
	}
}
