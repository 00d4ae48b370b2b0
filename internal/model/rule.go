package model

import "context"

// A Rule is one that can be removed, to see what it is there for.
type Rule uint8

// The rules of the protocol. rules says what each means.
const (
	CommitOnce Rule = iota
	Fence
	WaitForFence
	ReadBack
	CheckerNeverCommits
	LeaseChecked
	LeaseLocked
	RowExists
	UnbrokenRun
	BuryUnderLease
	PutOffUnderLease
	AppendMargin
	Barrier
	OneOwner
	LoadAttempts
	LoadAfterTake
	DoubtBlocksKey
	LoadBlockedKeys
	CommitsInTurn
	CarryCertain
	GiveDecided
	GiveAnswered
	LoadLiving
	LoadOwn
	ChangeOnce
)

// A RuleInfo is a rule for people. The numbers are those of docs/model.md; a letter means that several switches belong to one.
type RuleInfo struct {
	Rule   Rule
	Number string
	Name   string // what RULE=… takes
	Means  string
	Breaks Kinds // what the counter-example shows; none: no counter-example is expected, and Note says why
	Note   string
}

// Rules lists every rule that can be removed.
func Rules() []RuleInfo {
	return []RuleInfo{
		{CommitOnce, "1", "commit-once", "a half is committed at most once, also when the answer is lost", Duplicate, ""},
		{Fence, "2a", "fence", "the broker refuses commits after the window (604)", BrokenPromise, ""},
		{WaitForFence, "2b", "wait-for-fence", "absence is believed only after the broker answered 604", BrokenPromise, ""},
		{ReadBack, "3", "read-back", "a doubt is decided by reading the queue", BrokenPromise, ""},
		{CheckerNeverCommits, "4", "checker-never-commits", "check-backs are never answered with COMMIT", Duplicate, ""},
		{LeaseChecked, "5a", "lease-checked", "a decision is written only while the session's lease stands", Duplicate, ""},
		{LeaseLocked, "5b", "lease-locked", "the decision locks the lease it looks at", Duplicate, ""},
		{RowExists, "6", "row-exists", "a decision is written only if the row is still there", Duplicate, ""},
		{UnbrokenRun, "7", "unbroken-run", "of a key only the unbroken run from its first pending row is decided", OutOfOrder, ""},
		{BuryUnderLease, "8a", "bury-under-lease", "dead letters are written under the lease", DeadAndVisible, ""},
		{PutOffUnderLease, "8b", "put-off-under-lease", "rows are put off under the lease", OutOfOrder, ""},
		{AppendMargin, "9a", "append-margin", "after 604, what was accepted before is waited for", BrokenPromise, ""},
		{Barrier, "9b", "barrier", "absence is read behind a dispatch barrier", BrokenPromise, ""},
		{OneOwner, "10", "one-owner", "a shard is taken only where no lease holds it", Duplicate, ""},
		{LoadAttempts, "11a", "load-attempts", "a new owner loads the open attempts", Duplicate, ""},
		{LoadAfterTake, "11b", "load-after-take", "they are loaded after the shard is taken", Duplicate, ""},
		{DoubtBlocksKey, "12a", "doubt-blocks-key", "a row in doubt blocks its key", OutOfOrder, ""},
		{LoadBlockedKeys, "12b", "load-blocked-keys", "a new owner loads the keys that must wait", OutOfOrder, ""},
		{CommitsInTurn, "13", "commits-in-turn", "commits of a key wait for each other's answers", OutOfOrder, ""},
		{CarryCertain, "14", "carry-certain", "a session passes on to the next only what it knew for certain", BrokenPromise, ""},
		{GiveDecided, "15a", "give-decided", "a shard is given only when nothing is on its way to a decision", Duplicate, ""},
		{
			GiveAnswered, "15b", "give-answered", "a shard is given only when no commit waits for its answer", 0,
			"the next owner finds such a commit open in the ledger, like one of a dead relay",
		},
		{LoadLiving, "16", "load-living", "the attempts of a living former owner are loaded too", Duplicate, ""},
		{LoadOwn, "17", "load-own", "a relay that takes a shard back loads its own open attempts too", Duplicate, ""},
		{
			ChangeOnce, "18", "change-once", "an entry of the ledger changes once", 0,
			"who closes an entry is never wrong while the other rules hold; this one is there to notice when they do not",
		},
	}
}

// removed is a set of rules.
type removed uint32

func (r removed) has(rule Rule) bool { return r>>rule&1 == 1 }

// Without returns the configuration with one more rule removed.
func (c Config) Without(rule Rule) Config {
	c.removed |= 1 << rule
	return c
}

// Remove looks for what comes of it when a rule is removed, in one configuration after the other, and returns the first in
// which something does; else the last.
func Remove(ctx context.Context, rule Rule, in []Config) (Config, Result, error) {
	var c Config
	var r Result
	for _, c = range in {
		var err error
		if r, err = Explore(ctx, c.Without(rule)); err != nil || r.Broken != 0 {
			return c, r, err
		}
	}
	return c, r, nil
}
