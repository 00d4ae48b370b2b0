package chaos

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/outbox-relay/outbox-relay/internal/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shortSeed is a plan that begins with commits that arrive past their window, late answers, PostgreSQL's connections, and
// the relays' and the broker's death.
const (
	shortSeed   = 28
	shortFaults = 5
)

// TestShortRun is the harness itself, for a minute: real servers, real relays, and the faults that are quick.
func TestShortRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	t.Parallel()
	var kinds []Kind
	for _, k := range Kinds() {
		if k.Short {
			kinds = append(kinds, k)
		}
	}
	report, err := Run(t.Context(), Config{
		Seed: shortSeed, Faults: shortFaults, Duration: 8 * time.Minute, Kinds: kinds, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if missing := (*stack.MissingError)(nil); errors.As(err, &missing) {
		t.Skipf("the harness runs servers as processes: %v", err)
	}
	require.NoError(t, err)
	var table strings.Builder
	require.NoError(t, report.Print(&table))
	t.Log("\n" + table.String())
	assert.True(t, report.OK(), "see the table")
	total := report.Total()
	assert.Positive(t, total.Injected)
	assert.Greater(t, total.Committed, 500)
	assert.Equal(t, total.Committed, report.Messages)
	assert.Positive(t, report.Transactions.RolledBack)
}
