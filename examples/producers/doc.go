// Package producers holds examples of services that write the outbox without package outbox: plain SQL, Java with Spring's
// JdbcTemplate, and Python with psycopg. Each places an order and is refused a second one, with which its message disappears.
// Their test runs them against a real PostgreSQL and lets the relay publish what they wrote.
//
// docs/wire.md says what may be written. Nothing of it is checked before the relay reads the row, so mind the limits there.
package producers
