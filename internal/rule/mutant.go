package rule

// A Mutant is one rule removed in one place.
type Mutant struct {
	Rule     string // its number in docs/model.md, or a letter for those that follow from several
	What     string
	File     string // below the root of the project
	Old, New string // Old occurs once
	Package  string // whose tests must notice
	Tests    string // regular expression; "" = all
}

// Mutants lists them all.
func Mutants() []Mutant {
	const simulation = "./internal/relay/simtest"
	return []Mutant{
		{
			Rule: "1", What: "a doubtful commit is sent again",
			File: "internal/relay/stage6_resolve.go",
			Old:  "	d.s.cfg.at(PointResolve)\n	found, err := d.index(ctx, address, fresh)",
			New: "	for _, o := range fresh {\n		d.s.broker.Commit(address, []StoredHalf{o.half}, d.s.cfg.CommitTimeout, func(int, Answer) {})\n	}\n" +
				"	found, err := d.index(ctx, address, fresh)",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "2", What: "halves do not carry their window, so that the broker refuses no late commit",
			File: "internal/rocketmq/half.go", Old: "		add(\"CHECK_IMMUNITY_TIME_IN_SECONDS\", strconv.FormatInt(int64(h.Immunity/time.Second), 10))\n", New: "		_ = time.Second\n",
			Package: "./internal/rocketmq", Tests: "TestWindow|TestProbe",
		},
		{
			Rule: "2", What: "absence is believed though the broker does not refuse yet",
			File: "internal/relay/stage6_fence.go", Old: "		case Fenced(a):\n			asked[i].fenced,", New: "		case a.Err == nil:\n			asked[i].fenced,",
			Package: "./internal/relay",
		},
		{
			Rule: "2", What: "absence is believed though the broker may have set its clock back since it refused",
			File: "internal/relay/stage6_resolve.go", Old: "	errs = append(errs, d.confirm(ctx, address, absent))\n", New: "",
			Package: "./internal/relay",
		},
		{
			Rule: "3", What: "a doubt is decided without reading the queue",
			File:    "internal/relay/stage6_resolve.go",
			Old:     "		proof, err := d.read(ctx, address, queue, from, places, found)\n		if err != nil {",
			New:     "		proof, err := ReadProof{Complete: true}, error(nil)\n		if err != nil {",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "3", What: "a reading that is not complete is believed",
			File: "internal/relay/stage6_resolve.go", Old: "if !proof.Complete {", New: "if false {",
			Package: "./internal/relay",
		},
		{
			Rule: "4", What: "the checker answers COMMIT",
			File: "txcheck/checker.go", Old: "	return Rollback\n", New: "	return Commit\n",
			Package: "./txcheck",
		},
		{
			Rule: "5", What: "the decision does not lock the lease",
			File:    "internal/postgres/ledger.go",
			Old:     "AND shards & $3::bigint = $3::bigint FOR KEY SHARE",
			New:     "AND shards & $3::bigint = $3::bigint",
			Package: "./internal/postgres", Tests: "TestTakeoverFindsTheDecisionItWaitedFor|TestFrozenSessionWritesNothing",
		},
		{
			Rule: "5", What: "the decision does not look at the lease",
			File:    "internal/postgres/ledger.go",
			Old:     "    FROM lease\n   WHERE (SELECT count(*)",
			New:     "    FROM (SELECT 1) lease\n   WHERE (SELECT count(*)",
			Package: "./internal/postgres", Tests: "TestFrozenSessionWritesNothing|TestDecisionWaitsForTheDeletionOfItsLease",
		},
		{
			Rule: "6", What: "the decision does not look whether the rows exist",
			File:    "internal/postgres/ledger.go",
			Old:     "WHERE (SELECT count(*) FROM {schema}.outbox WHERE id = ANY ($11::bigint[])) = cardinality($11::bigint[])",
			New:     "WHERE cardinality($11::bigint[]) > 0",
			Package: "./internal/postgres", Tests: "TestDecideWithARowGone",
		},
		{
			Rule: "7", What: "rows are decided behind one of their key that did not get through",
			File:    "internal/relay/lane.go",
			Old:     "	in.mu.Lock()\n	defer in.mu.Unlock()\n	return !it.cut\n}",
			New:     "	return true\n}",
			Package: "./internal/relay",
		},
		{
			Rule: "7", What: "a batch does not wait for the batches that hold earlier rows of its keys",
			File:    "internal/relay/stage3_decide.go",
			Old:     "	b.await()\n",
			New:     "",
			Package: "./internal/relay",
		},
		{
			Rule: "8", What: "a row is put off without the lease",
			File:    "internal/postgres/failure.go",
			Old:     "    FROM lease, unnest($2::bigint[], $3::bigint[]",
			New:     "    FROM unnest($2::bigint[], $3::bigint[]",
			Package: "./internal/postgres", Tests: "TestFailuresHoldTheLease|TestFrozenSessionWritesNothing",
		},
		{
			Rule: "8", What: "a row dies without the lease",
			File:    "internal/postgres/failure.go",
			Old:     "   USING lease\n   WHERE o.id = ANY ($2::bigint[])",
			New:     "   USING (SELECT 1) lease\n   WHERE o.id = ANY ($2::bigint[])",
			Package: "./internal/postgres", Tests: "TestFailuresHoldTheLease|TestFrozenSessionWritesNothing",
		},
		{
			Rule: "9", What: "absence is read without the dispatch barrier",
			File:    "internal/relay/stage6_resolve.go",
			Old:     "	if err := d.barrier(ctx, address, ripe); err != nil {\n		return err\n	}\n",
			New:     "",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "9", What: "the barrier does not wait for the dispatcher",
			File:    "internal/relay/readback.go",
			Old:     "		return d.passed(ctx, address, stored)",
			New:     "		_ = stored\n		return nil",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "10", What: "a relay takes shards that another holds",
			File:    "internal/postgres/shard.go",
			Old:     "(SELECT bit_or(other.shards) FROM {schema}.outbox_lease other WHERE other.session <> $1), 0))",
			New:     "(SELECT 0::bigint WHERE $1::uuid IS NOT NULL), 0))",
			Package: "./internal/postgres", Tests: "TestTakeShards",
		},
		{
			Rule: "10", What: "shards are given up while batches of them are under way",
			File:    "internal/relay/shard_share.go",
			Old:     "		case <-b.over:\n",
			New:     "		case <-b.over:\n		default:\n",
			Package: "./internal/relay",
		},
		{
			Rule: "10", What: "what is in doubt is kept when its shard is given up",
			File:    "internal/relay/shard_share.go",
			Old:     "s.resolver.surrender(work, shards)",
			New:     "s.resolver.surrender(work, 0)",
			Package: "./internal/relay",
		},
		{
			Rule: "11", What: "what the last owner left open is not loaded with the shards",
			File:    "internal/relay/shard_take.go",
			Old:     "	attempts, err := s.store.OpenAttempts(ctx, taken)\n",
			New:     "	attempts, err := []OpenAttempt(nil), error(nil)\n",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "12", What: "a row in doubt does not block its key",
			File:    "internal/relay/block.go",
			Old:     "		in.block(key, shard).doubts++\n",
			New:     "		_ = shard\n",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "12", What: "a row that backs off or is dead does not block its key",
			File:    "internal/relay/block.go",
			Old:     "func (in *intake) addHold(b BlockedKey) { in.block(b.Key, b.Shard).rows[b.Row] = b.Dead }",
			New:     "func (in *intake) addHold(BlockedKey) {}",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "a", What: "an entry that was struck is settled",
			File:    "internal/postgres/close.go",
			Old:     "			m.broken = append(m.broken, i)\n",
			New:     "			m.broken, m.changed, state[i] = append(m.broken, i), true, relay.EntrySettled\n			m.delete = append(m.delete, l.ids[i])\n",
			Package: "./internal/postgres", Tests: "TestEntriesChangeOnce|TestSettleWaitsForStrike",
		},
		{
			Rule: "b", What: "an answer 0 that comes after commit_timeout is believed",
			File:    "internal/relay/answer.go",
			Old:     "		if a.Took > timeout {\n			return CommitInDoubt, ReasonLate\n		}\n",
			New:     "",
			Package: "./internal/relay",
		},
		{
			Rule: "c", What: "the commits of a key do not wait for each other",
			File:    "internal/relay/lane.go",
			Old:     "	case it.lane.items[0] == it:\n		return turnNow\n	default:",
			New:     "	case it.lane.items[0] != nil:\n		return turnNow\n	default:",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "d", What: "the cursor passes ids of transactions that may still commit",
			File:    "internal/relay/watermark.go",
			Old:     "		floor = min(floor, in.since)\n		if in.xid == 0 || now.Sub(in.seen) < guardAfter {\n			upTo = min(upTo, in.since)\n		}\n",
			New:     "",
			Package: simulation, Tests: "TestLives",
		},
		{
			Rule: "d", What: "a read behind the ids of a transaction that has just ended is taken in",
			File:    "internal/relay/stage1_read.go",
			Old:     "	if !complete {\n",
			New:     "	if false && !complete {\n",
			Package: "./internal/relay",
		},
		{
			Rule: "e", What: "since when the broker refuses is not noted, so that each relay waits anew",
			File:    "internal/relay/stage6_fence.go",
			Old:     "			if a.Code == codeIllegalOperation {",
			New:     "			if false {",
			Package: "./internal/relay/flowtest", Tests: "TestKilledBeforeTheMarginIsOver",
		},
		{
			Rule: "f", What: "plain sends do not wait for the answers to earlier rows of their keys",
			File:    "internal/relay/stage4_send.go",
			Old:     "			b.after = append(b.after, earlier.answered)\n",
			New:     "			_ = earlier\n",
			Package: "./internal/relay",
		},
		{
			Rule: "f", What: "plain messages are sent though their window is over",
			File:    "internal/relay/stage4_send.go",
			Old:     "		case time.Since(b.built) >= b.attempt.Window:",
			New:     "		case false:",
			Package: "./internal/relay",
		},
		{
			Rule: "f", What: "a delayed message is not looked for where the broker keeps it",
			File:    "internal/relay/readback.go",
			Old:     "		for _, t := range o.kept {",
			New:     "		for _, t := range o.kept[:0] {",
			Package: "./internal/relay",
		},
	}
}
