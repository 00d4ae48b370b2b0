package postgres

// A relay that is frozen while it sends a pipeline leaves a backend that holds locks and waits for the rest. It is neither
// idle in a transaction nor running a statement, so that no timeout ends it before PostgreSQL 17 has transaction_timeout, and
// the frozen process's kernel answers keepalives. Nothing else of a relay is active and reads from its client for seconds. A
// role may end its own backends without any further right.
const sqlEndFrozen = `
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
   AND application_name LIKE 'outbox-relay/%' AND state = 'active' AND wait_event = 'ClientRead'
   AND state_change < clock_timestamp() - interval '5 s'`
