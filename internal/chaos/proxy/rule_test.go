package proxy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRuleThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	server, err := RocketMQ(Options{Listen: "127.0.0.1:0", Upstream: "127.0.0.1:1"})
	require.NoError(t, err)
	defer server.Close() //nolint:errcheck // Nothing was opened.
	database, err := Postgres(Options{Listen: "127.0.0.1:0", Upstream: "127.0.0.1:1"})
	require.NoError(t, err)
	defer database.Close() //nolint:errcheck // Nothing was opened.
	for want, rule := range map[string]Rule{
		`the act "" does not exist`:                         {},
		`the act "pass answer" does not exist`:              {Act: PassedAnswer},
		"the chance 1.5 is not between 0 and 1":             {Act: LoseRequest, Chance: 1.5},
		"-1 times":                                          {Act: LoseRequest, Times: -1},
		"the delay is 0s":                                   {Act: DelayAnswer},
		"the delay is 1s":                                   {Act: LoseAnswer, Delay: time.Second},
		"then cut is for what is lost":                      {Act: CutAfter, Then: Cut},
		`the kind "decide" does not exist in this protocol`: {Act: LoseRequest, Kinds: []Kind{Decide}},
	} {
		_, err := server.Add(rule)
		require.ErrorContains(t, err, want)
	}
	_, err = database.Add(Rule{Act: LoseAnswer})
	require.ErrorContains(t, err, "nothing can be lost without the connection")
}

func TestStatementsAreTold(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string][]Kind{
		`INSERT INTO "the outbox".outbox_attempt (id) VALUES (1)`:                                                     {Decide},
		`WITH lease AS (SELECT FROM public.outbox_lease), d AS (INSERT INTO public.outbox_attempt SELECT 1) SELECT 1`: {Decide},
		"UPDATE public.outbox_attempt\n SET open = $2,\n closed_at = now()":                                           {Settle},
		`DELETE FROM public.outbox WHERE id = 1`:                                                                      {Settle},
		`DELETE FROM public.outbox_attempt WHERE id = 1`:                                                              {Other},
		`WITH g AS (DELETE FROM outbox RETURNING id) INSERT INTO outbox_dead SELECT 1`:                                {Bury},
		`UPDATE "public".outbox_lease SET expires_at = now()`:                                                         {Lease},
		`SELECT * FROM public.outbox`:                                                                                 {Other},
		"begin isolation level read committed; select 1; commit":                                                      {Begin, Other, EmptyCommit},
		`DELETE FROM "public"."outbox" WHERE id = 1`:                                                                  {Settle},
		`ROLLBACK`: {Undo},
		``:         nil,
	} {
		require.Equal(t, want, effects(sql), sql)
	}
}
