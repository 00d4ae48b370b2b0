// Package postgres is the relay's store: it reads pending rows, decides and settles attempts, and keeps the leases, in the
// tables that package migrations makes. It implements relay.Store, one file per concern; the SQL stands beside the method
// that runs it.
//
// Three rules hold everywhere and carry the relay's promise:
//
//   - Whatever changes rows, dead letters or the ledger on behalf of a session first locks the session's lease row FOR KEY
//     SHARE. Declaring a session dead is a DELETE of that row, which waits for the lock and then shuts the session out.
//   - An entry of the ledger changes once, under its ledger row's lock. Rows are deleted by a later statement of the
//     transaction that changed their entries, never before and never in the same statement.
//   - What must see the effect of a lock wait is read in a statement of its own: under READ COMMITTED a statement's snapshot
//     is older than its lock waits.
package postgres
