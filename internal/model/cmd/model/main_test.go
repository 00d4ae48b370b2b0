package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outbox-relay/outbox-relay/internal/model"
)

func TestACounterExampleIsTold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, "commit-once", false))
	require.Contains(t, out.String(), "Without rule 1 (a half is committed at most once, also when the answer is lost): duplicate after 15 steps\n")
	require.Contains(t, out.String(), " 13  relay A commits half 1a again\n")
}

func TestUnknownRulesAreNamed(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), &bytes.Buffer{}, "nope", false)
	require.EqualError(t, err, `RULE: there is no rule "nope"; the rules are `+strings.Join(names(), ", "))
}

func names() (all []string) {
	for _, rule := range model.Rules() {
		all = append(all, rule.Name)
	}
	return all
}

func TestTheTableOfConfigurations(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, whole(t.Context(), &out, model.Small()[:1]))
	require.Regexp(t, `^configuration +states +transitions +time +verdict\n1 row, 1 relay +1282 +7287 +\S+ +safe and live\n$`, out.String())

	broken := model.Small()[0].Without(model.Barrier)
	require.ErrorContains(t, whole(t.Context(), &out, []model.Config{broken}), "1 row, 1 relay: broken promise after 23 steps")
}
