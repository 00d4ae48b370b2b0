package proxy

import (
	"regexp"
	"strings"
)

// Names of tables may have a schema in front, and either may be quoted.
const (
	schema = `(?:(?:\w+|"(?:[^"]|"")*")\.)?"?`
	end    = `\b"?`
)

var (
	decides   = regexp.MustCompile(`insert\s+into\s+` + schema + `outbox_attempt` + end)
	buries    = regexp.MustCompile(`insert\s+into\s+` + schema + `outbox_dead` + end)
	closes    = regexp.MustCompile(`update\s+` + schema + `outbox_attempt` + end + `[^;]*\bclosed_at\s*=`)
	deletes   = regexp.MustCompile(`delete\s+from\s+` + schema + `outbox` + end)
	leases    = regexp.MustCompile(`\boutbox_lease\b`)
	begins    = regexp.MustCompile(`^(begin|start\s+transaction)\b`)
	commits   = regexp.MustCompile(`^(commit|end)\b`)
	rollbacks = regexp.MustCompile(`^(rollback|abort)\b`)
)

// effects returns what each statement of a text does.
func effects(sql string) []Kind {
	var kinds []Kind
	for statement := range strings.SplitSeq(strings.ToLower(sql), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			kinds = append(kinds, effect(statement))
		}
	}
	return kinds
}

// effect says what one statement does. A decision names a lease too, and a dead letter leaves the outbox too.
func effect(statement string) Kind {
	switch {
	case decides.MatchString(statement):
		return Decide
	case buries.MatchString(statement):
		return Bury
	case closes.MatchString(statement), deletes.MatchString(statement):
		return Settle
	case leases.MatchString(statement):
		return Lease
	case begins.MatchString(statement):
		return Begin
	case commits.MatchString(statement):
		return EmptyCommit
	case rollbacks.MatchString(statement):
		return Undo
	}
	return Other
}
