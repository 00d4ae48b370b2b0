-- Run with psql, for example: psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -v topic=orders -f order.sql
CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, customer text NOT NULL, cents bigint NOT NULL);

-- The order and the message about it are committed together.
BEGIN;
-- Writers of one customer take turns, so that the order of the messages is that of the commits.
SELECT pg_advisory_xact_lock(hashtextextended('customer ada', 0));
INSERT INTO orders VALUES ('sql-1', 'ada', 1250);
INSERT INTO outbox (topic, tag, keys, ordering_key, dedup_key, headers, payload)
VALUES (:'topic', 'placed', 'sql-1 ada', 'ada', 'order-sql-1',
        '{"content-type": "application/json", "priority": 3, "gift": true}',
        convert_to('{"id": "sql-1", "customer": "ada", "cents": 1250, "note": "Grüße"}', 'UTF8'));
COMMIT;

-- And rolled back together. There is no message about this order.
BEGIN;
INSERT INTO outbox (topic, ordering_key, dedup_key, payload)
VALUES (:'topic', 'ada', 'order-sql-2', convert_to('{"id": "sql-2"}', 'UTF8'));
INSERT INTO orders VALUES ('sql-2', 'ada', 99);
ROLLBACK;
