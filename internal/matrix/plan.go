package matrix

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

// A Suite is tests of one package.
type Suite struct {
	Package string   // below the module's root; "./..." is every package
	Tests   []string // names; nil is every test
}

// A Plan is what is run on one version.
type Plan struct {
	Version string
	Suites  []Suite
}

// Plans are the whole matrix: everything on the version that the relay is developed against and on the newest, and the main
// job, retries and statuses on the oldest ones. A test that says nothing on a version says so itself (stacktest.Needs).
func Plans() []Plan {
	everything := []Suite{{Package: "./..."}}
	return []Plan{
		{stack.RocketMQ49, essentials()},
		{stack.RocketMQ51, essentials()},
		{stack.DefaultRocketMQVersion, everything},
		{stack.RocketMQ55, everything},
	}
}

// essentials are the tests of what the relay is for.
func essentials() []Suite {
	return []Suite{
		{Package: "./internal/rocketmq"},
		{Package: "./internal/relay/flowtest", Tests: []string{
			// The main job.
			"TestRowsArriveOnce", "TestRolledBackRowsNeverAppear", "TestManyRowsOfOneKeyStayInOrder",
			"TestRowCommittedLateWithASmallIDIsNotOverlooked", "TestBadInputEndsWithAReasonAndStopsNobody",
			"TestSecondRelayTakesOverWhenTheFirstStops", "TestShardsAreDividedBetweenRelays", "TestMessagesAreFoundWithMqadmin",
			"TestKilledAtRandom", "TestLostCommitsAndAnswersAreResolvedByReading",
			// Retries.
			"TestPutOffRowDoesNotHoldUpOthers", "TestBrokerKilledUnderLoad", "TestBrokerDownTouchesNoRow",
			"TestPostgresKilledUnderLoad", "TestProbesAreFewWhileATopicIsPaused", "TestDeadRowBlocksOrIsSkipped",
			// Statuses.
			"TestFlushSlaveTimeoutIsRetriedUnderTheSameDeduplicationKey", "TestFlushDiskTimeoutIsRetried",
			"TestNotInSyncPausesTheTopicOnThatBroker", "TestSlaveNotAvailablePausesTheTopicOnThatBroker", "TestRefusedHalves",
			"TestIllegalMessagesDie", "TestMessageTheBrokerCallsIllegalDies",
			// Replicas.
			"TestSlaveLostUnderLoad", "TestMasterOfASlaveLostUnderLoad", "TestOneOfTwoMastersLostUnderLoad",
		}},
		{Package: "./internal/app", Tests: []string{
			"TestRowsArePublishedAndEverythingIsClosed", "TestStatus", "TestBrokerWithoutTheFenceIsRefused", "TestProxyIsRefusedAtStart",
			"TestRefusals",
		}},
	}
}

// Choose returns the plans of the versions, which are separated by commas or blanks; all of them if there is none.
func Choose(plans []Plan, versions string) ([]Plan, error) {
	wanted := strings.FieldsFunc(versions, func(r rune) bool { return r == ',' || r == ' ' })
	if len(wanted) == 0 {
		return plans, nil
	}
	var chosen []Plan
	for _, version := range wanted {
		i := slices.IndexFunc(plans, func(p Plan) bool { return p.Version == version })
		if i < 0 {
			var known []string
			for _, p := range plans {
				known = append(known, p.Version)
			}
			return nil, fmt.Errorf("version %s is not in the matrix, which has %s", version, strings.Join(known, ", "))
		}
		chosen = append(chosen, plans[i])
	}
	return chosen, nil
}

// pattern is what go test is told to run; "" for everything.
func (s Suite) pattern() string {
	if s.Tests == nil {
		return ""
	}
	return "^(" + strings.Join(s.Tests, "|") + ")$"
}
