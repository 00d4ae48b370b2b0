package migrations

import (
	"fmt"
	"strings"
)

// The application writes rows and does nothing else: it cannot read or change what it wrote, so an INSERT must not have a
// RETURNING clause. The identity column needs no right on its sequence.
const appGrants = `-- The application's role: writes rows in its own transactions.
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT INSERT ON {schema}.outbox TO {role};
-- Only where it sends half messages itself, with package txcheck:
-- GRANT SELECT, INSERT, DELETE, UPDATE (asked_at) ON {schema}.outbox_marker TO {role};
-- GRANT SELECT ON {schema}.outbox_origin TO {role};
`

// The relay needs no right to insert rows, to change what they say, or to create anything.
const relayGrants = `-- The relay's role: no superuser, owner of nothing.
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, DELETE, UPDATE (available_at, attempts, last_error) ON {schema}.outbox TO {role};
GRANT SELECT ON SEQUENCE {schema}.outbox_id_seq TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.outbox_lease TO {role};
GRANT SELECT, INSERT, DELETE, UPDATE (closed_at, closed_by, open, struck, refused_at, refused_by) ON {schema}.outbox_attempt TO {role};
GRANT SELECT, INSERT ON {schema}.outbox_dead TO {role};
GRANT SELECT, INSERT ON {schema}.outbox_topic TO {role};
GRANT SELECT ON {schema}.outbox_origin, {schema}.outbox_sent TO {role};
-- Only where outbox-relay runs the migrations; leave it out if another tool does.
GRANT SELECT ON {schema}.{table} TO {role};
`

// Grants returns the SQL that gives the two roles what they need in a schema, and nothing more. Roles and schema may have
// any name; they are quoted.
func Grants(schema, appRole, relayRole string) (app, relay string, err error) {
	if err := CheckSchemaName(schema); err != nil {
		return "", "", err
	}
	if appRole == "" || relayRole == "" {
		return "", "", fmt.Errorf("grants in schema %s: a role name is empty", quote(schema))
	}
	fill := func(text, role string) string {
		return strings.NewReplacer("{schema}", quote(schema), "{role}", quote(role), "{table}", Table).Replace(text)
	}
	return fill(appGrants, appRole), fill(relayGrants, relayRole), nil
}
